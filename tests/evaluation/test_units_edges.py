"""Where a factor between prediction and truth becomes a note, and which unit it names."""

import math

import pytest

from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.evaluation.units import PLAUSIBLE, protocol_note, unit_note

LOOKS = "Depth in {} that is read with {} looks like this: if it is, add ?scale={}"


def note(ratio: float, rest: str) -> str:
    return f"the median prediction is {ratio:.3g} times the median true depth: is a unit wrong? {rest}"


@pytest.mark.parametrize("ratio", [1 / 3, 1.0, 3.0, 0.0, -0.0, -5.0, math.nan, math.inf, -math.inf])
def test_a_factor_up_to_three_says_nothing(ratio: float) -> None:
    assert unit_note(ratio, "folder:x") == ""
    assert pytest.approx((1 / 3, 3)) == PLAUSIBLE


@pytest.mark.parametrize("ratio", [math.nextafter(1 / 3, 0), math.nextafter(3, 4), 0.01, 500.0])
def test_beyond_it_something_is_said(ratio: float) -> None:
    for data in ("folder:x", "list:x.txt", "kitti:x", "sample", ""):
        assert unit_note(ratio, data).startswith(note(ratio, "").rstrip())


MILLIMETRES = "1000 units per metre (millimetres)"


@pytest.mark.parametrize(
    ("scale", "truly", "called", "read"),
    [
        (None, 1, "metres", MILLIMETRES),
        (None, 100, "centimetres", MILLIMETRES),
        (None, 256, "KITTI's encoding", MILLIMETRES),
        (None, 5000, "TUM's encoding", MILLIMETRES),
        (None, 10000, "0.1 mm", MILLIMETRES),
        ("5000", 1000, "millimetres", "5000 units per metre (TUM's encoding)"),
        ("256", 5000, "TUM's encoding", "256 units per metre (KITTI's encoding)"),
        ("0.5", 1000, "millimetres", "0.5 units per metre"),
        ("30", 1000, "millimetres", "30 units per metre"),
        ("1.5", 1000, "millimetres", "1.5 units per metre"),
    ],
)
@pytest.mark.parametrize("off", [1.0, 1.2, 1 / 1.2])
def test_the_likely_unit_is_that_of_the_factor(scale: str | None, truly: int, called: str, read: str, off: float) -> None:
    """A depth of d metres in k units each, read as s units each, is d·k/s: a right prediction is s/k times that."""
    ratio = off * float(scale or 1000) / truly
    data = "folder:x" + (f"?scale={scale}" if scale else "")
    assert unit_note(ratio, data) == note(ratio, LOOKS.format(called, read, truly))


@pytest.mark.parametrize(("off", "named"), [(1.59, True), (1 / 1.59, True), (1.61, False), (1 / 1.61, False)])
def test_a_unit_is_named_up_to_a_factor_of_1_6(off: float, named: bool) -> None:
    ratio = 1000 * off  # metres that were read as millimetres
    expected = LOOKS.format("metres", MILLIMETRES, 1) if named else f"The files were read with {MILLIMETRES}: give ?scale=UNITS_PER_METRE"
    assert unit_note(ratio, "list:x.txt") == note(ratio, expected)


def test_the_unit_that_was_read_is_not_named_as_the_likely_one() -> None:
    """A hundred thousandth of a metre has no name here: the nearest is what was read."""
    assert unit_note(3.5, "folder:x?scale=1") == note(
        3.5, "The files were read with 1 units per metre (metres): give ?scale=UNITS_PER_METRE"
    )
    assert unit_note(0.3, "folder:x?scale=10000") == note(
        0.3, "The files were read with 10000 units per metre (0.1 mm): give ?scale=UNITS_PER_METRE"
    )


def test_a_form_whose_unit_is_fixed_names_both_sides() -> None:
    expected = note(5.0, "Look at the true depth's unit, and at the unit that the model gives")
    assert {unit_note(5.0, data) for data in ("kitti:x", "tum:x", "nyu-mat:x", "csv:x", "sample")} == {expected}


def test_a_scale_that_is_no_number_is_left_alone() -> None:
    assert unit_note(5.0, "folder:x?scale=many") == note(5.0, "").rstrip()


@pytest.mark.parametrize(("beyond", "said"), [(0.0, False), (0.5, False), (0.501, True), (1.0, True)])
@pytest.mark.parametrize("data", ["folder:x", "sample", ""])
def test_more_than_half_beyond_the_range_is_said(beyond: float, said: bool, data: str) -> None:
    expected = f"{beyond:.0%} of the true depth lies beyond the 10 m of protocol full and does not count" if said else ""
    assert protocol_note(beyond, protocol("full"), data) == expected


@pytest.mark.parametrize("name", ["eigen", "laina", "full"])
@pytest.mark.parametrize("data", ["kitti:x", "folder:x?scale=256", "list:x.txt?scale=256"])
@pytest.mark.parametrize("beyond", [0.0, 0.9])
def test_kitti_goes_under_its_own_protocol(name: str, data: str, beyond: float) -> None:
    expected = f"KITTI is scored under protocol garg (its crop, 80 m), not {name} (to 10 m): leave --protocol out"
    assert protocol_note(beyond, protocol(name), data) == expected


def test_other_data_may_go_under_kittis_and_kitti_may_reach_far() -> None:
    assert protocol_note(0.5, protocol("garg"), "folder:x") == ""
    assert (
        protocol_note(0.6, protocol("garg"), "kitti:x") == "60% of the true depth lies beyond the 80 m of protocol garg and does not count"
    )


def test_a_unit_is_named_up_to_a_factor_of_one_and_three_fifths() -> None:
    assert unit_note(16, "folder:x").endswith("?scale=100")
    assert unit_note(16.01, "folder:x").endswith("give ?scale=UNITS_PER_METRE")
