"""The 5×5 convolution over an unpooled map, literally and in two exact fast forms.

Unpooling puts every value at the top-left of a 2×2 cell and zeros elsewhere (Laina et al. 2016, section 3.2), so three
quarters of the products of a following 5×5 convolution are with zero. Output pixel (2i+a, 2j+b) only sees the taps (u,v)
with a+u and b+v even, at low-resolution offset ((a+u-2)/2, (b+v-2)/2): four small convolutions, one per phase (a,b).
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FORMS", "Form", "fused_bias", "fused_kernel", "interleave", "phase_convs", "phase_kernels", "unpool", "unpooled_conv5x5"]

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


def fused_kernel(kernels: Sequence[Tensor], ahead: bool = True) -> Tensor:
    """Four phase kernels as one 3×3 kernel 4·O×I×3×3 in the channel order of ``pixel_shuffle``; ``ahead`` as in ``phase_convs``."""
    padded = [F.pad(kernel, _fill(3 - kernel.shape[3], 3 - kernel.shape[2], ahead)) for kernel in kernels]
    return torch.stack(padded, dim=1).flatten(0, 1)


def fused_bias(biases: Sequence[Tensor]) -> Tensor:
    """Four phase biases O as one of 4·O in the channel order of ``pixel_shuffle``."""
    return torch.stack(list(biases), dim=1).flatten()


def phase_convs(x: Tensor, kernels: Sequence[Tensor], biases: Sequence[Tensor | None] = (None,) * 4, ahead: bool = True) -> Tensor:
    """Run the four phase convolutions and interleave their outputs.

    Args:
        x: N×I×H×W.
        kernels: of the phases (0,0), (0,1), (1,0), (1,1): O×I×3×3, O×I×3×2, O×I×2×3 and O×I×2×2.
        biases: O or None per phase.
        ahead: two taps look at the pixel itself and the next one, as unpooling to the top-left of a cell has it; else at the
            previous one and the pixel itself.

    Returns:
        N×O×2H×2W.
    """
    phases = []
    for kernel, bias in zip(kernels, biases, strict=True):
        rows, columns = kernel.shape[2:]
        # Three taps look one pixel to either side.
        if (rows, columns) == (3, 3):
            phases.append(F.conv2d(x, kernel, bias, padding=1))
        else:
            left, right, top, bottom = _fill(3 - columns, 3 - rows, ahead)
            phases.append(F.conv2d(F.pad(x, (1 - left, 1 - right, 1 - top, 1 - bottom)), kernel, bias))
    return interleave(phases)


def _fill(columns: int, rows: int, ahead: bool) -> tuple[int, int, int, int]:
    """Left, right, top, bottom: where a kernel lacks columns and rows to be 3×3."""
    return (columns, 0, rows, 0) if ahead else (0, columns, 0, rows)


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
    return F.pixel_shuffle(F.conv2d(x, fused_kernel(phase_kernels(weight)), padding=1), 2)
