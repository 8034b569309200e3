"""A factor between two networks: named, and left out of fidelity where that is asked for; by formulas written out."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.data import Sample
from fcrn_mobile.depth_contract import Depth, DepthContract
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.report.gate import Outcome
from fcrn_mobile.report.html import Page, render
from fcrn_mobile.report.markdown import markdown
from fcrn_mobile.report.scenes import show
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.fit import Fit
from fcrn_mobile.validation.result import Drift, Validation
from tests.report.page import WHEN

RNG = np.random.default_rng(3)
#: What a reference gives of three images.
MAPS = [RNG.uniform(1, 5, (6, 8)).astype(np.float32) for _ in range(3)]
FRAMES = [Sample(np.full((6, 8, 3), index, np.uint8), np.full((6, 8), np.nan, np.float32), f"{index}") for index in range(3)]
FLAG = "for networks that were trained apart give --align-fidelity"


@dataclass
class Network:
    """Gives a map of its own for each image, whose pixels are its number."""

    path: Path
    depth: Depth
    maps: list[np.ndarray]
    name: str = "other"
    backend = "mil"
    input_size = (6, 8)

    def __post_init__(self) -> None:
        self.metadata, self.contract = {}, DepthContract(depth=self.depth)

    def predict(self, image: np.ndarray) -> np.ndarray:
        return self.maps[int(image[0, 0, 0])].astype(np.float32)


def run(folder: Path, depth: Depth, maps: list[np.ndarray], align_fidelity: bool, *limits: str) -> tuple[Validation, Drift, Page]:
    (folder / "model").write_bytes(b"1")
    reference, other = (Network(folder / "model", depth, each, name) for each, name in ((MAPS, "net"), (maps, "other")))
    budget = [parse_limit(text) for text in limits]
    result = validate(reference, [other], FRAMES, None, budget, align_fidelity=align_fidelity)  # type: ignore[arg-type,list-item] # fakes
    return result, result.candidates[0], Page(result, show(FRAMES, reference, [other], result))  # type: ignore[arg-type,list-item]


def said(result: Validation, capsys) -> str:
    print_drift(result)
    return capsys.readouterr().out


#: A candidate of depth whose unit is another one on every image, with some noise.
FACTORS = (0.25, 0.5, 4.0)
OTHERS = [factor * values * RNG.uniform(0.98, 1.02, values.shape) for factor, values in zip(FACTORS, MAPS, strict=True)]


def relative(maps: list[np.ndarray]) -> list[float]:
    return [float(np.mean(np.abs(c - r) / r)) for c, r in zip(maps, MAPS, strict=True)]


def test_depth_up_to_a_scale_by_hand(tmp_path, capsys) -> None:
    ratios = [float(np.median(c) / np.median(r)) for c, r in zip(OTHERS, MAPS, strict=True)]
    plain, aligned = relative(OTHERS), relative([c / ratio for c, ratio in zip(OTHERS, ratios, strict=True)])
    figures = ratios[1], min(ratios), max(ratios), np.mean(plain), np.mean(aligned)

    result, drift, _ = run(tmp_path, "scale", OTHERS, False)
    assert drift.fidelity.abs_rel == pytest.approx(np.mean(plain), rel=1e-5)
    written = result.to_json()
    fit = json.loads(json.dumps(written["candidates"][0]["fit"]))
    assert fit.pop("alignment") == "median"
    assert list(fit) == ["factor", "factor_min", "factor_max", "abs_rel_as_given", "abs_rel_aligned"]
    assert list(fit.values()) == pytest.approx(figures, rel=1e-5)
    assert "fidelity_alignment" not in written
    span = f"{ratios[1]:.4g} times the reference's ({min(ratios):.4g} to {max(ratios):.4g} over images)"
    line = f"other: its depth is {span}; without that, fidelity is {np.mean(aligned):.4f}: {FLAG}\n"
    assert line in said(result, capsys)
    assert f"- {line}" in markdown([Outcome(result)])

    result, drift, page = run(tmp_path, "scale", OTHERS, True, "fidelity=0.02")
    assert (drift.fidelity.abs_rel, drift.verdict) == (pytest.approx(np.mean(aligned), rel=1e-5), "held")
    assert [image.fidelity for image in drift.per_image] == pytest.approx(aligned, rel=1e-5)
    errors = [c / ratio - r for c, ratio, r in zip(OTHERS, ratios, MAPS, strict=True)]
    assert drift.fidelity.max_abs == pytest.approx(max(np.abs(error).max() for error in errors), rel=1e-4)
    assert result.to_json()["candidates"][0]["fit"]["abs_rel_as_given"] == pytest.approx(np.mean(plain), rel=1e-5)
    assert result.to_json()["fidelity_alignment"] == "median"
    rule = "reference of the depth maps, the candidate's brought to the reference's median first, image by image"
    assert result.to_json()["candidates"][0]["fidelity"]["rule"].endswith(rule)
    told = said(result, capsys)
    assert f"{rule};" in told
    assert f"other: its depth is {span}; as given, fidelity is {np.mean(plain):.4f}\n" in told
    assert f"<dd>other: its depth is {span}".replace("'", "&#39;") in render(page, WHEN)
    assert page.scenes[0].predictions[0] == pytest.approx(page.scenes[0].expected, rel=0.05)


def test_inverse_depth_by_hand(tmp_path, capsys) -> None:
    others = [3 * values + 7 + 0.05 * RNG.normal(size=values.shape) for values in MAPS]
    lines = [np.polyfit(c.ravel(), r.ravel(), 1) for c, r in zip(others, MAPS, strict=True)]
    units = [np.mean(np.abs(r - np.median(r))) for r in MAPS]
    aligned = [np.mean(np.abs(s * c + t - r)) / unit for c, r, (s, t), unit in zip(others, MAPS, lines, units, strict=True)]
    result, drift, _ = run(tmp_path, "inverse", others, False)
    factors = sorted(1 / s for s, _ in lines)
    assert drift.fit is not None
    assert (drift.fit.factor, drift.fit.least, drift.fit.most) == pytest.approx((factors[1], factors[0], factors[2]), rel=1e-5)
    assert drift.fit.aligned == pytest.approx(np.mean(aligned), rel=1e-4)
    assert f"other: its inverse depth is {factors[1]:.4g} times the reference's but for a shift (" in said(result, capsys)
    _, drift, _ = run(tmp_path, "inverse", others, True)
    assert drift.fidelity.abs_rel == pytest.approx(np.mean(aligned), rel=1e-4)


@pytest.mark.parametrize(
    ("depth", "maps"),
    [
        ("metres", OTHERS),
        ("scale", [1.005 * values for values in MAPS]),
        ("scale", [1.1 * values[::-1] for values in MAPS]),
    ],
    ids=["metres", "small drift", "another picture"],
)
def test_a_factor_that_is_not_much_of_it_is_not_told(tmp_path, capsys, depth: Depth, maps: list[np.ndarray]) -> None:
    result, drift, page = run(tmp_path, depth, maps, False)
    assert (drift.fit is None) == (depth == "metres") == ("fit" not in result.to_json()["candidates"][0])
    assert "times the reference's" not in said(result, capsys) + render(page, WHEN)
    assert result.fidelity_alignment == "none"


@pytest.mark.parametrize(
    ("as_given", "aligned", "factor", "is_much"),
    [(0.01, 0.0075, 1.2, True), (0.0099, 0.0, 1.2, False), (0.4, 0.301, 1.2, False), (0.4, 0.1, math.nan, False)],
)
def test_what_is_told(as_given: float, aligned: float, factor: float, is_much: bool) -> None:
    assert Fit("scale", factor, factor, factor, as_given, aligned).is_much == is_much


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("depth", ["metres", "scale", "inverse"])
@pytest.mark.parametrize("value", [0.0, math.nan])
def test_where_no_factor_helps_no_budget_is_held(tmp_path, capsys, depth: Depth, value: float) -> None:
    flat = [*MAPS[:2], np.full_like(MAPS[2], value)]
    result, drift, _ = run(tmp_path, depth, flat, True, "fidelity=1000")
    assert drift.fit is not None
    assert math.isnan(drift.fit.factor)
    assert f"other: no factor brings its {'inverse ' * (depth == 'inverse')}depth to the" in said(result, capsys)
    # A flat map of inverse depth is brought to the mean by its shift alone.
    assert drift.verdict == ("held" if (depth, value) == ("inverse", 0) else "broken")
