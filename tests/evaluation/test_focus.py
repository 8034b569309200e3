"""Metres for the camera of the data, by hand: depth times the ratio of relative focal lengths."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.data.cameras import NYU, UNKNOWN, TrainingCamera
from fcrn_mobile.data.source import OfCamera, Sample, Source, Subset
from fcrn_mobile.data.spec import open_source
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.focus import Focus, focus_on, network_camera
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.drift import validate

FULL = protocol("full")


@dataclass
class Wall:
    """A network that sees a wall, and its file."""

    metres: float
    path: Path
    metadata: dict[str, str]
    name: str = "wall"
    backend: str = "torch"
    input_size: tuple[int, int] = (12, 16)

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.full((6, 8), self.metres, np.float32)


@dataclass(frozen=True)
class Walls:
    """Pictures of a wall 3 m away."""

    names: tuple[str, ...] = ("a", "b", "c")
    widths: tuple[int, ...] = field(default=(16, 16, 32))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        size = (12, self.widths[index])
        return Sample(np.full((*size, 3), 9 * index, np.uint8), np.full(size, 3, np.float32), self.names[index])


def metadata(**camera: object) -> dict[str, str]:
    return {"fcrn_mobile.camera": json.dumps(camera)}


NETWORK = metadata(data="x", focal_px=10.0, width_px=20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.write_bytes(b"1")
    return path


def test_metrics_are_of_depth_for_the_camera_of_the_data(file: Path) -> None:
    source = OfCamera(Subset(Walls(), (0, 1)), TrainingCamera("data", 12.0))
    wall = Wall(2.0, file, NETWORK)
    # f = 12 / 16 = 0.75 widths against 10 / 20 = 0.5: 2 m become 3 m.
    assert evaluate(wall, source, FULL).compute()["abs_rel"] == pytest.approx(0, abs=1e-6)
    for model, data in ((Wall(2.0, file, {}), source), (wall, Walls())):
        assert evaluate(model, data, FULL).compute()["abs_rel"] == pytest.approx(1 / 3), "one camera is not known"
    result = validate(wall, [Wall(2.2, file, NETWORK), Wall(2.2, file, {})], source, FULL)
    assert [candidate.metrics["abs_rel"] for candidate in result.candidates] == pytest.approx([0.1, 0.8 / 3], abs=1e-6)
    assert [candidate.fidelity.max_abs for candidate in result.candidates] == pytest.approx([0.2, 0.2], abs=1e-6)
    assert result.to_json()["camera"]["depth_scaled_by"] == pytest.approx(1.5)
    assert "camera" not in validate(wall, [wall], Walls(), FULL).to_json()


def test_a_focal_length_in_pixels_is_taken_against_each_pictures_width(file: Path) -> None:
    # Of pictures 16 and 32 px wide, 12 px are 0.75 and 0.375 widths.
    metrics = evaluate(Wall(2.0, file, NETWORK), OfCamera(Walls(), TrainingCamera("data", 12.0)), FULL)
    assert [each["abs_rel"] for each in metrics.per_image.values()] == pytest.approx([0, 0, 0.5], abs=1e-6)


def test_depth_for_the_networks_own_camera_is_not_touched() -> None:
    depth = np.linspace(0.3, 9, 12, dtype=np.float32).reshape(3, 4)
    for pictures in (NYU.camera, TrainingCamera("halved", 259.45), TrainingCamera("rounded", 259.4, 320), UNKNOWN):
        assert Focus(NYU.camera, pictures)(depth, (240, 320)) is depth
        assert str(Focus(NYU.camera, pictures)) == ""
    assert Focus(UNKNOWN, NYU.camera)(depth, (240, 320)) is depth
    assert Focus(NYU.camera, TrainingCamera("x", 270.0)).factor((240, 320)) == pytest.approx(270 / 259.45)


@pytest.mark.parametrize(
    ("framing", "picture", "factor"),
    [
        # The model sees 40×20 pictures of a camera of 0.5 widths; the picture's is 0.5 widths of its own.
        ("stretch", (60, 60), 1.0),
        ("crop", (60, 60), 2.0),  # of its 60 columns the model sees 30
        ("letterbox", (60, 60), 1.0),  # bars above and below
        ("crop", (120, 30), 1.0),  # all columns
        ("letterbox", (120, 30), 0.5),  # as wide as 60 px, half of it bars
    ],
)
def test_a_focal_length_is_in_widths_of_what_the_model_sees(framing, picture: tuple[int, int], factor: float) -> None:
    own = TrainingCamera("data", 10.0, 20)
    focus = Focus(own, TrainingCamera("mine", 0.5 * picture[1]), framing, (40, 20))
    assert focus.factor(picture) == pytest.approx(factor)
    np.testing.assert_allclose(focus(np.full((2, 3), 3, np.float32), picture), 3 * factor)
    assert focus.at(picture).to_json()["camera"]["depth_scaled_by"] == pytest.approx(factor)
    assert (f"framing {framing}" in str(focus.at(picture))) == (factor != 1)


def test_a_model_brings_its_framing_to_the_camera(file: Path) -> None:
    model = Wall(2.0, file, NETWORK)
    model.contract, model.input_size = DepthContract(framing="letterbox"), (40, 20)  # type: ignore[attr-defined]
    focus = focus_on(model, OfCamera(Walls(), TrainingCamera("data", 12.0)))
    assert (focus.framing, focus.size) == ("letterbox", (40, 20))
    assert focus.network == TrainingCamera("x", 10.0, 20)


@pytest.mark.parametrize(
    ("written", "camera"),
    [
        (NETWORK, TrainingCamera("x", 10.0, 20)),
        (NETWORK | {"fcrn_mobile.training_data": "nyu-mat:a"}, TrainingCamera("x", 10.0, 20)),
        ({"fcrn_mobile.training_data": "folder:nyu_train795.zip#train"}, NYU.camera),
        ({"fcrn_mobile.training_data": "folder:rooms"}, UNKNOWN),
        ({"fcrn_mobile.camera": "{"}, UNKNOWN),
        ({"fcrn_mobile.camera": "[1]"}, UNKNOWN),
        (metadata(lens="x"), UNKNOWN),
        (NETWORK | {"fcrn_mobile.output_units": "up to scale"}, None),
    ],
)
def test_a_model_says_its_camera_or_its_data_does(written: dict[str, str], camera: TrainingCamera | None) -> None:
    assert network_camera(written) == camera


def test_on_the_data_of_the_builtin_network_nothing_changes(real_frames: Source) -> None:
    """NYU at 320 px, known by its file's name: the figures are those of the predictions as they are, to the last bit."""
    few, runtime, rule = Subset(real_frames, (3, 50)), open_runtime("builtin"), protocol("eigen")
    assert focus_on(runtime, few).factor((240, 320)) == 1
    metrics = DepthMetrics(rule)
    for index in range(len(few)):
        metrics.update(runtime.predict(few[index].image), few[index].depth, few[index].name)
    assert evaluate(runtime, few, rule).compute() == metrics.compute()


def test_real_pictures_of_another_camera_are_measured_in_its_metres(real_data: Path) -> None:
    """TUM's freiburg1 at 320 px: 270.0 px against NYU's 259.45 px of the same width."""
    whole = open_source(f"folder:{real_data}/more_rgbd/tum_fr1_rpy?fx=270.0")
    few, runtime, rule = Subset(whole, (0, 30, 60)), open_runtime("builtin"), protocol("eigen")
    scaled, plain = DepthMetrics(rule), DepthMetrics(rule)
    for index in range(len(few)):
        sample, depth = few[index], runtime.predict(few[index].image)
        scaled.update(depth * np.float32(270.0 / 259.45), sample.depth, sample.name)
        plain.update(depth, sample.depth, sample.name)
    result = evaluate(runtime, few, rule).compute()
    assert result["abs_rel"] == pytest.approx(scaled.compute()["abs_rel"], rel=1e-6)
    assert result["rmse"] == pytest.approx(scaled.compute()["rmse"], rel=1e-6)
    assert abs(float(result["abs_rel"]) - float(plain.compute()["abs_rel"])) > 1e-3
