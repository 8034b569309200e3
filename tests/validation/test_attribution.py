"""Attribution against sums of NumPy, packages in which coremltools changed one operator only, and faults planted into networks."""

import math
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.validation.attribution import Attribution, attribute, spread
from fcrn_mobile.validation.op_drift import HALF_PRECISION_DB, OpDrift
from tests.mil.build import mb, save_program
from tests.validation.planted import Small, mean_abs_rel, pictures, quantize, quantize_activations, save_small, scale_inside

INPUT_SIZE = (64, 96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("small")


@pytest.fixture(scope="module")
def single(folder) -> Path:
    """The small network in single precision."""
    return save_small(folder, "single", "FLOAT32")


@pytest.fixture(scope="module")
def half(folder) -> Path:
    return save_small(folder, "half", "FLOAT16")


@pytest.fixture(scope="module")
def rooms() -> list[np.ndarray]:
    return spread(open_source("sample"), 2)


def by_name(result: Attribution) -> dict[str, OpDrift]:
    return {op.name: op for op in result.ops}


def diagnose(reference: Path, candidate: Path, images: list[np.ndarray], arithmetic="float16") -> Attribution:
    return attribute(Program.load(reference), Program.load(candidate, arithmetic), images)


def test_the_ratio_is_that_of_numpy_pooled_over_the_images(single, half) -> None:
    images = pictures(3)
    powers: dict[str, float] = {}
    noises: dict[str, float] = {}
    candidate = Program.load(half, "float16")
    for image in images:
        truth = {name: tensor.astype(np.float64) for name, tensor in Program.load(single).trace({"image": image})}
        for name, tensor in candidate.trace({"image": image}):
            plain = name.removesuffix("_cast_fp16")
            if plain in truth:
                powers[plain] = powers.get(plain, 0) + (truth[plain] ** 2).sum()
                noises[plain] = noises.get(plain, 0) + ((tensor - truth[plain]) ** 2).sum()
    result = attribute(Program.load(single), candidate, images)
    assert len(result.matched) == len(powers) == 9
    for op in result.matched:
        assert op.snr_db == pytest.approx(10 * np.log10(powers[op.name] / noises[op.name]), abs=1e-4)


def test_an_operator_starts_from_the_worst_of_its_inputs(single, half) -> None:
    ops = by_name(diagnose(single, half, pictures()))
    assert ops["_inversed_input_1"].input_snr_db == math.inf
    assert ops["input_7"].input_snr_db == min(ops["input_5"].snr_db, ops["var_30"].snr_db)  # the residual sum
    assert ops["input_3"].fall_db == pytest.approx(min(ops["_inversed_input_1"].snr_db, HALF_PRECISION_DB) - ops["input_3"].snr_db)


def test_half_precision_leaves_the_ratio_that_the_formula_says() -> None:
    generator = np.random.default_rng(0)
    values = np.exp2(generator.uniform(-8, 8, 1_000_000))
    error = values.astype(np.float16).astype(np.float64) - values
    # Over whole octaves, each weighs by the energy in it: the formula is for one.
    octave = np.exp2(generator.uniform(0, 1, 1_000_000))
    error = octave.astype(np.float16).astype(np.float64) - octave
    assert 10 * np.log10((octave**2).sum() / (error**2).sum()) == pytest.approx(HALF_PRECISION_DB, abs=0.02)


def test_equal_programs_do_not_drift(single) -> None:
    result = diagnose(single, single, pictures(), "float32")
    assert result.suspect is None
    assert result.worst == ()
    assert result.reference_only == 0
    assert {op.snr_db for op in result.ops} == {math.inf}
    assert {op.fall_db for op in result.ops} == {0.0}


@pytest.mark.parametrize("name", ["input_3", "var_30", "input_11_has_output_shape", "depth"])
def test_own_drift_is_that_of_a_package_in_which_only_this_operator_is_compressed(name, single, tmp_path) -> None:
    images = pictures()
    everything = quantize(single, tmp_path / "all.mlpackage")
    alone = quantize(single, tmp_path / "one.mlpackage", only=name)
    own = by_name(diagnose(single, everything, images))[name].own
    expected = mean_abs_rel(alone, single, images)
    assert own is not None
    assert expected > 1e-6
    assert own.drift == pytest.approx(expected, rel=1e-4)
    assert own.activations is None


def test_own_drift_of_the_built_in_network_is_that_of_such_a_package(packages, tmp_path, rooms) -> None:
    everything = quantize(packages["fp32"], tmp_path / "all.mlpackage")
    result = diagnose(packages["fp32"], everything, rooms)
    for op in (result.worst[0], result.worst[20]):
        alone = quantize(packages["fp32"], tmp_path / f"{op.name}.mlpackage", only=op.name)
        assert op.own_drift == pytest.approx(mean_abs_rel(alone, packages["fp32"], rooms), rel=1e-3)
    assert result.worst[0].own_drift > 1e-3
    assert len(result.worst) == 70


def test_exports_of_three_precisions_match_but_for_the_input_s_cast(packages, rooms) -> None:
    for precision in ("fp16", "int8"):
        result = diagnose(packages["fp32"], packages[precision], rooms[:1])
        assert [op.kind for op in result.ops if not op.matched] == ["cast"]
        assert result.reference_only == 1  # the cast to its image output


@pytest.mark.parametrize("name", ["input_3", "var_30", "depth"])
def test_drift_by_activations_is_that_of_a_package_in_which_only_this_input_is_quantized(name, half, tmp_path) -> None:
    images = pictures()
    everything = quantize_activations(half, tmp_path / "all.mlpackage", images)
    alone = quantize_activations(half, tmp_path / "one.mlpackage", images, only="depth" if name == "depth" else f"{name}_cast_fp16")
    ops = by_name(diagnose(half, everything, images))
    expected = mean_abs_rel(alone, half, images)
    assert expected > 5e-6
    assert ops[name].own.activations == pytest.approx(expected, rel=0.02)
    assert ops[name].own.drift == ops[name].own.activations  # half against half: the weights are equal


def test_multiples_inside_a_quantized_sum_are_no_noise(half, tmp_path) -> None:
    """Quantized tensors are added by coremltools as multiples of their scale; the values behind it are the float program's again."""
    images = pictures()
    path = quantize_activations(half, tmp_path / "all.mlpackage", images)
    raw = dict(Program.load(path).trace({"image": images[0]}))["input_7_cast_fp16"]
    truth = dict(Program.load(half).trace({"image": images[0]}))["input_7_cast_fp16"]
    factor = float((raw * truth).sum() / (truth**2).sum())
    assert factor > 10  # so that a plain difference would be meaningless
    by_hand = 10 * np.log10((truth**2).sum() / ((raw / factor - truth) ** 2).sum())
    assert by_name(diagnose(half, path, images[:1], "float32"))["input_7"].snr_db == pytest.approx(by_hand, abs=0.2)


def test_a_range_that_cuts_off_values_is_named_saturation(half, tmp_path) -> None:
    images = pictures()
    path = quantize_activations(half, tmp_path / "cut.mlpackage", images, shrink={"input_cast_fp16": 0.3})
    result = diagnose(half, path, images)
    assert result.suspect is not None
    assert (result.suspect.name, result.suspect.reason) == ("depth", "saturation")
    assert "calibrate" in result.suspect.remedy
    values = np.concatenate([dict(Program.load(path).trace({"image": image}))["input_cast_fp16"].ravel() for image in images])
    limit = 0.3 * max(float(dict(Program.load(half).trace({"image": image}))["input_cast_fp16"].max()) for image in images)
    assert by_name(result)["depth"].clipped == pytest.approx(float((values > limit * 127.5 / 127).mean()), abs=2e-3)
    assert by_name(result)["var_30"].clipped < 1e-3


@pytest.fixture(scope="module")
def altered(tmp_path_factory):
    """The built-in network with a change in memory, exported in a precision."""
    folder = tmp_path_factory.mktemp("altered")

    def save(name: str, precision: str, *change) -> Path:
        network = load_checkpoint("builtin").network
        scale_inside(network, *change)
        out = folder / f"{name}-{precision}.mlpackage"
        recipe = Recipe(precision=precision, output="array", input_size=INPUT_SIZE)
        export(Checkpoint(name, network), recipe, out)
        return out

    return save


def test_a_planted_overflow_is_named_first(altered, rooms) -> None:
    """Up-projection 1 scaled up beyond half precision between its convolutions, and down again: single precision does not notice."""
    single, half = altered("large", "fp32", 1, 3e4), altered("large", "fp16", 1, 3e4)
    depth = Program.load(single).predict({"image": np.zeros((*INPUT_SIZE, 3), np.uint8)})["depth"]
    assert np.isfinite(depth).all()
    result = diagnose(single, half, rooms)
    assert result.suspect is not None
    assert result.suspect.reason == "overflow"
    assert result.suspect.weights.startswith("decoder_1_conv1_kernels")
    first = next(op for op in result.ops if op.beyond)
    assert first.name == result.suspect.name
    assert all(math.isfinite(op.snr_db) or op.snr_db > 0 for op in result.matched if op.index < first.index)
    assert "fp32" in result.suspect.remedy


def test_a_planted_outlier_channel_is_named_first(altered, rooms, tmp_path) -> None:
    """One channel 300 times larger, and smaller again in the next convolution: it takes the only scale from the other channels."""
    single = altered("outlier", "fp32", 1, 300.0, slice(5, 6))
    per_tensor = quantize(single, tmp_path / "tensor.mlpackage", granularity="per_tensor")
    result = diagnose(single, per_tensor, rooms)
    assert result.suspect is not None
    assert result.suspect.reason == "outlier channel"
    assert result.suspect.weights.startswith("decoder_1_conv1_kernels")
    assert "output channel 5 of" in result.suspect.detail
    assert result.worst[0].name == result.suspect.name
    # With a scale of its own for each channel it does no harm.
    per_channel = diagnose(single, quantize(single, tmp_path / "channel.mlpackage", granularity="per_channel"), rooms)
    assert per_channel.suspect is not None
    assert not per_channel.suspect.weights.startswith("decoder_1_conv1_kernels")
    assert per_channel.suspect.reason == "weights"


def test_an_outlier_value_is_found_in_any_channel_it_shares_a_scale_with(folder, tmp_path) -> None:
    network = Small()
    network.second.weight.data[2, 3, 1, 1] = 60.0
    single = save_small(folder, "value", "FLOAT32", network=network)
    result = diagnose(single, quantize(single, tmp_path / "tensor.mlpackage", granularity="per_tensor"), pictures())
    own = by_name(result)["var_30"].own
    assert own is not None
    assert own.outlier is not None
    assert own.outlier.channel == {"output": 2, "input": 3}[own.outlier.axis]
    assert own.outlier.ratio > 100


def test_the_neural_engine_s_limit_is_counted_where_it_applies(folder) -> None:
    """A convolution between the published limit of about 32,750 and float16's 65,504 runs over in one simulation only."""
    network = Small()
    network.first.weight.data.abs_().mul_(40_000 / float(network.first.weight.data.abs().sum((1, 2, 3)).max()))
    network.second.weight.data /= 1e4
    network.up.weight.data /= 1e4
    single, half = (save_small(folder, f"engine{p}", p, network=network) for p in ("FLOAT32", "FLOAT16"))
    white = [np.full((24, 32, 3), 255, np.uint8)]
    assert diagnose(single, half, white, "float16").suspect.reason != "overflow"
    suspect = diagnose(single, half, white, "ane").suspect
    assert (suspect.name, suspect.reason) == ("input_3", "overflow")


def test_under_float32_what_half_precision_could_not_hold_is_counted_all_the_same(folder) -> None:
    network = Small()
    network.first.weight.data *= 1e6
    network.up.weight.data /= 1e6
    single, half = (save_small(folder, f"counted{p}", p, network=network) for p in ("FLOAT32", "FLOAT16"))
    images = pictures()
    op = by_name(diagnose(single, half, images, "float32"))["input_5"]
    values = np.concatenate([dict(Program.load(half).trace({"image": image}))["input_5_cast_fp16"].ravel() for image in images])
    assert op.beyond == pytest.approx(float((np.abs(values) > 65504).mean()))
    assert op.beyond > 0


def test_programs_that_have_nothing_in_common_are_refused(single, folder) -> None:
    def other(x0):
        return mb.sigmoid(x=mb.tanh(x=x0, name="a"), name="b")

    stranger = Program.load(save_program(folder, other, [np.zeros((1, 3, *(24, 32)), np.float32)]))
    with pytest.raises(InputError, match="the candidate takes 'x0', FLOAT32 array 1×3×24×32: a depth model takes one RGB image"):
        attribute(Program.load(single), stranger, pictures())
    import torch
    from torch import nn

    class Stranger(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean(1, keepdim=True).sigmoid().tanh().exp()

    path = save_small(folder, "stranger", "FLOAT32", network=Stranger())
    with pytest.raises(InputError, match="operators are in the reference: give two exports of the same network"):
        diagnose(single, path, pictures())


def test_other_sizes_and_no_images_are_refused(single, folder) -> None:
    larger = save_small(folder, "larger", "FLOAT32", size=(32, 32))
    with pytest.raises(InputError, match="the reference takes 24×32 pixels, the candidate 32×32"):
        diagnose(single, larger, pictures())
    with pytest.raises(InputError, match="no images"):
        diagnose(single, single, [])


def test_the_chosen_images_lie_evenly_over_the_data() -> None:
    source = open_source("sample")
    chosen = spread(source, 3)
    for image, index in zip(chosen, (0, 12, 23), strict=True):
        np.testing.assert_array_equal(image, source[index].image)
    assert len(spread(source, 1000)) == 24
