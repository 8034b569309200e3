"""What a depth network's metres are worth as a phone frames a scene, before and after scaling by the focal length.

Pictures are cut to what the app's video shows (``fcrn_mobile/data/phone.py``) and brought to the network in each of the three framings. An
emulation on stored pictures; nothing ran on a phone. The table of docs/cameras.md:

    .venv/bin/python benchmarks/framing.py
"""

import argparse
from collections.abc import Iterator

import numpy as np

from fcrn_mobile import open_runtime, open_source, protocol
from fcrn_mobile.data.cameras import UNKNOWN
from fcrn_mobile.data.phone import PhoneView, phone_view
from fcrn_mobile.data.source import OfCamera, Sample
from fcrn_mobile.evaluation import align
from fcrn_mobile.evaluation.evaluate import Predictor, evaluate
from fcrn_mobile.evaluation.focus import focus_on
from fcrn_mobile.validation.fidelity import same_size

#: How a phone is held, and how the model frames what it sees.
CASES = [("stretch", "stretch")] + [
    (view, framing) for view in ("phone-landscape", "phone-portrait") for framing in ("crop", "stretch", "letterbox")
]
METRICS = ("abs_rel", "delta1")


def row(model: Predictor, view: PhoneView) -> str:
    """One line of the table."""
    figures = []
    for source in (OfCamera[Sample](view, UNKNOWN), view):
        metrics = evaluate(model, source, protocol("full")).compute()
        figures.append([*(metrics[metric] for metric in METRICS), float(np.median(list(ratios(model, source))))])
    factor = focus_on(model, view).factor(view.framed_for) or 1.0
    cells = [f"{before:.3f} → {after:.3f}" for before, after in zip(*figures, strict=True)]
    return f"| {view.view} | {view.framing} | {view.zoom:.2f} | {factor:.2f} | {' | '.join(cells)} |"


def ratios(model: Predictor, source: "OfCamera[Sample] | PhoneView") -> Iterator[float]:
    """Median of prediction over truth of each picture."""
    focus = focus_on(model, source)
    for index in range(len(source)):
        sample = source[index]
        depth = same_size(focus(model.predict(sample.image), sample.image.shape[:2]), sample.depth)
        yield 1 / align.median_scale(depth[sample.depth > 0], sample.depth[sample.depth > 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="builtin")
    parser.add_argument("--data", default="sample")
    options = parser.parse_args()
    model, source = open_runtime(options.model), open_source(options.data)
    print(f"| {len(source)} of {options.data} as | framed by | narrower by | depth × | abs_rel | delta1 | median prediction / truth |")
    print("|---|---|---|---|---|---|---|")
    for view, framing in CASES:
        print(row(model, phone_view(source, model.input_size, framing, view)), flush=True)


if __name__ == "__main__":
    main()
