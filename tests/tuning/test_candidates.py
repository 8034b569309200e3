"""Which schemes fit which weights, and the recipes that choices become."""

from dataclasses import replace
from typing import Any

import pytest

from fcrn_mobile.conversion.recipe import Override, Recipe
from fcrn_mobile.conversion.weights import Weight
from fcrn_mobile.errors import InputError
from fcrn_mobile.tuning.candidates import CANDIDATES, OLDER, Candidate, assembled, candidates_for, searchable


def weight(*shape: int, kind: str = "conv") -> Weight:
    return Weight("w", ("op",), kind, shape, 1, "fp16", None, None, "w")


PALETTE = Candidate("palette4", "palette4")
GROUPED = Candidate("palette4/8", "palette4", {"granularity": "per_grouped_channel", "group_size": 8})


@pytest.mark.parametrize(
    ("candidate", "shape", "fits"),
    [
        # A table of 16 values of 16 bits is 256 bits; each weight saves 12.
        (PALETTE, (21, 1, 1, 1), False),
        (PALETTE, (22, 1, 1, 1), True),
        (GROUPED, (16, 2, 1, 1), False),  # two tables, 384 bits saved
        (GROUPED, (16, 3, 1, 1), True),
        (GROUPED, (12, 90, 1, 1), False),  # eight divides no twelve
        # Saved exactly what the table takes: 4 values of 16 bits, 14 bits a weight are never 64 exactly; 1 bit: 32 of 15.
        (Candidate("palette2", "palette2"), (4, 1, 1, 1), False),
        (Candidate("palette2", "palette2"), (5, 1, 1, 1), True),
        (Candidate("palette8", "palette8"), (512, 1, 1, 1), False),  # 256·16 = 512·8 bits: as large, not smaller
        (Candidate("palette8", "palette8"), (513, 1, 1, 1), True),
        (Candidate("int8", "int8"), (1, 1, 1, 1), True),
        (Candidate("int4/32", "int4", {"block_size": 32}), (3, 64, 1, 1), True),
        (Candidate("int4/32", "int4", {"block_size": 32}), (3, 48, 1, 1), False),
    ],
)
def test_tables_are_smaller_than_what_they_save(candidate: Candidate, shape: tuple[int, ...], fits: bool) -> None:
    assert candidate.fits(weight(*shape)) == fits


def test_output_channels_of_a_transposed_convolution_are_its_second_axis() -> None:
    assert GROUPED.fits(weight(90, 16, 1, 1, kind="conv_transpose"))
    assert not GROUPED.fits(weight(16, 12, 5, 5, kind="conv_transpose"))


def test_bits_are_those_of_a_weight_without_tables() -> None:
    assert [candidate.bits for candidate in CANDIDATES] == [8, 6, 4, 3, 4]
    assert [candidate.bits for candidate in OLDER] == [8, 6, 4]
    assert Candidate("fp16", "fp16").bits == 16


@pytest.mark.parametrize(("target", "candidates"), [("iOS18", CANDIDATES), ("iOS17", OLDER), ("iOS16", OLDER)])
def test_older_targets_have_candidates_that_they_run(target: str, candidates: tuple[Candidate, ...]) -> None:
    assert candidates_for(target) == candidates


def test_a_choice_becomes_overrides() -> None:
    base = Recipe(name="mine", target="iOS18")
    made = assembled(base, CANDIDATES, {"a": "int8", "b": "palette4/8", "c": "fp16", "d": "int8"})
    assert [(override.match, override.precision) for override in made.ops] == [(("a", "d"), "int8"), (("b",), "palette4")]
    assert made.ops[1].options == {"granularity": "per_grouped_channel", "group_size": 8}
    assert replace(made, ops=()) == base
    assert assembled(base, CANDIDATES, {"a": "fp16"}) == base


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "int8"}, "recipe 'mine' has precision = \"int8\""),
        ({"ops": (Override(("a",), "int8", {}),)}, r"recipe 'mine' has \[\[ops\]\]"),
    ],
)
def test_a_recipe_that_decides_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    base = Recipe(name="mine")
    assert searchable(base) is base
    with pytest.raises(InputError, match=message):
        searchable(replace(base, **changes))
