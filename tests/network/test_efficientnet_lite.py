"""EfficientNet-Lite encoders against what is published of them: parameters, state dicts, and the maps of another implementation."""

import pytest
import torch

from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.encoder import EncoderNetwork
from fcrn_mobile.network.encoders import encoder_named, load_imagenet_weights
from fcrn_mobile.network.fcrn import FCRN, preset
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
