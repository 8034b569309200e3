"""The table ``[correct]``, switch by switch."""

import itertools

import pytest

from fcrn_mobile.conversion.correct_table import Correct, make_correct
from fcrn_mobile.errors import InputError

SWITCHES = ("equalise", "scale", "rounding", "bias")


def test_an_empty_table_leaves_images_open_and_asks_for_nothing() -> None:
    nothing = make_correct({})
    assert nothing == Correct(equalise=False, scale=False, rounding=None, bias=None)
    assert nothing.first_asked() is None
    assert nothing.sees_images
    assert nothing.to_json() == {"equalise": False, "scale": False}


@pytest.mark.parametrize("values", itertools.product((True, False), repeat=4))
def test_every_switch_is_read_and_written_back(values: tuple[bool, ...]) -> None:
    table = dict(zip(SWITCHES, values, strict=True))
    made = make_correct(table)
    assert made == Correct(*values)
    assert made.to_json() == table
    assert made.first_asked() == next((f"correct.{name}" for name in SWITCHES if table[name]), None)
    assert made.sees_images == (table["rounding"] or table["bias"])


@pytest.mark.parametrize(
    ("rounding", "bias", "sees"),
    [(None, None, True), (False, None, True), (None, False, True), (False, False, False), (True, None, True), (None, True, True)],
)
def test_what_is_left_open_looks_at_images_where_there_are_some(rounding: bool | None, bias: bool | None, sees: bool) -> None:
    made = Correct(rounding=rounding, bias=bias)
    assert made.sees_images == sees
    assert set(made.to_json()) == {"equalise", "scale"} | {
        key for key, switch in (("rounding", rounding), ("bias", bias)) if switch is not None
    }


@pytest.mark.parametrize("value", [None, True, "bias", ["bias"], 3])
def test_what_is_no_table_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"write a table \[correct\] with equalise, scale, rounding, bias"):
        make_correct(value)


@pytest.mark.parametrize("switch", [0, 1, "true", None, 1.0])
def test_a_switch_is_true_or_false(switch: object) -> None:
    with pytest.raises(InputError, match=r"correct\.bias is .*: write true or false"):
        make_correct({"equalise": True, "bias": switch})
    with pytest.raises(InputError, match=r"unknown key 'correct\.round': allowed are equalise, scale, rounding, bias"):
        make_correct({"round": switch})
