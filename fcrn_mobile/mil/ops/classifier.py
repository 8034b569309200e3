"""The end of a classifier: numbers become labels."""

from typing import Any

from torch import Tensor

from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "classify"]


def classify(probabilities: Tensor, classes: tuple[Any, ...]) -> tuple[Any, dict[Any, float]]:
    """The most probable label, and the probability of every label."""
    scores = probabilities.reshape(-1).tolist()
    labels = [int(label) if isinstance(label, Tensor) else label for label in classes]
    if len(scores) != len(labels):
        raise MilError(f"{len(scores)} probabilities do not fit {len(labels)} classes")
    return labels[scores.index(max(scores))], dict(zip(labels, scores, strict=True))


OPERATORS = {
    "classify": Operator(classify, "computed"),
}
