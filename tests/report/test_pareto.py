from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.evaluation.budget import Check, parse_limit
from fcrn_mobile.report.pareto import save_pareto
from fcrn_mobile.tuning.result import Attempt, Point, Tuning
from fcrn_mobile.tuning.search import Fit
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.result import Drift

POINTS = (
    Point("front", "", 900_000, 0.2, False, False, "search", {"palette4/8": 3}),
    Point("front", "", 1_400_000, 0.02, False, False, "search", {"int8": 3}),
    Point("uniform", "int8", 1_500_000, 0.01, False, True, "search", {"int8": 3}),
    Point("uniform", "lost", 1_000_000, float("nan"), False, True, "search", {"lost": 3}),
    Point("float", "fp16", 2_500_000, 0.001, True, True, "search", {"fp16": 3}),
    Point("chosen", "", 1_250_000, 0.0187, True, True, "verification", {"int8": 2, "palette4/8": 1}),
)


@pytest.fixture
def tuning() -> Tuning:
    drift = Drift(
        name="net",
        path="net.mlpackage",
        size_bytes=1_250_000,
        metrics=dict.fromkeys(("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "mae", "irmse", "imae", "rmse_pooled"), 0.1)
        | dict.fromkeys(("delta1", "delta2", "delta3", "boundary_f1"), 0.9),
        change={},
        fidelity=FidelityValues(0.0187, 40.0, 0.1, 0.99),
        checks=(Check(parse_limit("fidelity=0.02"), 0.0187),),
    )
    fit = Fit({"a": "int8", "b": "int8", "c": "palette4/8"}, 1.0, 0.0185, 0.0186, False)
    attempt = Attempt(0.0194, fit, Recipe(name="net $x$"), drift)
    return Tuning((attempt,), attempt, None, POINTS, "size", 1.0, 6.7, 1.0, 5_000_000, 1.0, 1e-6, "sample", 0, ("a",), 32)


def words(tuning: Tuning, path: Path) -> str:
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        save_pareto(tuning, path)
    return path.read_text()


def test_the_picture_names_schemes_choice_and_budget(tuning: Tuning, tmp_path: Path) -> None:
    text = words(tuning, tmp_path / "front.svg")
    for word in ("int8", "fp16", "budget fidelity=0.02", "1.25 MB, 0.250 of fp32", "chosen: measured on 32 unseen images", "net $x$"):
        assert word in text
    assert ">lost<" not in text, "a scheme whose output is not finite has no place"


def test_a_broken_budget_is_called_so(tuning: Tuning, tmp_path: Path) -> None:
    broken = replace(tuning.chosen.drift, checks=(Check(parse_limit("fidelity=0.01"), 0.0187),))
    text = words(replace(tuning, chosen=replace(tuning.chosen, drift=broken)), tmp_path / "front.svg")
    assert "nearest, budget BROKEN" in text


def test_it_is_a_picture_of_fair_size(tuning: Tuning, tmp_path: Path) -> None:
    save_pareto(tuning, tmp_path / "front.png")
    assert Image.open(tmp_path / "front.png").width > 900
