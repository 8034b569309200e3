"""EfficientNet-Lite encoders against what is published of them: parameters, state dicts, and the maps of another implementation."""

import pytest
import torch
from torch import nn

from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.encoder import EncoderNetwork
from fcrn_mobile.network.encoders import encoder_named, load_imagenet_weights
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.macs import count_macs
from tests.conftest import settled

FEATURES, CLASSES = 1280, 1000  # of the head and classifier that stand behind the encoder


def lite(name: str) -> EncoderNetwork:
    torch.manual_seed(0)
    return encoder_named(name).build().eval()


@pytest.mark.parametrize(("name", "parameters"), [("lite0", 4_652_008), ("lite1", 5_416_680), ("lite2", 6_092_072)])
def test_parameters_are_as_many_as_published(name: str, parameters: int) -> None:
    encoder = lite(name)
    head = encoder.channels[-1] * FEATURES + 2 * FEATURES + FEATURES * CLASSES + CLASSES
    assert sum(each.numel() for each in encoder.parameters()) + head == parameters


@pytest.mark.parametrize(
    ("name", "size", "google", "gigamacs", "megavalues"),
    [("lite0", 224, 407e6, 0.40, 6.74), ("lite1", 240, 631e6, 0.62, 10.14), ("lite2", 260, 899e6, 0.89, 12.90)],
)
def test_it_costs_what_is_published(name: str, size: int, google: float, gigamacs: float, megavalues: float) -> None:
    """Multiply-accumulates and values of all maps with the head that stands behind, at the published input size.

    Two decimals of timm's (results/benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv), whose counter, fvcore's, takes two per value of a
    batch norm. Google's own (tensorflow/tpu, models/official/efficientnet/lite) do not say what they count; they are 4 to 6 % above ours.
    """
    encoder, values = lite(name), []
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, __, output: values.append(output.numel()))
    last = -(-size // 32)
    macs = count_macs(encoder, size, size) + encoder.channels[-1] * FEATURES * last**2 + FEATURES * CLASSES
    normalised = sum(values) + FEATURES * last**2
    assert round((macs + 2 * normalised) / 1e9, 2) == gigamacs
    assert round((normalised + CLASSES) / 1e6, 2) == megavalues
    assert 0.94 * google < macs < 0.96 * google


# By the package efficientnet_lite_pytorch 0.1.0 from the same weights and picture: mean magnitude, and every 80th channel at one place.
REFERENCE: dict[str, tuple[int, float, list[float]]] = {
    "lite1": (240, 1.6336695, [2.15442, 2.63633, -0.86603, -3.50877]),
    "lite2": (260, 1.3165432, [0.66053, 1.84803, -1.88993, 1.2289, -1.30728]),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_published_weights_fit_and_give_the_maps_of_another_implementation(name: str) -> None:
    pytest.importorskip(encoder_named(name).package)
    encoder = lite(name)
    load_imagenet_weights(encoder, name)  # every key and shape
    size, magnitude, values = REFERENCE[name]
    x = torch.sin(torch.arange(3 * size * size) * 0.01).reshape(1, 3, size, size)
    with torch.no_grad():
        last = encoder.maps(x)[-1]
    assert last.abs().mean().item() == pytest.approx(magnitude, rel=1e-4)
    assert last[0, ::80, 3, 4].tolist() == pytest.approx(values, abs=2e-3)


@pytest.mark.parametrize("name", ["lite1", "lite2"])
def test_deployed_it_is_the_same_function(name: str) -> None:
    torch.manual_seed(0)
    network = settled(FCRN(preset("fcrn-lite2-lateral", encoder=name, widths=(16, 8, 8, 8, 8), input_size=(40, 72)))).double()
    x = torch.rand(1, 3, 40, 72).double()
    with torch.no_grad():
        expected, deployed = network(x), deploy(network)(x)
    assert deployed.shape == (1, 1, 20, 36)
    torch.testing.assert_close(deployed, expected, rtol=1e-6, atol=1e-9)
