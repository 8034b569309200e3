"""Checkerboards in depth maps: energy at the Nyquist frequencies of several networks, beside the truth's, and their mean power spectra.

    python benchmarks/training/spectrum.py MODEL... --data SPEC [--frames N] [--out FILE.png]

Each network's own output is looked at, before any resizing; the truth is resized to the same size. Every frame counts alike: its spectrum
is divided by its energy. Frames whose truth has holes are left out.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fcrn_mobile.cli.common import print_table
from fcrn_mobile.data import Source, open_source
from fcrn_mobile.data.source import Sample, evenly
from fcrn_mobile.evaluation.metrics import align, protocol
from fcrn_mobile.evaluation.spectrum import checkerboard, power_spectrum
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.whole_file import written_whole

Spectra = dict[str, NDArray[np.float64]]


def main() -> None:
    """Predict, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--frames", type=int, default=24, help="at most, evenly spread")
    parser.add_argument("--out", type=Path, metavar="FILE.png")
    options = parser.parse_args()
    source = open_source(options.data)
    spectra, frames = mean_spectra(options.models, source, evenly(len(source), options.frames))
    rows = []
    for name, spectrum in spectra.items():
        found = checkerboard(spectrum)
        shares = (found.rows, found.columns, found.both, found.total)
        rows.append([name, "×".join(map(str, spectrum.shape)), *(f"{share * 1e6:.2f}" for share in shares)])
    print_table(f"{frames} frames of {options.data}; millionths of the energy", ["depth", "size", "rows", "columns", "both", "total"], rows)
    if options.out:
        draw(spectra, options.out)


def mean_spectra(models: Sequence[str], source: Source, places: Sequence[int]) -> tuple[Spectra, int]:
    """Mean spectrum of each network, by its path, and of the truth at each of their sizes; and how many frames they are of."""
    runtimes = {model: open_runtime(model) for model in models}
    sums: Spectra = {}
    frames = 0
    for sample in complete(source, places):
        outputs = {model: runtime.predict(sample.image) for model, runtime in runtimes.items()}
        outputs |= {f"truth {h}×{w}": align(sample.depth, h, w, protocol("full")) for h, w in {depth.shape for depth in outputs.values()}}
        for name, depth in outputs.items():
            spectrum = power_spectrum(depth)
            sums[name] = sums.get(name, 0.0) + spectrum / spectrum.sum()
        frames += 1
    if not frames:
        raise SystemExit("no frame whose truth is complete: use other data")
    return {name: total / frames for name, total in sums.items()}, frames


def complete(source: Source, places: Sequence[int]) -> Iterator[Sample]:
    """The frames at these places whose truth has no hole."""
    for place in places:
        sample = source[place]
        if (np.isfinite(sample.depth) & (sample.depth > 0)).all():
            yield sample


def draw(spectra: Spectra, path: Path) -> None:
    """The spectra side by side on one logarithmic scale, the mean depth's frequency in the middle and Nyquist's at the sides."""
    figure = Figure(figsize=(3.6 * len(spectra) + 0.8, 3.6), layout="constrained")
    axes = figure.subplots(1, len(spectra), squeeze=False)[0]
    for axis, (name, spectrum) in zip(axes, spectra.items(), strict=True):
        decibels = 10 * np.log10(np.fft.fftshift(spectrum) * spectrum.size + 1e-12)
        picture = axis.imshow(decibels, extent=(-0.5, 0.5, 0.5, -0.5), cmap="viridis", vmin=-80, vmax=20, interpolation="nearest")
        axis.set_title(f"{Path(name).stem[:34]}\nat Nyquist {checkerboard(spectrum).total * 1e6:.2f}·10⁻⁶", fontsize=9)
        axis.set_xlabel("cycles per column", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("cycles per row", fontsize=8)
    figure.colorbar(picture, ax=axes, label="energy, dB of an even spectrum", shrink=0.85)
    with written_whole(path, force=True) as file:
        figure.savefig(file, dpi=110, format="png", bbox_inches="tight")


if __name__ == "__main__":
    main()
