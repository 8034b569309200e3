"""Ties, labels as numbers, and probabilities that do not fit the labels."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.classifier import OPERATORS


def test_the_first_of_equal_labels_wins() -> None:
    label, scores = OPERATORS["classify"].run(torch.tensor([[0.25, 0.375, 0.375]]), ("a", "b", "c"))
    assert label == "b"
    assert scores == {"a": 0.25, "b": 0.375, "c": 0.375}


def test_numbers_as_labels_are_plain_integers() -> None:
    label, scores = OPERATORS["classify"].run(torch.tensor([0.75, 0.25]), (torch.tensor(7), torch.tensor(3)))
    assert label == 7
    assert type(label) is int
    assert scores == {7: 0.75, 3: 0.25}


@pytest.mark.parametrize("count", [1, 3])
def test_other_probabilities_than_labels_are_refused(count: int) -> None:
    with pytest.raises(MilError, match=f"{count} probabilities do not fit 2 classes"):
        OPERATORS["classify"].run(torch.ones(count), ("a", "b"))
