"""Ranges of activations and their quantization: against NumPy over traced tensors, brute force, and scales by hand."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcrn_mobile.conversion import activations
from fcrn_mobile.conversion.activations import as_program, quantize_activations
from fcrn_mobile.conversion.artefact import provenance
from fcrn_mobile.conversion.calibration import (
    calibrated_on,
    calibration_images,
    calibration_notes,
    check_unseen,
    content_hash,
)
from fcrn_mobile.conversion.ranges import Range, measure_ranges, shared
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.package.metadata import key
from fcrn_mobile.quantize.clipping import BINS, histogram, mse_clip, percentile_clip
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct

SIZE = (16, 24)


class Small(nn.Module):
    """Convolution and ReLU6, a padded one, a residual addition, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem(x / 64))
        x = x + self.body(F.pad(x, (0, 2, 1, 1)))
        return self.head(F.relu(x))


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    with quiet_coremltools():
        return ct.convert(
            torch.jit.trace(Small().eval(), torch.rand(1, 3, *SIZE)),
            inputs=[ct.ImageType("image", (1, 3, *SIZE), color_layout=ct.colorlayout.RGB)],
            outputs=[ct.TensorType("y")],
            minimum_deployment_target=ct.target.iOS17,
            skip_model_load=True,
        )


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """The last is the dullest: ranges of it alone are narrower."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, top, (*SIZE, 3), np.uint8) for top in (255, 90, 30)]


def saved(made: Any, folder: Path) -> Program:
    made.save(str(folder / "made.mlpackage"))
    return Program.load(folder / "made.mlpackage")


def test_minmax_is_that_of_all_images_in_numpy(model: Any, images: list[np.ndarray]) -> None:
    program = as_program(model)
    ranges = measure_ranges(program, images, "minmax")
    traces = [dict(program.trace({"image": image})) for image in images]
    (pad,) = (o for o in program.operations if o.kind == "pad")
    for name, found in ranges.items():
        # Before and after the padding the values are the same, and so is the range.
        names = {name, pad.name, *pad.references} if name in {pad.name, *pad.references} else {name}
        values = [trace[each] for trace in traces for each in names]
        assert found.low == pytest.approx(min(v.min() for v in values))
        assert found.high == pytest.approx(max(v.max() for v in values))
    kinds = {o.name: o.kind for o in program.operations}
    assert {"relu", "relu6", "conv", "add", "pad"} <= {kinds[name] for name in ranges}
    last = measure_ranges(program, images[-1:], "minmax")
    assert all(last[name].magnitude <= ranges[name].magnitude for name in ranges)
    assert any(last[name].magnitude < 0.8 * ranges[name].magnitude for name in ranges)


@given(seed=st.integers(0, 10_000), tail=st.floats(1, 6), percentile=st.sampled_from([90.0, 99.0, 99.9, 100.0]))
@settings(max_examples=40, deadline=None)
def test_percentile_is_numpys_to_a_bin(seed: int, tail: float, percentile: float) -> None:
    values = np.abs(np.random.default_rng(seed).normal(size=4000)) ** tail
    peak = float(values.astype(np.float32).max())
    clip = percentile_clip(histogram(torch.from_numpy(values), peak), peak, percentile)
    exact = np.sort(values)[int(np.ceil(round(percentile * values.size / 100, 6))) - 1]
    # The bin's upper edge: nothing of what is to be kept is clipped, and no whole bin beyond it is kept.
    assert -1e-6 * peak <= clip - exact <= peak / BINS * (1 + 1e-6 * BINS)


@pytest.mark.parametrize(("percentile", "edge"), [(50, 1), (50.1, 2), (75, 2), (76, BINS), (100, BINS)])
def test_a_percentile_is_the_upper_edge_of_its_bin(percentile: float, edge: int) -> None:
    """Of four elements: two in the first bin, one in the second, one in the last."""
    counts = np.zeros(BINS)
    counts[[0, 1, BINS - 1]] = 2, 1, 1
    assert percentile_clip(counts, 8.0, percentile) == pytest.approx(8 * edge / BINS)


def operation(kind: str, reads: str, gives: str) -> SimpleNamespace:
    return SimpleNamespace(kind=kind, references=frozenset({reads}), outputs=[SimpleNamespace(name=gives)])


@pytest.mark.parametrize("move", ["pad", "max_pool", "reshape"])
def test_a_relu_behind_what_only_moves_values_has_the_range_of_both(move: str) -> None:
    """Its input is quantized already: with another scale behind the ReLU its output would be rounded twice."""
    program = SimpleNamespace(
        operations=[operation("conv", "image", "conv"), operation(move, "conv", "moved"), operation("relu", "moved", "relu")]
    )
    ranges = {"image": Range(0, 255), "conv": Range(-4, 2), "moved": Range(-4, 3), "relu": Range(0, 3)}
    both = Range(-4, 3)
    assert shared(ranges, program) == {"image": Range(0, 255), "conv": both, "moved": both, "relu": both}  # type: ignore[arg-type]
    # Behind a convolution it is the ReLU's own output that is quantized.
    alone = SimpleNamespace(operations=[operation("conv", "image", "conv"), operation("relu", "conv", "relu")])
    kept = {"conv": Range(-4, 2), "relu": Range(0, 2)}
    assert shared(kept, alone) == kept  # type: ignore[arg-type]


@given(seed=st.integers(0, 10_000), tail=st.floats(1, 5))
@settings(max_examples=25, deadline=None)
def test_mse_clip_is_as_good_as_trying_every_clip(seed: int, tail: float) -> None:
    values = np.random.default_rng(seed).normal(size=4000)
    values = np.sign(values) * np.abs(values) ** tail
    peak = float(np.abs(values).astype(np.float32).max())

    def error(clip: float) -> float:
        scale = clip / 127
        return float(np.mean((np.clip(np.round(values / scale), -128, 127) * scale - values) ** 2))

    best = min(error(peak * share) for share in np.linspace(1 / 16, 1, 400))
    assert error(mse_clip(histogram(torch.from_numpy(values), peak), peak)) <= 1.1 * best


def test_scales_of_the_package_are_magnitude_by_127(model: Any, images: list[np.ndarray], tmp_path: Path) -> None:
    ranges = measure_ranges(as_program(model), images, "minmax")
    with quiet_coremltools():
        program = saved(quantize_activations(model, ranges, lambda names: True), tmp_path)
        spec = ct.models.MLModel(str(tmp_path / "made.mlpackage"), skip_model_load=True).get_spec()
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    assert sum(op.type == "quantize" for op in block.operations) == sum(o.kind == "quantize" for o in program.operations) > 0
    given_by = {o.name: o for o in program.operations}
    for conv in (o for o in program.operations if o.kind == "conv"):
        dequantize = given_by[conv.arguments["x"].name]
        assert dequantize.kind == "dequantize"
        down = given_by[dequantize.arguments["input"].name]
        assert down.kind == "quantize"
        (source,) = down.references
        # The addition runs on multiples, and what follows it too: only tensors that are named as before can be compared.
        if source in ranges and given_by[source].kind != "relu":
            assert float(down.arguments["scale"]) == pytest.approx(ranges[source].magnitude / 127, rel=2e-3)
    exact, coarse = (p.predict({"image": images[0]})["y"] for p in (as_program(model), program))
    assert 0 < np.abs(coarse - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("magnitude", [0.0, 1e-6, 40_000.0, 65_504.0, 1e7])
def test_scales_stay_normal_numbers_of_half_precision_whatever_was_measured(magnitude: float, model: Any, tmp_path: Path) -> None:
    """Twice 32752 is the largest difference that half precision holds; 2^-14 is its smallest normal number."""
    with quiet_coremltools():
        names = [info.name for operation in as_program(model).operations for info in operation.outputs]
        ranges = dict.fromkeys([*names, "image"], Range(-magnitude, magnitude))
        program = saved(quantize_activations(model, ranges, lambda names: True), tmp_path)
    scales = [float(operation.arguments["scale"]) for operation in program.operations if operation.kind == "quantize"]
    assert scales
    expected = min(max(magnitude / 127, 2.0**-14), 32752 / 127)
    # The addition and what follows it run on multiples of their scales.
    assert all(2.0**-14 <= scale < float("inf") for scale in scales)
    assert sum(scale == pytest.approx(expected, rel=2e-3) for scale in scales) > len(scales) // 2


def test_an_excluded_operator_reads_and_gives_half_precision(model: Any, images: list[np.ndarray], tmp_path: Path) -> None:
    recipe = make_recipe({"precision": "a8", "ops": [{"match": "body_*", "activations": "fp16"}]}, "test")
    ranges = measure_ranges(as_program(model), images, "minmax")
    with quiet_coremltools():
        program = saved(quantize_activations(model, ranges, recipe.quantizes_activations), tmp_path)
    given_by = {o.name: o for o in program.operations}
    convs = {o.names["weight"]: o for o in program.operations if o.kind == "conv"}
    body = next(o for name, o in convs.items() if name.startswith("body"))
    pad = given_by[body.arguments["x"].name]
    assert pad.kind == "pad"
    assert given_by[next(iter(pad.references))].kind == "relu6"
    readers = [o.kind for o in program.operations if body.name in o.references]
    assert readers == ["add"]  # an addition goes with the layer that feeds it
    assert given_by[next(o for name, o in convs.items() if name.startswith("stem")).arguments["x"].name].kind == "dequantize"


def test_nothing_left_to_quantize_is_an_error(model: Any, images: list[np.ndarray]) -> None:
    ranges = measure_ranges(as_program(model), images, "minmax")
    with quiet_coremltools(), pytest.raises(InputError, match="no operator is left for int8 activations"):
        quantize_activations(model, ranges, lambda names: False)


@pytest.mark.parametrize(("chosen", "left"), [(True, "float16"), (False, "int8")])
def test_what_coremltools_quantized_otherwise_than_told_is_an_error(
    chosen: bool, left: str, model: Any, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with quiet_coremltools():
        ranges = measure_ranges(as_program(model), images, "minmax")
        made = model if chosen else quantize_activations(model, ranges, lambda names: True)
        monkeypatch.setattr(activations, "changed", lambda *_: made)
        # One at least is to be quantized, or nothing would be left to do.
        first = iter([True])
        with pytest.raises(RuntimeError, match=f"coremltools gave '.*' {left} inputs against the recipe"):
            quantize_activations(model, ranges, lambda names: chosen or next(first, False))


def test_images_are_chosen_by_seed_and_known_by_their_pixels() -> None:
    first, again, other = (calibration_images("sample", 5, seed) for seed in (0, 0, 1))
    assert first.names == again.names != other.names
    assert len(set(first.hashes)) == 5
    copy = first.images[0].copy()
    assert content_hash(copy) == first.hashes[0]
    copy[0, 0, 0] ^= 1
    assert content_hash(copy) != first.hashes[0]
    assert content_hash(copy.reshape(copy.shape[1], copy.shape[0], 3)) != content_hash(copy)


def test_metadata_gives_the_fingerprints_back_and_refuses_a_frame_among_them() -> None:
    images = calibration_images("sample#train", 20)
    metadata = images.to_metadata()
    assert len(metadata[key("calibration")]) < 400
    assert calibrated_on(metadata) == set(images.hashes)
    assert calibrated_on({}) == frozenset()
    validation = open_source("sample#val")
    for index in range(len(validation)):
        check_unseen(validation[index], calibrated_on(metadata))
    everything = open_source("sample")
    frame = everything[everything.names.index(images.names[3])]
    with pytest.raises(InputError, match=f"frame '{images.names[3]}' of 'sample' is one of the calibration images.*sample#val"):
        check_unseen(frame, calibrated_on(metadata), "sample")
    with pytest.raises(InputError, match="is not readable"):
        calibrated_on({key("calibration"): json.dumps({"hashes": 3})})


@pytest.mark.parametrize(
    ("data", "count", "message"),
    [
        ("", 4, "no calibration data"),
        ("sample#test", 4, "unknown split '#test'"),
        ("sample#val", 9, "asks for 9 images, 'sample#val' holds 4"),
    ],
)
def test_unusable_calibration_data_says_what_to_give(data: str, count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration_images(data, count)


SAID = {"precision": "w8a8", "calibration": {"data": "sample#train", "images": 3, "seed": 2}}


def test_metadata_name_the_calibration_data_without_folders() -> None:
    recipe = make_recipe(SAID | {"calibration": {"data": "folder:/home/me/secret/rooms.zip#train"}}, "test")
    metadata = provenance(Checkpoint("net", FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))), recipe, coreml=True)
    assert json.loads(metadata["fcrn_mobile.recipe"])["calibration"]["data"] == "folder:rooms.zip#train"
    assert "secret" not in "".join(metadata.values())
    assert recipe.calibration and recipe.calibration.data == "folder:/home/me/secret/rooms.zip#train"


@pytest.mark.parametrize(
    ("values", "trained", "expected"),
    [
        ({"precision": "fp16"}, "folder:nyu.zip#train", []),
        ({"precision": "int8"}, "folder:nyu.zip#train", []),
        (SAID, "sample#train", ["calibrated on 3 images of sample#train, seed 2"]),
        (
            SAID,
            "folder:nyu.zip#train",
            ["calibrated on 3 images", "warning: that is the built-in sample, 'net' was trained on"],
        ),
        (SAID | {"calibration": {"data": "folder:mine#train"}}, "folder:nyu.zip", ["calibrated on 24 images of folder:mine#train, seed 0"]),
        ({"precision": "int8", "correct": {}}, "sample", []),
        (
            {"precision": "int8", "correct": {}, "calibration": {"data": "folder:mine#train"}},
            "x",
            ["corrected on 24 images of folder:mine"],
        ),
        (SAID | {"correct": {}}, "sample", ["calibrated and corrected on 3 images of sample#train"]),
    ],
)
def test_a_user_is_told_what_was_calibrated_on(values: dict[str, Any], trained: str, expected: list[str]) -> None:
    checkpoint = Checkpoint("net", FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8))), TrainingRecord(data=trained))
    notes = calibration_notes(checkpoint, make_recipe(values, "test"))
    assert len(notes) == len(expected)
    for note, start in zip(notes, expected, strict=True):
        assert note.startswith(start)
