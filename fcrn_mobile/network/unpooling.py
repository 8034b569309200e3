"""The 5×5 convolution over an unpooled map, literally and in two exact fast forms.

Unpooling puts every value at the top-left of a 2×2 cell and zeros elsewhere (Laina et al. 2016, section 3.2), so three
quarters of the products of a following 5×5 convolution are with zero. Output pixel (2i+a, 2j+b) only sees the taps (u,v)
with a+u and b+v even, at low-resolution offset ((a+u-2)/2, (b+v-2)/2): four small convolutions, one per phase (a,b).
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["literal", "four", "fused"]
FORMS: tuple[Form, ...] = get_args(Form)


def unpool(x: Tensor) -> Tensor:
    """N×C×H×W → N×C×2H×2W with every value at the top-left of a 2×2 cell of zeros."""
    n, c, h, w = x.shape
    out = x.new_zeros(n, c, 2 * h, 2 * w)
    out[:, :, ::2, ::2] = x
    return out


def phase_kernels(weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Split a 5×5 kernel O×I×5×5 into the taps of the phases (0,0), (0,1), (1,0), (1,1): 3×3, 3×2, 2×3 and 2×2."""
    return (
        weight[:, :, 0::2, 0::2],
        weight[:, :, 0::2, 1::2],
        weight[:, :, 1::2, 0::2],
        weight[:, :, 1::2, 1::2],
    )


def fused_kernel(weight: Tensor) -> Tensor:
    """The four phase kernels as one 3×3 kernel 4·O×I×3×3 in the channel order of ``pixel_shuffle``."""
    out_channels, in_channels = weight.shape[:2]
    phases = [F.pad(kernel, (3 - kernel.shape[3], 0, 3 - kernel.shape[2], 0)) for kernel in phase_kernels(weight)]
    return torch.stack(phases, dim=1).reshape(4 * out_channels, in_channels, 3, 3)


def phase_convs(x: Tensor, kernels: tuple[Tensor, ...], bias: Tensor | None = None) -> Tensor:
    """Run the four phase convolutions and interleave their outputs.

    Args:
        x: N×I×H×W.
        kernels: from ``phase_kernels``.
        bias: O, or None.

    Returns:
        N×O×2H×2W.
    """
    phases = []
    for kernel in kernels:
        rows, columns = kernel.shape[2:]
        # Three taps look one pixel to either side; two taps look at the pixel itself and the next one.
        if (rows, columns) != (3, 3):
            phase_input = F.pad(x, (columns - 2, 1, rows - 2, 1))
            phases.append(F.conv2d(phase_input, kernel, bias))
        else:
            phases.append(F.conv2d(x, kernel, bias, padding=1))
    return interleave(phases)


def interleave(phases: list[Tensor]) -> Tensor:
    """Four maps N×C×H×W of the phases (0,0), (0,1), (1,0), (1,1) → N×C×2H×2W."""
    n, c, h, w = phases[0].shape
    stacked = torch.stack(phases, dim=2)  # N×C×4×H×W
    return F.pixel_shuffle(stacked.reshape(n, 4 * c, h, w), 2)


def unpooled_conv5x5(x: Tensor, weight: Tensor, form: Form) -> Tensor:
    """5×5 convolution (padding 2, no bias) over ``unpool(x)``.

    Args:
        x: N×I×H×W.
        weight: O×I×5×5.
        form: ``literal`` as the paper writes it; ``four`` phase convolutions; ``fused``, one 3×3 convolution and a pixel
            shuffle. All three give the same values up to float rounding.

    Returns:
        N×O×2H×2W.
    """
    if form == "literal":
        return F.conv2d(unpool(x), weight, padding=2)
    if form == "four":
        return phase_convs(x, phase_kernels(weight))
    return F.pixel_shuffle(F.conv2d(x, fused_kernel(weight), padding=1), 2)
