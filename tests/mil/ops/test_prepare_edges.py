"""Which constants are laid out anew when a package is loaded."""

import pytest
import torch

from fcrn_mobile.mil.ops import OPERATORS


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_kernels_of_images_become_channels_last_and_keep_their_values(kind: str) -> None:
    weight, bias = torch.rand(4, 3, 2, 2), torch.rand(4)
    prepared = OPERATORS[kind].prepare({"weight": weight, "bias": bias})
    assert prepared["weight"].equal(weight)
    assert prepared["weight"].is_contiguous(memory_format=torch.channels_last)
    assert prepared["bias"] is bias
    assert weight.is_contiguous()


@pytest.mark.parametrize("weight", [torch.rand(4, 3, 2), torch.rand(4, 3, 2, 2, 2), "computed", None])
def test_other_kernels_stay_as_they_are(weight: object) -> None:
    arguments = {"weight": weight}
    assert OPERATORS["conv"].prepare(arguments) is arguments
    assert OPERATORS["conv"].prepare({}) == {}
