import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.network.unpooling import FORMS, unpool, unpooled_conv5x5


def test_unpool_puts_values_top_left() -> None:
    expected = torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    assert torch.equal(unpool(torch.tensor([[[[1.0, 2], [3, 4]]]]))[0, 0], expected)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)), channels=st.tuples(st.integers(1, 4), st.integers(1, 4)), seed=st.integers(0, 99)
)
def test_every_form_equals_torchs_transposed_convolution(form, size, channels, seed) -> None:
    # Convolving an unpooled map is a transposed convolution of stride 2 with the kernel turned by 180°.
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, channels[0], *size, generator=generator)
    weight = torch.randn(channels[1], channels[0], 5, 5, generator=generator)
    expected = F.conv_transpose2d(x, weight.flip(2, 3).transpose(0, 1), stride=2, padding=2, output_padding=1)
    torch.testing.assert_close(unpooled_conv5x5(x, weight, form), expected, rtol=1e-4, atol=1e-4)
