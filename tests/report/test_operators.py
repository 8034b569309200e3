from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data import Sample
from fcrn_mobile.evaluation import metrics
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import FLOAT16, FLOAT32
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.progress import OnStep
from fcrn_mobile.report.operators import operators
from fcrn_mobile.report.ranks import ranks
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.attribution import Attribution, attribute
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.result import Validation
from tests.conftest import settled


@pytest.fixture(scope="module")
def frames() -> list[Sample]:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), dtype=np.uint8)
    return [Sample(picture, np.full((64, 96), 2.0, np.float32), f"f{index}") for index, picture in enumerate(pictures)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("operators") / "net.safetensors"
    save_checkpoint(settled(FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)))), path)
    return path


@pytest.fixture(scope="module")
def validation(model: Path, frames: list[Sample]) -> Validation:
    """Two candidates, of which the second drifts more."""
    package = model.with_name("int8.mlpackage")
    export(load_checkpoint(str(model)), Recipe(precision="int8"), package)
    result = validate(open_runtime(str(model)), [open_runtime(str(package), "mil")], frames, metrics.protocol("full"))
    (drift,) = result.candidates
    close = replace(drift, name="close", fidelity=replace(drift.fidelity, abs_rel=drift.fidelity.abs_rel / 2))
    return replace(result, candidates=(close, drift))


def test_the_operators_are_those_of_the_candidate_that_drifts_most_on_the_frames_shown(
    validation: Validation, model: Path, frames: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    calls: list[tuple[Program, Program, list[np.ndarray], Attribution]] = []

    def spied(reference: Program, candidate: Program, images: list[np.ndarray], on_image: OnStep) -> Attribution:
        calls.append((reference, candidate, images, attribute(reference, candidate, images, on_image)))
        return calls[0][3]

    monkeypatch.setattr("fcrn_mobile.report.operators.attribute", spied)
    found = operators(frames, str(model), validation, on_image=lambda done, total: seen.append((done, total)))
    assert (found.candidate, found.images, found.missing) == ("int8", 3, "")
    assert seen[-1] == (6, 6)
    ((reference, candidate, images, attribution),) = calls
    assert (reference.arithmetic, candidate.arithmetic) == (FLOAT32, FLOAT16)
    shown = [frames[index].image for index in ranks(validation.candidates[1]).values()]
    assert all(np.array_equal(one, other) for one, other in zip(images, shown, strict=True))
    assert [(row.own_drift, row.snr_db) for row in found.rows] == [(op.own_drift, op.snr_db) for op in attribution.worst]
    assert len(found.rows) > 10
    assert all(row.name for row in found.rows)


def test_what_cannot_be_compared_is_said(validation: Validation, model: Path, frames: list[Sample]) -> None:
    onnx = replace(validation, candidates=(replace(validation.candidates[0], path="a.onnx"),))
    assert operators(frames, str(model), onnx).missing == "only an .mlpackage or .mlmodel shows its operators"
    found = operators(frames, "reference.onnx", validation)
    assert found.rows == ()
    assert "cannot be compared" in found.missing
