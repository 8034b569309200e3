import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.decoders import DECODERS
from fcrn_mobile.network.encoders import encoder_named, load_imagenet_weights
from fcrn_mobile.network.fcrn import FCRN, preset, set_form
from fcrn_mobile.network.macs import count_macs, count_parameters
from fcrn_mobile.network.padding import SamePadMaxPool2d
from tests.network.tensorflow_fcrn import max_pool

# Parameters in millions and multiply-accumulates in billions for ResNet-50 at 228×304, as published or counted elsewhere.
TABLE = [("deconv2", 28.40, 6.81), ("deconv3", 31.88, 7.64), ("upconv", 43.02, 22.91), ("upproj", 63.56, 42.71)]


@pytest.mark.parametrize(("decoder", "parameters", "macs"), TABLE)
def test_resnet50_costs_what_the_paper_says(decoder: str, parameters: float, macs: float) -> None:
    with torch.device("meta"):  # shapes alone, no arithmetic
        network = FCRN(preset("fcrn-resnet50", decoder=decoder), form="literal").eval()
        assert count_parameters(network) / 1e6 == pytest.approx(parameters, abs=0.006)
        assert count_macs(network, 228, 304) / 1e9 == pytest.approx(macs, abs=0.006)


@pytest.mark.parametrize(("encoder", "parameters"), [("resnet18", 13.68), ("resnet34", 23.79)])
def test_smaller_resnets_have_the_published_size(encoder: str, parameters: float) -> None:
    with torch.device("meta"):
        network = FCRN(preset("fcrn-resnet18", encoder=encoder))
    assert count_parameters(network) / 1e6 == pytest.approx(parameters, abs=0.006)


# torchvision's published totals, less the classifier's inputs·1000 + 1000.
@pytest.mark.parametrize(
    ("name", "total", "features"),
    [("resnet18", 11689512, 512), ("resnet34", 21797672, 512), ("resnet50", 25557032, 2048), ("resnet101", 44549160, 2048)],
)
def test_resnet_has_torchvisions_parameters(name: str, total: int, features: int) -> None:
    assert count_parameters(encoder_named(name).build()) == total - features * 1000 - 1000


# EfficientNet-Lite's published totals, less the 1×1 head with its batch norm and the classifier.
@pytest.mark.parametrize(("name", "total", "features"), [("lite0", 4652008, 320), ("lite1", 5416680, 320), ("lite2", 6092072, 352)])
def test_lite_has_the_published_parameters(name: str, total: int, features: int) -> None:
    assert count_parameters(encoder_named(name).build()) == total - features * 1280 - 2 * 1280 - 1280 * 1000 - 1000


