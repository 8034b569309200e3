"""An overflow in words."""

from fcrn_mobile.mil.overflow import Overflow


def test_an_overflow_says_what_ran_over_and_how_large_its_inputs_were() -> None:
    assert str(Overflow("y", "mul", 65504.4321)) == "'y' (mul of values up to 6.55e+04)"
