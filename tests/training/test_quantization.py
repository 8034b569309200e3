"""Recovery from quantization by training: the learned grid, its way through checkpoint and package, and what it gains."""

import csv
import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.cluster import KMeans
from torch import nn

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.quantized import ActivationQuantizer, Quantization
from fcrn_mobile.quantize.grids import Integers
from fcrn_mobile.quantize.scheme import LEARNED
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.training.distillation import relative_difference
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.quantization import QuantizationAware
from fcrn_mobile.training.quantizers import LearnedActivation, LearnedIntegers, LearnedTable, kmeans
from fcrn_mobile.training.run import Run, make_run
from fcrn_mobile.training.train import resume, train
from tests.conftest import settled
from tests.journeys.command import call, refused  # noqa: F401 - a fixture

#: Every kind of convolution: transposed, of phases and plain ones; channels that blocks of 32 divide and some that they don't.
#: Its normalisation is exact in half precision, so that nothing but the quantization separates package and network.
SMALL = preset("fcrn-plain", widths=(32, 32, 16, 8), input_size=(32, 48), mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float checkpoint whose depths are around three metres."""
    torch.manual_seed(0)
    network = settled(FCRN(SMALL))
    with torch.no_grad():
        network.head.weight.mul_(0.1)
        network.head.bias.fill_(3)
    path = tmp_path_factory.mktemp("float") / "float.safetensors"
    save_checkpoint(network, path)
    return path


def settings_for(start: Path, scheme: str, **changes: Any) -> Run:
    asked = {"data": "sample#val", "val_data": "sample#val", "resume": str(start), "quantization": scheme, "batch_size": 4, "lr": 0.02}
    return make_run(asked | {"epochs": 2, "max_scale": 1.0, "max_degrees": 0.0, "jitter": 0.0, "random_crop": False} | changes)


@pytest.fixture(scope="module")
def tuned(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """The network fine-tuned for a scheme on four frames, saved and read again."""
    made: dict[str, Checkpoint] = {}

    def checkpoint(scheme: str) -> Checkpoint:
        if scheme not in made:
            aware, path = fine_tuned(start, scheme, steps=40), tmp_path_factory.mktemp(scheme) / "tuned.safetensors"
            save_checkpoint(aware.finished(), path, quantization=aware.quantization())
            made[scheme] = load_checkpoint(str(path))
        return made[scheme]

    return checkpoint


def fine_tuned(start: Path, scheme: str, steps: int) -> QuantizationAware:
    network = load_checkpoint(str(start)).network
    reference, aware = deploy(network), QuantizationAware(network, scheme).train()
    optimizer = torch.optim.Adam([parameter for parameter in aware.parameters() if parameter.requires_grad], 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        relative_difference(aware(images()), reference(images())).mean().backward()
        optimizer.step()
    return aware.eval()


@pytest.fixture(scope="module")
def package(tuned: Callable[[str], Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The fine-tuned network's package."""
    made: dict[str, Path] = {}

    def path(scheme: str) -> Path:
        if scheme not in made:
            made[scheme] = tmp_path_factory.mktemp("packages") / f"{scheme}.mlpackage"
            export(tuned(scheme), recipe(scheme), made[scheme])
        return made[scheme]

    return path


def recipe(scheme: str) -> Recipe:
    return make_recipe(LEARNED[scheme] | {"output": "array"}, "test")


def frames() -> list[np.ndarray]:
    source = open_source("sample#val")
    height, width = SMALL.input_size
    return [np.ascontiguousarray(source[i].image[:height, :width]) for i in range(len(source))]


def outputs(package: Path, arithmetic: str = "float32") -> np.ndarray:
    program = Program.load(package, arithmetic)
    return np.concatenate([program.predict({"image": frame})["depth"] for frame in frames()])


def images() -> torch.Tensor:
    return torch.from_numpy(np.stack(frames())).permute(0, 3, 1, 2).float() / 255


def computed(network: nn.Module) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = network(images()).numpy()
    return result


def drift(outputs: np.ndarray, reference: np.ndarray) -> float:
    return float(np.mean(np.abs(outputs - reference) / reference))


def operators(package: Path, kind: str) -> dict[str, dict[str, np.ndarray]]:
    """Constant parameters of the operators of a kind, by name, as coremltools reads them from the package."""
    with quiet_coremltools():
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto.load import load

        model = ct.models.MLModel(str(package), skip_model_load=True)
        specification = model.get_spec()
        program = load(specification, specification.specificationVersion, model.weights_dir)
        found = [op for op in program.functions["main"].operations if op.op_type.startswith(kind)]
        return {op.name: {name: var.val for name, var in op.inputs.items() if var.val is not None} for op in found}


@pytest.mark.parametrize("scheme", LEARNED)
def test_the_package_holds_the_learned_integers_tables_and_scales_exactly(scheme, tuned, package) -> None:
    quantization = tuned(scheme).quantization
    held = {
        name.removesuffix("_quantized").removesuffix("_palettized"): values
        for name, values in operators(package(scheme), "constexpr_").items()
    }
    assert len(held) == len(quantization.weights) > 10
    for name, weight in quantization.weights.items():
        stored = next(values for key, values in held.items() if key.startswith(name.replace(".", "_")))
        if isinstance(weight.grid, Integers):
            integers = stored.get("data", stored.get("quantized_data"))
            np.testing.assert_array_equal(integers.astype(int), weight.codes.numpy().astype(int))
            np.testing.assert_array_equal(stored["scale"].astype(np.float32).ravel(), weight.grid.scale.numpy().ravel())
            assert np.all(stored.get("zero_point", np.zeros(1)) == 0)
        else:
            np.testing.assert_array_equal(stored["indices"], weight.codes.numpy())
            np.testing.assert_array_equal(stored["lut"].astype(np.float32)[..., 0], weight.grid.entries.numpy())


def test_the_package_holds_the_learned_ranges_exactly(tuned, package) -> None:
    ranges = tuned("w8a8").quantization.ranges.values()
    made = operators(package("w8a8"), "quantize")
    assert len(made) == len(operators(package("w8a8"), "dequantize")) == len(ranges) > 5
    learned = sorted((limits.scale, "int8" if limits.signed else "uint8") for limits in ranges)
    assert sorted((float(values["scale"]), str(values["output_dtype"])) for values in made.values()) == learned
    assert not any("zero_point" in values for values in made.values())


@pytest.mark.parametrize("scheme", LEARNED)
def test_the_package_computes_what_was_trained(scheme, tuned, package) -> None:
    trained = computed(tuned(scheme).network)
    error = np.abs(outputs(package(scheme)) - trained) / trained
    if scheme == "w8a8":
        # Sums in another order put single activations on the next step of their grid.
        assert np.mean(error) < 5e-4
    else:
        assert error.max() < 1e-5


@pytest.mark.parametrize("scheme", ["int4", "palette4"])
def test_fine_tuning_lowers_the_drift_of_the_package(scheme, start, package, tmp_path) -> None:
    reference = computed(deploy(load_checkpoint(str(start)).network))
    export(load_checkpoint(str(start)), recipe(scheme), tmp_path / "naive.mlpackage")
    naive_drift = drift(outputs(tmp_path / "naive.mlpackage", "float16"), reference)
    assert drift(outputs(package(scheme), "float16"), reference) < 0.7 * naive_drift


@pytest.mark.parametrize("scheme", ["int4", "palette4", "w8a8"])
def test_a_checkpoint_rebuilds_the_quantized_network(scheme, tuned, tmp_path) -> None:
    checkpoint = tuned(scheme)
    save_checkpoint(checkpoint.network, tmp_path / "copy.safetensors", quantization=checkpoint.quantization)
    copy = load_checkpoint(str(tmp_path / "copy.safetensors"))
    np.testing.assert_array_equal(computed(copy.network), computed(checkpoint.network))
    assert copy.quantization.settings == LEARNED[scheme]
    assert copy.quantization.ranges == checkpoint.quantization.ranges
    tensors = load_file(tmp_path / "copy.safetensors")
    assert {tensors[name].dtype for name in copy.quantization.weights} <= {torch.int8, torch.uint8}


def validation_frames(run):
    return run.hyper.objective.data(run).validation_frames


def test_a_run_keeps_the_checkpoint_that_is_closest_to_the_float_network(start, tmp_path) -> None:
    checkpoint = train(settings_for(start, "int4", epochs=3), tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        measured = [float(row["val/fidelity"]) for row in csv.DictReader(file) if row["val/fidelity"]]
    assert len(measured) == 3
    assert checkpoint.metrics["fidelity"] == pytest.approx(min(measured), rel=1e-5)
    reference, data = load_checkpoint(str(start)).network, validation_frames(settings_for(start, "int4"))
    pictures = torch.stack([data[index][0] for index in range(len(data))])
    with torch.no_grad():
        ours, theirs = checkpoint.network(pictures).numpy(), reference(pictures).numpy()
    assert checkpoint.metrics["fidelity"] == pytest.approx(drift(ours, theirs), rel=1e-3)
    assert checkpoint.training.hyperparameters["quantization"] == "int4"


def test_an_interrupted_run_ends_where_an_undisturbed_one_does(start, tmp_path, broken_off) -> None:
    run = settings_for(start, "w8a8", epochs=2)
    train(run, tmp_path / "whole")
    broken_off(run, tmp_path / "parts")
    assert load_checkpoint(str(tmp_path / "parts" / "last.safetensors")).quantization is not None
    resume(tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    whole, parts = (load_checkpoint(str(tmp_path / name / "last.safetensors")).quantization for name in ("whole", "parts"))
    assert whole.ranges == parts.ranges


@settings(max_examples=30, deadline=None)
@given(bits=st.sampled_from([4, 8]), magnitude=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_integers_start_within_half_a_step_of_the_weight_or_clipped(bits, magnitude, seed) -> None:
    weight = magnitude * torch.randn(6, 8, 3, 3, generator=torch.Generator().manual_seed(seed))
    learned = LearnedIntegers(weight, bits, torch.Size((6, 2, 1, 1)))
    stored = learned.quantized()
    scale = stored.grid.scale.numpy()
    assert np.array_equal(scale, scale.astype(np.float16).astype(np.float32))
    limit = 2 ** (bits - 1) - 1
    step = np.repeat(scale, 4, 1)
    expected = np.clip(np.round(weight.numpy() / step), -limit, limit)
    np.testing.assert_array_equal(stored.codes.numpy(), expected)
    np.testing.assert_allclose(learned().detach().numpy(), expected * step, rtol=1e-6)
    assert torch.equal(stored.expanded(), learned().detach())


def test_rounding_passes_gradients_except_where_it_clips() -> None:
    learned = LearnedIntegers(torch.tensor([[0.3, -0.7, 1.0]]), 4, torch.Size((1, 1)))
    with torch.no_grad():
        learned.steps.copy_(torch.tensor([[2.2, -9.0, 6.6]]))
    learned().sum().backward()
    scale = float(learned.quantized().grid.scale)
    np.testing.assert_allclose(learned.steps.grad.numpy(), [[scale, 0, scale]], rtol=1e-6)
    # Esser et al. 2020, equation 3: round(v) - v inside, the limit outside; the scale grows with exp(0.1 · stretch).
    np.testing.assert_allclose(learned.stretch.grad.numpy(), [[0.1 * scale * ((2 - 2.2) - 7 + (7 - 6.6))]], rtol=1e-5)


@pytest.mark.parametrize("clusters", [2, 16])
def test_a_table_starts_with_the_best_clusters_there_are(clusters: int) -> None:
    # Heavy tails, as the weights of several channels together have.
    values = np.random.default_rng(0).standard_t(2.5, (3, 3000)).astype(np.float32)
    for row, found in zip(values, kmeans(torch.from_numpy(values), clusters).numpy(), strict=True):
        best = KMeans(clusters, n_init=20, random_state=0).fit(row[:, None])
        assert (np.diff(found) > 0).all()
        assert np.square(row[:, None] - found).min(1).sum() < 1.001 * best.inertia_


def test_few_values_are_their_own_centres() -> None:
    rows = torch.tensor([[0.25] * 6, [0.0, 0.0, 0.0, -3.0, 5.0, 5.0]])
    np.testing.assert_allclose(kmeans(rows, 4).numpy(), [[0.25] * 4, [-3, 0, 5, 5]])


def test_an_entry_of_a_table_gets_the_gradients_of_all_weights_that_take_it() -> None:
    weight = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    learned = LearnedTable(weight, 4, torch.Size((2, 1, 1, 1)))
    upstream = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    learned().backward(upstream)
    stored = learned.quantized()
    indices, table = stored.codes.numpy().reshape(2, -1), stored.grid.entries.numpy().reshape(2, -1)
    nearest = np.abs(weight.numpy().reshape(2, -1, 1) - table[:, None]).argmin(-1)
    np.testing.assert_array_equal(indices, nearest)
    np.testing.assert_array_equal(stored.expanded().numpy().reshape(2, -1), np.take_along_axis(table, indices, 1))
    sums = np.stack([np.bincount(i, u, 16) for i, u in zip(indices, upstream.numpy().reshape(2, -1), strict=True)])
    np.testing.assert_allclose(learned.entries.grad.numpy(), sums * learned.unit.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(learned.values.grad.numpy(), upstream.numpy().reshape(2, -1) * learned.unit.numpy(), rtol=1e-5)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_range_is_the_largest_magnitude_seen_and_unsigned_without_negative_values(low) -> None:
    limits = LearnedActivation().train()
    for peak in (1.0, 4.0, 2.0):
        x = torch.linspace(low, peak, 1001)
        limits(x)
    stored = limits.quantized()
    assert stored.signed == (low < 0)
    assert stored.scale == pytest.approx(4 / (127 if low < 0 else 255), rel=1e-3)
    x = torch.linspace(2 * low, 5, 997)
    kind = torch.qint8 if stored.signed else torch.quint8
    expected = torch.quantize_per_tensor(x, stored.scale, 0, kind).dequantize()
    torch.testing.assert_close(limits.eval()(x).detach(), expected, atol=0, rtol=1e-6)
    torch.testing.assert_close(ActivationQuantizer(stored.scale, stored.signed)(nn.Identity(), (x,))[0], expected, atol=0, rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--quantization", "int3", "--resume", "builtin"], ["unknown quantization 'int3'", "palette4"]),
        (["--quantization", "int4"], ["--quantization int4", "--resume", "builtin"]),
        (["--quantization", "int4", "--resume", "builtin", "--loss", "berhu"], ["--loss does not go with --quantization int4"]),
        (["--quantization", "int4", "--resume", "missing.safetensors"], ["no checkpoint at 'missing.safetensors'"]),
    ],
)
def test_bad_use_is_one_line(words, complaint, call, tmp_path) -> None:  # noqa: F811
    refused(call("train", "--data", "sample", "--out", "run", *words), *complaint)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def quantized(start: Path, tmp_path: Path) -> Path:
    """An untrained checkpoint on the grid of int4."""
    aware = QuantizationAware(load_checkpoint(str(start)).network, "int4")
    save_checkpoint(aware.finished(), tmp_path / "int4.safetensors", quantization=aware.quantization())
    return tmp_path / "int4.safetensors"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--precision", "fp16"], ["'int4' was trained as int4", "recipe 'fcrn' (fp16) contradicts", "export it with --precision int4"]),
        (["--precision", "palette4"], ["(palette4) contradicts"]),
        (["--precision", "w8a8"], ["(w8a8) contradicts"]),
    ],
)
def test_a_recipe_that_contradicts_the_checkpoint_is_refused(words, complaint, quantized, call, tmp_path) -> None:  # noqa: F811
    refused(call("export", quantized.name, *words, "--out", "depth.mlpackage"), *complaint)
    assert not (tmp_path / "depth.mlpackage").exists()


def test_what_a_shipped_recipe_corrects_where_it_can_is_passed_over(quantized, call, tmp_path) -> None:  # noqa: F811
    shipped = Path(__file__).parents[2] / "export" / "int4.toml"
    made = call("export", quantized.name, "--recipe", str(shipped), "--out", "depth.mlpackage")
    assert made.returncode == 0, made.stderr
    assert "int4: " in made.stdout
    (tmp_path / "asks.toml").write_text(f"{shipped.read_text()}bias = true\n")
    for words, complaint in (
        (["--recipe", str(shipped), "--calibration", "sample#train"], "leave calibration out"),
        (["--recipe", "asks.toml"], "leave correct.bias out"),
    ):
        refused(call("export", quantized.name, *words, "--out", "other.mlpackage"), "trained as it is to be stored", complaint)
        assert not (tmp_path / "other.mlpackage").exists()


def test_only_a_package_holds_a_learned_quantization(quantized, call) -> None:  # noqa: F811
    refused(call("export", quantized.name, "--out", "depth.onnx"), "was trained as int4", ".mlpackage")


def test_a_quantized_checkpoint_is_no_start(quantized, call) -> None:  # noqa: F811
    refused(call("train", "--data", "sample", "--resume", quantized.name, "--out", "run"), "is quantized (int4)", "float checkpoint")


def test_a_damaged_quantization_is_named(quantized, call, tmp_path) -> None:  # noqa: F811
    checkpoint = load_checkpoint(str(quantized))
    weights = dict(checkpoint.quantization.weights)
    weights["decoder.missing"] = weights.pop(next(iter(weights)))
    broken = Quantization(LEARNED["int4"], weights)
    save_checkpoint(checkpoint.network, tmp_path / "broken.safetensors", quantization=broken)
    refused(call("export", "broken.safetensors", "--out", "depth.mlpackage"), "'broken.safetensors'", "do not fit")


def test_tables_that_do_not_divide_the_channels_are_refused(start) -> None:
    network = FCRN(replace(SMALL, widths=(32, 32, 18, 8))).eval()
    with pytest.raises(InputError, match="8 output channels"):
        QuantizationAware(network, "palette4")


def test_phases_learn_biases_of_their_own(start) -> None:
    network = load_checkpoint(str(start)).network
    before = computed(network)
    aware = QuantizationAware(network, "int8")
    (name,) = [name for name in aware.floats if name.endswith("decoder/1/conv/biases/0")]
    with torch.no_grad():
        aware.floats[name].change += 5
    state = aware.finished().state_dict()
    first, *others = (state[f"decoder.1.conv.biases.{index}"] for index in range(4))
    assert not torch.equal(first, others[0])
    assert all(torch.equal(others[0], other) for other in others)
    np.testing.assert_array_equal(computed(network), before)


def test_hyperparameters_of_a_float_run_stay_as_they_were() -> None:
    assert make_run({"data": "sample"}).hyper == Hyperparameters()
    tuned = make_run({"data": "sample", "resume": "builtin", "quantization": "int4"}).hyper
    assert (tuned.epochs, tuned.weight_decay) == (10, 0.0)
    assert make_run({"data": "sample", "resume": "builtin", "quantization": "int4", "weight_decay": 0.1}).hyper.weight_decay == 0.1


def test_train_names_the_commands_that_make_and_check_the_package(start, call, tmp_path) -> None:  # noqa: F811
    shutil.copy(start, tmp_path / "float net.safetensors")
    data = ["--data", "sample#val", "--val-data", "sample#val", "--resume", "float net.safetensors"]
    trained = call("train", *data, "--quantization", "int4", "--epochs", "1", "--batch-size", "4", "--out", "my run")
    assert trained.returncode == 0, trained.stderr
    lines = [line.removeprefix("next: ") for line in trained.stdout.splitlines() if line.startswith("next: ")]
    export_words, validate_words = map(shlex.split, lines)
    package = "my run/int4.mlpackage"
    assert export_words == ["fcrn-mobile", "export", "my run/best.safetensors", "--precision", "int4", "--out", package]
    assert validate_words == ["fcrn-mobile", "validate", "float net.safetensors", package, "--data", "sample#val"]
    assert json.loads((tmp_path / "my run/run.json").read_text())["monitor"]["metric"] == "fidelity"
