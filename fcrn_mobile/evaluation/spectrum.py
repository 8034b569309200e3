"""Energy of a depth map at the Nyquist frequencies: the period-2 patterns that unpooling and transposed convolutions leave.

Odena et al. 2016, "Deconvolution and Checkerboard Artifacts" (doi 10.23915/distill.00003), say where the patterns come from; the power
spectrum as their measure is that of Durall et al. 2020 (arXiv 2003.01826), taken along rows and columns instead of over radii.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BAND", "Checkerboard", "checkerboard", "power_spectrum"]

#: Half the width of the band around a Nyquist frequency, in cycles per pixel: a pattern whose strength follows the scene is spread.
BAND = 1 / 32


@dataclass(frozen=True)
class Checkerboard:
    """Shares of a spectrum's energy, the mean depth's left out, 0..1.

    Attributes:
        rows: with a period of 2 rows, and not of 2 columns.
        columns: with a period of 2 columns, and not of 2 rows.
        both: with a period of 2 in either: a checkerboard.
    """

    rows: float
    columns: float
    both: float

    @property
    def total(self) -> float:
        """All three."""
        return self.rows + self.columns + self.both


def power_spectrum(depth: NDArray[np.floating]) -> NDArray[np.float64]:
    """|FFT|² of a map under a Hann window, without its mean, H×W in the order of ``np.fft.fft2``.

    Without the window the jump between opposite sides of the picture would put energy at all frequencies of both axes. The mean that is
    taken off is that under the window, so that nothing of it leaks.

    Args:
        depth: H×W metres, all finite.
    """
    height, width = depth.shape
    window = np.outer(*(np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in (height, width)))
    values = depth.astype(np.float64)
    return np.abs(np.fft.fft2((values - (values * window).sum() / window.sum()) * window)) ** 2


def checkerboard(spectrum: NDArray[np.float64]) -> Checkerboard:
    """The energy within ``BAND`` of the Nyquist frequencies, relative to all but the mean's; nought of a constant.

    Sharp edges have some there, too: compare with the truth's at the same size.

    Args:
        spectrum: H×W of ``power_spectrum``, or a mean of several.
    """
    rows, columns = (abs(np.fft.fftfreq(side)) >= 0.5 - BAND for side in spectrum.shape)
    total = float(spectrum.sum()) or 1.0
    return Checkerboard(
        float(spectrum[np.ix_(rows, ~columns)].sum()) / total,
        float(spectrum[np.ix_(~rows, columns)].sum()) / total,
        float(spectrum[np.ix_(rows, columns)].sum()) / total,
    )
