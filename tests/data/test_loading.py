"""Errors of items on their way through loader processes."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from fcrn_mobile.data.batches import TrainingBatch
from fcrn_mobile.data.loading import Batches, Loading
from fcrn_mobile.errors import InputError, UnusableInputError


class BadThird(Dataset[int]):
    """Four items of which the third cannot be had."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, index: int) -> int:
        if index == 2:
            raise self.error
        return index


def batch(items: Sequence[Any]) -> TrainingBatch:
    return TrainingBatch(torch.tensor(items), torch.tensor(items), tuple(map(str, items)))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_items_error_arrives_as_it_was_raised(workers: int) -> None:
    error = UnusableInputError("'a.png' holds two\nlines: give one")
    batches = iter(Batches(BadThird(error), batch, range(4), Loading(2, workers, 0)))
    assert next(batches).names == ("0", "1")
    with pytest.raises(UnusableInputError) as caught:
        next(batches)
    assert str(caught.value) == str(error)
    assert caught.type is UnusableInputError
    assert [("BadThird" in note or "__getitem__" in note) for note in getattr(caught.value, "__notes__", [])] == [True] * workers


def test_other_errors_stay_those_of_a_bug() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(Batches(BadThird(ZeroDivisionError("no input's fault")), batch, range(4), Loading(2, 0, 0)))
    assert not isinstance(caught.value, InputError)
