"""What a validation says of overflow, of single images, of its own speed, and of broken metadata."""

import base64
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.conversion.artefact import recipe_of
from fcrn_mobile.conversion.calibration import content_hash
from fcrn_mobile.data import Sample
from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.source import OfCamera
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.training_record import UP_TO_SCALE
from fcrn_mobile.package.metadata import key
from fcrn_mobile.validation.drift import recipe_limits, validate
from fcrn_mobile.validation.result import Validation

FRAMES = [Sample(np.full((4, 4, 3), index, np.uint8), np.full((4, 4), 2, np.float32), f"room/{index}") for index in range(4)]


class Model:
    """A runtime that sees a depth for each frame, told by the frame's gray level."""

    backend, input_size = "mil", (4, 4)

    def __init__(self, depths: list[float], path: Path, metadata: dict[str, str] | None = None, overflow: str | None = None) -> None:
        self.name, self.depths, self.path, self.metadata, self.overflow = "model", depths, path, metadata or {}, overflow
        self.looked_at: list[int] = []

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.full((2, 2), self.depths[int(image[0, 0, 0])], np.float32)

    def first_overflow(self, image: np.ndarray) -> str | None:
        self.looked_at.append(int(image[0, 0, 0]))
        return self.overflow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "model").write_bytes(b"1234567")
    return tmp_path / "model"


def validated(path: Path, *candidates: Model, limits: tuple[str, ...] = (), **options: Any) -> Validation:
    reference = Model([2.2] * 4, path)
    return validate(reference, candidates, FRAMES, protocol("full"), [parse_limit(text) for text in limits], **options)


def test_the_first_frame_is_looked_through_and_then_those_that_break(path: Path) -> None:
    sound, late = Model([2.2] * 4, path), Model([2.2, 2.2, math.inf, math.nan], path)
    result = validated(path, sound, late)
    assert sound.looked_at == [0]
    assert late.looked_at == [0, 2, 3]
    assert [drift.overflow for drift in result.candidates] == [None, None]


def test_one_pixel_that_is_no_number_is_looked_for(path: Path) -> None:
    candidate = Model([2.2] * 4, path)
    candidate.predict = lambda image: np.where(np.arange(2, 6).reshape(2, 2) == image[0, 0, 0], np.nan, np.float32(2.2))  # type: ignore[method-assign]
    validated(path, candidate)
    assert candidate.looked_at == [0, 2, 3]


@pytest.mark.parametrize("cropping", [0, 1, 2])
def test_a_model_that_sees_the_middle_alone_is_not_measured_on_all(cropping: int, path: Path) -> None:
    models = [Model([2.2] * 4, path) for _ in range(3)]
    models[cropping].contract = DepthContract(framing="crop")  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="sees the middle of pictures alone"):
        validate(models[0], models[1:], FRAMES, protocol("full"))


def test_an_overflow_is_reported_once_with_its_name(path: Path) -> None:
    hidden, late = Model([2.2] * 4, path, overflow="conv_3"), Model([2.2, 2.2, math.inf, math.inf], path)
    late.first_overflow = lambda image: "conv_7" if image[0, 0, 0] >= 2 else None  # type: ignore[assignment]
    result = validated(path, hidden, late)
    assert [drift.overflow for drift in result.candidates] == ["conv_3", "conv_7"]
    assert hidden.looked_at == [0]
    assert [candidate["overflow"] for candidate in result.to_json()["candidates"]] == ["conv_3", "conv_7"]


def test_each_image_has_its_own_row(path: Path) -> None:
    (drift,) = validated(path, Model([2.2, 2.42, 1.1, 4.4], path)).candidates
    assert [row.name for row in drift.per_image] == [frame.name for frame in FRAMES]
    assert [row.fidelity for row in drift.per_image] == pytest.approx([0, 0.1, 0.5, 1.0], abs=1e-6)
    assert [row.reference for row in drift.per_image] == pytest.approx([0.1] * 4, rel=1e-5)
    assert [row.candidate for row in drift.per_image] == pytest.approx([0.1, 0.21, 0.45, 1.2], rel=1e-5)


def test_a_change_is_candidate_less_reference(path: Path) -> None:
    result = validated(path, Model([2.0] * 4, path), data="room")
    (drift,) = result.candidates
    assert set(drift.change) == {*METRICS, "rmse_pooled"}
    assert drift.change["abs_rel"] == pytest.approx(-0.1, rel=1e-5)
    assert drift.change["rmse_pooled"] == pytest.approx(-0.2, rel=1e-5)
    assert (result.data, result.rule and result.rule.name, result.reference_engine, drift.engine) == ("room", "full", "mil", "mil")
    assert (result.reference_size_bytes, drift.size_bytes) == (7, 7)


