"""Depth maps of two networks side by side, as they come: image, truth, both, and where they differ.

python benchmarks/training/panels.py MODEL MODEL --data SPEC --out FILE.png [--frames N]
"""

import argparse
from pathlib import Path

import numpy as np

from fcrn_mobile.data import open_source
from fcrn_mobile.data.source import evenly
from fcrn_mobile.report.figures import Row, save_comparison
from fcrn_mobile.runtimes import open_runtime


def main() -> None:
    """Predict and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs=2, metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--frames", type=int, default=10, help="at most, evenly spread")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args()
    source, runtimes = open_source(options.data), [open_runtime(model) for model in options.models]
    rows = []
    for place in evenly(len(source), options.frames):
        sample = source[place]
        depths = [runtime.predict(sample.image) for runtime in runtimes]
        named = {runtime.name: depth for runtime, depth in zip(runtimes, depths, strict=True)}
        rows.append(Row(sample.image, {"true": sample.depth, **named}, np.abs(depths[1] - depths[0])))
    save_comparison(rows, "difference of both", options.out)


if __name__ == "__main__":
    main()
