"""What teachers know: metrics of the depth that a student would learn from, for mirror images and sizes of the picture.

    python benchmarks/training/teachers.py CHECKPOINT... --data SPEC [--scales 1 1,1.25 ...]

Several checkpoints count as one teacher, their mean, as ``train --teacher A --teacher B`` takes them; ``--scales`` are values of
``--teacher-scales``. Each row predicts as training does: see ``fcrn_mobile/training/teacher.py``.
"""

import argparse
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.cli.common import print_table
from fcrn_mobile.data import Source, open_source
from fcrn_mobile.data.canonical import resolved_camera
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.training.teacher import Teacher, load_teachers

METRICS = ("abs_rel", "rmse", "delta1", "boundary_f1")


def main() -> None:
    """Predict, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--scales", nargs="+", type=scales, default=[(1.0,)], metavar="S,S", help="of the input size; several sets of them")
    options = parser.parse_args()
    source = open_source(options.data)
    rows = list(table(options.checkpoints, source, options.scales))
    print_table(f"{' + '.join(options.checkpoints)}: {len(source)} frames of {options.data}", ["sizes", "mirrored too", *METRICS], rows)


def scales(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    return tuple(float(number) for number in text.split(","))


class Taught:
    """A teacher as ``evaluate`` takes models; its metres hold for the camera of the source already."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H×W×3 uint8 → H×W metres."""
        height, width = image.shape[:2]
        pictures = torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255
        depth: NDArray[np.float32] = self.teacher.depths(pictures, torch.ones(1, 1, height, width), (height, width))[0, 0].numpy()
        return depth


def table(checkpoints: Sequence[str], source: Source, sizes: Sequence[Sequence[float]]) -> Iterable[list[str]]:
    """A row's cells for each set of sizes, without mirror images and with them."""
    teachers = load_teachers(checkpoints)
    for each in sizes:
        for flip in (False, True):
            teacher = Teacher(teachers, resolved_camera(source), flip, each, torch.device("cpu"))
            metrics = evaluate(Taught(teacher), source, protocol("eigen")).compute()
            yield [", ".join(f"{size:g}" for size in each), "yes" if flip else "no", *(f"{metrics[name]:.4f}" for name in METRICS)]


if __name__ == "__main__":
    main()