def test_arithmetic_is_part_of_an_engine_s_name(path: Path) -> None:
    candidate = Model([2.2] * 4, path)
    candidate.arithmetic = "float16"  # type: ignore[attr-defined]
    assert validated(path, candidate).candidates[0].engine == "mil, float16"


def test_progress_counts_frames_from_one_to_all(path: Path) -> None:
    calls: list[tuple[int, int]] = []
    validated(path, Model([2.2] * 4, path), on_frame=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    calls.clear()
    evaluate(Model([2.2] * 4, path), FRAMES, protocol("full"), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_speed_is_images_over_seconds(path: Path) -> None:
    result = validated(path, Model([2.2] * 4, path))
    assert 0 < result.seconds < 60
    assert result.images_per_second == pytest.approx(4 / result.seconds)


def test_one_broken_candidate_breaks_the_whole(path: Path) -> None:
    sound, worse = Model([2.2] * 4, path), Model([2.9] * 4, path)
    result = validated(path, sound, worse, limits=("fidelity=0.1",))
    assert [drift.verdict for drift in result.candidates] == ["held", "broken"]
    assert not result.held
    assert validated(path, sound, limits=("fidelity=0.1",)).held
    assert validated(path, sound).candidates[0].verdict == "no budget"
    assert validated(path, sound).held
    # All budgets have to hold, in whatever order.
    assert validated(path, worse, limits=("abs_rel=9", "fidelity=0.1")).candidates[0].verdict == "broken"
    assert validated(path, worse, limits=("fidelity=0.1", "abs_rel=9")).candidates[0].verdict == "broken"


def test_candidates_of_a_reference_without_a_unit_are_median_scaled(path: Path) -> None:
    reference = Model([4.0] * 4, path, {key("output_units"): UP_TO_SCALE})
    result = validate(reference, [Model([8.0] * 4, path)], FRAMES, protocol("full"))
    assert result.reference_metrics["alignment"] == "median"
    assert (result.depth, validated(path, Model([2.2] * 4, path)).depth) == ("scale", "metres")
    assert result.candidates[0].metrics["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert result.candidates[0].fidelity.abs_rel == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"budget": 3}', '{"budget": []}'])
def test_a_recipe_that_cannot_be_read_is_named(path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"model' has a recipe in its metadata that is not readable .*export it again"):
        recipe_of({"fcrn_mobile.recipe": text}, path)


def test_a_recipe_s_budget_is_its_promise(path: Path) -> None:
    told = Model([2.0], path, {"fcrn_mobile.recipe": json.dumps({"name": "int8", "budget": {"fidelity": "0.05", "abs_rel": "2%"}})})
    assert [(limit.metric, limit.amount, limit.relative) for limit in recipe_limits(told)] == [
        ("fidelity", 0.05, False),
        ("abs_rel", 0.02, True),
    ]
    assert recipe_of(told.metadata, path)["name"] == "int8"
    assert recipe_of({}, path) == {}
    assert recipe_limits(Model([2.0], path)) == []


def test_evaluate_scales_only_when_asked(path: Path) -> None:
    model = Model([4.0] * 4, path)
    assert evaluate(model, FRAMES, protocol("full")).compute()["abs_rel"] == pytest.approx(1.0)
    assert evaluate(model, FRAMES, protocol("full", "median")).compute()["abs_rel"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("metric", [*METRICS, "rmse_pooled"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_metric_that_is_not_finite_is_enough_to_break(path: Path, metric: str, value: float) -> None:
    (drift,) = validated(path, Model([2.2] * 4, path), limits=("fidelity=0.1",)).candidates
    assert drift.verdict == "held"
    assert replace(drift, metrics=drift.metrics | {metric: value}).verdict == "broken"
    assert replace(drift, fidelity=replace(drift.fidelity, abs_rel=value)).verdict == "broken"
    assert replace(drift, checks=(), metrics=drift.metrics | {metric: value}).verdict == "broken"


@pytest.mark.parametrize("number", range(4))
def test_a_frame_that_a_candidate_was_calibrated_on_is_refused_before_anything_runs(path: Path, number: int) -> None:
    hashes = base64.b64encode(bytes.fromhex(content_hash(FRAMES[number].image))).decode()
    calibrated = Model([2.2] * 4, path, {key("calibration"): json.dumps({"hashes": hashes})})
    with pytest.raises(InputError, match=rf"frame 'room/{number}' of 'room' is one of the calibration images"):
        validated(path, Model([2.2] * 4, path), calibrated, data="room")
    assert calibrated.looked_at == []


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_candidate_s_scale_is_no_drift(path: Path, scale: float) -> None:
    told = {key("recipe"): json.dumps({"name": "int8", "scale": scale})}
    (drift,) = validated(path, Model([2.2 * scale] * 4, path, told)).candidates
    assert drift.fidelity.abs_rel == pytest.approx(0, abs=1e-6)
    assert drift.scale == scale


@pytest.mark.parametrize("scale", [None, 2.0])
def test_depth_of_another_kind_is_compared_by_a_scale_that_is_known(path: Path, scale: float | None) -> None:
    told = {key("output_units"): UP_TO_SCALE, key("recipe"): json.dumps({"name": "int8"} | ({"scale": scale} if scale else {}))}
    if scale:
        assert validated(path, Model([4.4] * 4, path, told)).candidates[0].fidelity.abs_rel == pytest.approx(0, abs=1e-6)
    else:
        with pytest.raises(InputError, match="they do not compare"):
            validated(path, Model([4.4] * 4, path, told))


class Growing:
    """Pictures whose widths differ."""

    names = ("a", "b")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        size = (4, (8, 16)[index])
        return Sample(np.full((*size, 3), index, np.uint8), np.full(size, 2, np.float32), self.names[index])


def test_depth_is_for_the_camera_of_each_picture_and_the_first_is_told(path: Path) -> None:
    """Focal lengths of 6 px in 8 and in 16 pixels against 10 in 20: depth times 1.5 and 0.75."""
    told = {key("camera"): json.dumps({"data": "x", "focal_px": 10.0, "width_px": 20})}
    source = OfCamera(Growing(), TrainingCamera("data", 6.0))
    reference, candidate = Model([4 / 3, 8 / 3], path, told), Model([4 / 3, 4 / 3], path, told)
    result = validate(reference, [candidate], source, protocol("full"))
    assert (result.focus.picture, result.focus.factor((4, 8))) == ((4, 8), pytest.approx(1.5))
    assert [row.reference for row in result.candidates[0].per_image] == pytest.approx([0, 0], abs=1e-6)
    assert [row.candidate for row in result.candidates[0].per_image] == pytest.approx([0, 0.5], abs=1e-6)
    assert result.standing is not None and result.reference_metrics["abs_rel"] == pytest.approx(0, abs=1e-6)


def test_without_true_depth_there_is_fidelity_alone(path: Path) -> None:
    reference, candidate = Model([2.0] * 4, path), Model([2.2] * 4, path)
    result = validate(reference, [candidate], FRAMES, None, [parse_limit("fidelity=0.2")], budgets=[[]])
    (drift,) = result.candidates
    assert (result.reference_metrics, result.rule, result.standing, drift.metrics, drift.change) == ({"images": 4}, None, None, {}, {})
    assert drift.fidelity.abs_rel == pytest.approx(0.1)
    assert all(math.isnan(row.reference) and math.isnan(row.candidate) for row in drift.per_image)
    with pytest.raises(InputError, match="abs_rel"):
        validate(reference, [candidate], FRAMES, None, [parse_limit("abs_rel=1%")])
    with pytest.raises(InputError, match="no image to validate on"):
        validate(reference, [candidate], [], None)


def test_a_budget_of_its_own_goes_before_that_of_all_and_an_empty_one_leaves_it_to_the_candidate(path: Path) -> None:
    promise = {key("recipe"): json.dumps({"name": "a", "budget": {"fidelity": "0.3"}})}
    candidates = [Model([2.2] * 4, path, promise), Model([2.2] * 4, path, promise), Model([2.2] * 4, path)]
    for options, limits in (
        ({"budgets": [[parse_limit("fidelity=0.1")], [], []]}, [["fidelity=0.1"], ["fidelity=0.3"], []]),
        ({}, [["fidelity=0.3"], ["fidelity=0.3"], []]),
    ):
        drifts = validate(Model([2.2] * 4, path), candidates, FRAMES, protocol("full"), **options).candidates  # type: ignore[arg-type]
        assert [[check.limit.text for check in drift.checks] for drift in drifts] == limits
    drifts = validated(path, *candidates, limits=("fidelity=0.2",)).candidates
    assert [[check.limit.text for check in drift.checks] for drift in drifts] == [["fidelity=0.2"]] * 3


def test_inverse_depth_is_told_and_aligned_as_such(path: Path) -> None:
    told = {key("output_units"): "inverse depth, up to scale and shift"}
    frames = [Sample(frame.image, np.linspace(1, 4, 16, dtype=np.float32).reshape(4, 4), frame.name) for frame in FRAMES]

    def model(factor: float) -> Model:
        made = Model([0.0] * 4, path, told)
        made.predict = lambda image: np.float32(factor) / frames[0].depth  # type: ignore[method-assign]
        return made

    result = validate(model(1), [model(3)], frames, protocol("full"))
    assert result.depth == "inverse"
    assert result.reference_metrics["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert result.candidates[0].metrics["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert result.candidates[0].fidelity.depth == "inverse"
