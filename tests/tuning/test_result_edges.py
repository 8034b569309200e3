"""What a search found as JSON, its warnings and its verdict, of an outcome made by hand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fcrn_mobile
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.evaluation.budget import Check, parse_limit
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.tuning.bound import FEW, half_width
from fcrn_mobile.tuning.result import Attempt, Point, Tuning, counts
from fcrn_mobile.tuning.search import Fit
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.result import Drift, ImageDrift

FIT = Fit({"a": "int8", "b": "fp16", "c": "fp16"}, 123.0, 0.011, 0.012, False)
SPREAD = (0.009, 0.011, 0.010)


def drift(fidelity: float, budget: float = 0.02, spread: tuple[float, ...] = SPREAD) -> Drift:
    rows = tuple(ImageDrift(str(index), value, 0.2, 0.2) for index, value in enumerate(spread))
    checks = (Check(parse_limit(f"fidelity={budget}"), fidelity),)
    metrics, change = dict.fromkeys(compared(), 0.3), dict.fromkeys(compared(), 0.01)
    return Drift("best", "/x/best.mlpackage", 1000, metrics, change, FidelityValues(fidelity, 40.0, 0.1, 1.0), checks, per_image=rows)


def attempt(fidelity: float, **changes: Any) -> Attempt:
    return Attempt(0.0125, FIT, Recipe(name="mine"), drift(fidelity, **changes))


POINT = Point("uniform", "int8", 900, 0.01, False, True, "search", {"int8": 3})


def tuning(**changes: Any) -> Tuning:
    chosen = changes.pop("chosen", attempt(0.01))
    made = Tuning(
        attempts=(attempt(0.03), chosen),
        chosen=chosen,
        package=Path("/y/mine.mlpackage"),
        points=(POINT,),
        objective="size",
        cost=123.0,
        mean_bits=5.5,
        latency_ms=1.25,
        float_bytes=4000,
        factor=1.5,
        base=0.0009,
        data="sample",
        seed=7,
        searched=("f1", "f2"),
        verified=FEW,
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("made", "held"),
    [
        (attempt(0.01), True),
        (attempt(0.03), False),
        (attempt(0.0199), False),  # the bound is beyond
        (replace(attempt(0.0199), drift=replace(drift(0.0199), checks=(*drift(0.0199).checks, *drift(0.0199, 0.5).checks))), False),
        (attempt(math.nan), False),
        (replace(attempt(0.01), drift=replace(drift(0.01), checks=())), False),
        (replace(attempt(0.01), drift=replace(drift(0.01), metrics=dict.fromkeys(compared(), math.nan))), False),
    ],
)
def test_an_attempt_holds_what_it_measured_and_what_other_images_may_give(made: Attempt, held: bool) -> None:
    assert made.held == held
    assert tuning(chosen=made).held == held


@pytest.mark.parametrize(("verified", "few"), [(FEW, False), (FEW + 1, False), (FEW - 1, True), (2, True)])
@pytest.mark.parametrize("notes", [(), ("a note",)])
def test_fewer_than_sixteen_images_are_warned_of_behind_the_notes(verified: int, few: bool, notes: tuple[str, ...]) -> None:
    told = f"verified on {verified} images: fewer than 16 tell little of others, give more with --verify-images and --data"
    assert tuning(verified=verified, notes=notes).warnings == (*notes, *((told,) if few else ()))


def test_an_outcome_as_json() -> None:
    value = tuning(notes=("a note",)).to_json()
    recipe = value.pop("recipe")
    assert recipe == Recipe(name="mine").to_json()
    bound = 0.01 + half_width(SPREAD)
    assert value.pop("model") == {
        "formula": "squares of drifts add: D² = D₀² + f·Σ dᵢ²; f is what whole programs measured over the sum",
        "f": 1.5,
        "D0": pytest.approx(0.03),
    }
    assert value == {
        "held": True,
        "budget": [
            {"metric": "fidelity", "limit": "fidelity=0.02", "value": 0.01, "bound": pytest.approx(bound)}
            | {"level": 0.95, "images": 3, "held": True}
        ],
        "warnings": ["a note"],
        "package": "mine.mlpackage",
        "size_bytes": 1000,
        "float_bytes": 4000,
        "objective": "size",
        "cost": 123.0,
        "mean_bits": 5.5,
        "latency_estimate_ms": 1.25,
        "fidelity": {"abs_rel": 0.01, "psnr_db": 40.0, "max_abs": 0.1, "cosine": 1.0, "boundary_drift": 0.0}
        | {"rule": "mean |candidate - reference| / reference of the depth maps", "unit": "metres"},
        "change": dict.fromkeys(compared(), 0.01),
        "choice": FIT.choice,
        "predicted": 0.011,
        "measured_on_search": 0.012,
        "attempts": [
            {"target": 0.0125, "size_bytes": 1000, "fidelity": 0.03, "held": False},
            {"target": 0.0125, "size_bytes": 1000, "fidelity": 0.01, "held": True},
        ],
        "data": "sample",
        "rule": None,
        "seed": 7,
        "search": ["f1", "f2"],
        "verification_images": FEW,
        "arithmetic": "float16, simulated, not run on a device; uniform schemes float32",
        "points": [
            {"kind": "uniform", "name": "int8", "size_bytes": 900, "drift": 0.01, "size_measured": False, "drift_measured": True}
            | {"on": "search", "weights": {"int8": 3}}
        ],
        "versions": {"fcrn-mobile": fcrn_mobile.__version__},
    }
    assert tuning(package=None).to_json()["package"] is None


def test_weights_are_counted_most_frequent_first() -> None:
    assert list(counts(FIT.choice).items()) == [("fp16", 2), ("int8", 1)]
    assert counts({}) == {}