def test_a_torchvision_file_loads_strictly(tmp_path) -> None:
    source = encoder_named("resnet18").build()
    state = source.state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet18.pth")
    encoder = encoder_named("resnet18").build()
    load_imagenet_weights(encoder, "resnet18", tmp_path / "resnet18.pth")
    assert torch.equal(encoder.state_dict()["layer4.1.conv2.weight"], source.state_dict()["layer4.1.conv2.weight"])
    # Names as torchvision writes them, from its documentation of the state dict.
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias"} <= set(encoder.state_dict())
    del state["layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(InputError, match=r"layer1\.0\.conv1\.weight"):
        load_imagenet_weights(encoder, "resnet18", tmp_path / "short.pth")


def test_packaged_imagenet_weights_load() -> None:
    encoder = encoder_named("lite0").build()
    before = encoder.state_dict()["_conv_stem.weight"].clone()
    load_imagenet_weights(encoder, "lite0")
    assert not torch.equal(encoder.state_dict()["_conv_stem.weight"], before)


def test_a_pickle_with_code_is_refused(tmp_path) -> None:
    torch.save({"model": encoder_named("resnet18").build()}, tmp_path / "pickled.pth")
    with pytest.raises(InputError, match="without running code"):
        load_imagenet_weights(encoder_named("resnet18").build(), "resnet18", tmp_path / "pickled.pth")


def test_the_papers_input_gives_the_papers_output() -> None:
    with torch.no_grad(), torch.device("meta"):
        assert FCRN(preset("fcrn-resnet50")).eval()(torch.rand(1, 3, 228, 304)).shape == (1, 1, 128, 160)


@pytest.mark.parametrize("decoder", DECODERS)
@settings(max_examples=6, deadline=None)
@given(height=st.integers(33, 90), width=st.integers(33, 90))
def test_any_input_size_works(decoder: str, height: int, width: int) -> None:
    network = FCRN(preset("fcrn-lite0", decoder=decoder, widths=(8, 8, 8, 8, 8))).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, height, width)).shape == (1, 1, 16 * -(-height // 32), 16 * -(-width // 32))


@settings(max_examples=6, deadline=None)
@given(height=st.integers(33, 90), width=st.integers(33, 90))
def test_the_plain_network_also_gives_half_the_resolution(height: int, width: int) -> None:
    network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8))).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, height, width)).shape == (1, 1, 8 * -(-height // 16), 8 * -(-width // 16))


def test_the_plain_network_costs_what_its_blocks_add_up_to() -> None:
    config = preset("fcrn-plain")
    height, width = config.input_size
    # Input and output channels, taps, and the part of the input's pixels that see them: two 3×3 a block, then 1×1, the transposed
    # 3×3 over its input, a 5×5 over each unpooled map, the prediction.
    convolutions = [(3, 32, 9, 1 / 4), (32, 32, 9, 1 / 4), (32, 64, 9, 1 / 16), (64, 64, 9, 1 / 16), (64, 128, 9, 1 / 64)]
    convolutions += [(128, 128, 9, 1 / 64), (128, 128, 1, 1 / 256), (128, 512, 9, 1 / 256), (512, 128, 25, 1 / 16), (128, 64, 25, 1 / 4)]
    convolutions += [(64, 1, 9, 1 / 4)]
    network = FCRN(config, form="literal").eval()
    assert count_macs(network, height, width) == sum(i * o * taps * part * height * width for i, o, taps, part in convolutions)
    batch_norms = 2 * (2 * (32 + 64 + 128) + 128 + 512 + 128 + 64)
    assert count_parameters(network) == sum(i * o * taps for i, o, taps, _ in convolutions) + batch_norms + 1


def test_the_plain_network_has_no_imagenet_weights() -> None:
    with pytest.raises(InputError, match="--encoder-weights random"):
        load_imagenet_weights(encoder_named("plain").build(), "plain")
    with pytest.raises(InputError, match="4 positive"):
        preset("fcrn-plain", widths=(8, 8, 8, 8, 8, 8))


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_same_padding_pools_as_tensorflow_writes_it(height: int, width: int, seed: int) -> None:
    x = torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(seed))
    expected = max_pool(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.equal(SamePadMaxPool2d(3, 2)(x), expected)


def test_training_in_a_fast_form_gives_the_literal_gradients() -> None:
    torch.manual_seed(0)
    literal = FCRN(preset("fcrn-resnet18", widths=(8, 8, 8, 8, 8)), form="literal")
    fast = FCRN(literal.config, form="four")
    fast.load_state_dict(literal.state_dict(), strict=True)
    images = torch.rand(2, 3, 64, 64)
    for network in (literal, fast):
        network(images).square().mean().backward()
    for (name, expected), (_, actual) in zip(literal.named_parameters(), fast.named_parameters(), strict=True):
        torch.testing.assert_close(actual.grad, expected.grad, rtol=1e-3, atol=1e-4 * float(expected.grad.abs().max()) + 1e-8, msg=name)


def test_set_form_switches_every_block() -> None:
    network = FCRN(preset("fcrn-lite0", widths=(8, 8, 8, 8, 8)), form="literal").eval()
    literal = count_macs(network, 64, 96)
    assert count_macs(set_form(network, "four"), 64, 96) < literal
    assert count_macs(set_form(network, "literal"), 64, 96) == literal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "vgg"}, "vgg"),
        ({"decoder": "bilinear"}, "bilinear"),
        ({"widths": (8, 8)}, "5 positive"),
        ({"input_size": (8, 8)}, "32"),
    ],
)
def test_a_bad_configuration_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FCRN(preset("fcrn-lite0", **changes))


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="fcrn-lite0"):
        preset("fcrn-vgg")
