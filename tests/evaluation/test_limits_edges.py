"""Budgets at the last amount that is refused and the first that is taken."""

import math

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import FLOAT16_ROUNDING, FLOAT32_ROUNDING, Limit, check_half, parse_limit


def test_the_roundings_are_those_of_the_formats() -> None:
    assert FLOAT32_ROUNDING == 1 / 16_777_216
    assert FLOAT16_ROUNDING == 1 / 8192


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("abs_rel=0.5", Limit("abs_rel", 0.5, False, "abs_rel=0.5")),
        (" abs_rel = 50 % ", Limit("abs_rel", 0.5, True, " abs_rel = 50 % ")),
        ("fidelity=2%", Limit("fidelity", 0.02, False, "fidelity=2%")),
        ("rmse_pooled=1e0", Limit("rmse_pooled", 1.0, False, "rmse_pooled=1e0")),
    ],
)
def test_a_budget_as_written(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("metric", ["fidelity", "abs_rel"])
def test_the_rounding_of_float32_itself_is_enough(metric: str) -> None:
    assert parse_limit(f"{metric}={FLOAT32_ROUNDING!r}").amount == FLOAT32_ROUNDING
    assert parse_limit(f"{metric}={100 * FLOAT32_ROUNDING!r}%").amount == FLOAT32_ROUNDING


@pytest.mark.parametrize(
    ("amount", "remedy"),
    [
        ("0", "0.01"),
        ("-0.0", "0.01"),
        (repr(math.nextafter(FLOAT32_ROUNDING, 0)), "0.01"),
        ("0%", "1%"),
        (f"{99.5 * FLOAT32_ROUNDING!r}%", "1%"),
        ("0.000001%", "1%"),
    ],
)
def test_less_than_the_rounding_of_float32_is_refused(amount: str, remedy: str) -> None:
    with pytest.raises(InputError) as error:
        parse_limit(f"abs_rel={amount}")
    assert str(error.value) == (
        f"budget 'abs_rel={amount}': less than the rounding of depth in float32, 6e-08, which alone would break it or not: "
        f"allow more, such as abs_rel={remedy}"
    )


@pytest.mark.parametrize("amount", ["-0.5", "-1e-9", "-1%", "nan", "inf", "1e999", "", "x", "%", "1%%"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(InputError, match=f"budget 'abs_rel={amount}': '{amount}' is not an amount; write a number such as 0.05 or 5%"):
        parse_limit(f"abs_rel={amount}")


@pytest.mark.parametrize("text", ["abs_rel", "=1", "speed=1", "ABS_REL=1", ""])
def test_what_is_no_metric_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"budget '{text}': write METRIC=AMOUNT with one of fidelity, .*, rmse_pooled"):
        parse_limit(text)


def test_half_precision_bounds_the_fidelity_alone() -> None:
    check_half(parse_limit(f"fidelity={FLOAT16_ROUNDING!r}"))
    check_half(parse_limit("abs_rel=0.00001"))
    with pytest.raises(InputError, match=r"less than the rounding of depth in float16, 0\.00012, in which the package computes"):
        check_half(parse_limit(f"fidelity={math.nextafter(FLOAT16_ROUNDING, 0)!r}"))
