import pytest
import torch
from torch import nn

from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.network.decoders import DECODERS
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.encoders import ENCODERS, encoder_named
from fcrn_mobile.network.fcrn import FCRN, preset, set_form
from fcrn_mobile.network.macs import count_macs
from tests.clock import steady_ratio

SIZES = [(64, 96), (61, 75), (33, 97)]


def assert_equal_depth(actual: nn.Module, expected: nn.Module, images: torch.Tensor, tolerance: float = 1e-4) -> None:
    with torch.no_grad():
        a, e = actual(images), expected(images)
    assert float((a - e).abs().max() / e.abs().max()) < tolerance


@pytest.mark.parametrize("form", ["four", "fused", "literal"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_stays_equal(decoder: str, form, settle) -> None:
    torch.manual_seed(0)
    network = settle(FCRN(preset("fcrn-lite0", decoder=decoder, widths=(24, 16, 12, 8, 8)), form="literal"))
    deployed = deploy(network, form)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    for height, width in SIZES:
        assert_equal_depth(deployed, network, torch.rand(1, 3, height, width))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_stays_equal(encoder: str, settle) -> None:
    torch.manual_seed(0)
    # In double precision: random deep networks magnify float32 rounding, and folding is what is tested.
    network = settle(
        FCRN(preset("fcrn-lite0", encoder=encoder, widths=(16, 8, 8, 8, 8)[: encoder_named(encoder).halvings]), form="literal")
    ).double()
    assert_equal_depth(deploy(network), network, torch.rand(1, 3, 61, 75).double(), tolerance=1e-9)


@pytest.mark.parametrize("size", [(224, 320), (225, 301)])
def test_trained_weights_stay_equal_on_a_real_image(builtin, real_frames, size) -> None:
    image = image_tensor(real_frames[0].image).unsqueeze(0)
    image = nn.functional.interpolate(image, size=size, mode="bilinear")
    literal = set_form(FCRN(builtin.network.config), "literal").eval()
    literal.load_state_dict(builtin.network.state_dict(), strict=True)
    for form in ("four", "fused"):
        assert_equal_depth(deploy(builtin.network, form), literal, image)


def test_deployment_leaves_the_network_alone(builtin) -> None:
    before = {key: value.clone() for key, value in builtin.network.state_dict().items()}
    deploy(builtin.network)
    assert all(torch.equal(value, before[key]) for key, value in builtin.network.state_dict().items())


def test_a_network_in_training_is_refused(tiny_config) -> None:
    with pytest.raises(ValueError, match="eval"):
        deploy(FCRN(tiny_config).train())


@pytest.mark.speed
def test_resnet50_needs_half_the_macs_and_time() -> None:
    literal = FCRN(preset("fcrn-resnet50"), form="literal").eval()
    four, fused = deploy(literal, "four"), deploy(literal, "fused")
    assert count_macs(literal, 228, 304) / 1e9 == pytest.approx(42.7, abs=0.1)
    assert count_macs(four, 228, 304) / 1e9 == pytest.approx(17.5, abs=0.1)
    assert count_macs(fused, 228, 304) / 1e9 <= 21.3
    image = torch.rand(1, 3, 228, 304)
    with torch.inference_mode():
        ratio = steady_ratio(lambda: four(image), lambda: literal(image), bound=0.60, rounds=7)
    print(f"deployed / literal CPU time: {ratio:.2f}")
    assert ratio <= 0.60
