"""``compress``: a float package that exists already, of ours and of others, stored as an export stores it."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import coremltools as ct
import numpy as np
import pytest
import torch
from torch import nn

from fcrn_mobile.conversion.calibration import calibrated_on
from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.float_package import open_float_package
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.conversion.weights import package_weights
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.reading import read_specification
from tests.conftest import settled
from tests.journeys.command import refused

SIZE = (64, 96)
MIXED = {
    "precision": "palette6",
    "mode": "uniform",
    "ops": [{"match": "decoder_*", "precision": "int8"}, {"match": "encoder_layers_0_weight", "precision": "fp32"}],
}


class Foreign(nn.Module):
    """A depth network of somebody else: convolutions, a linear layer, a resize."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(3, 32, 3, 2, 1), nn.Conv2d(32, 32, 3, 1, 1), nn.Conv2d(32, 1, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.b(torch.relu(self.a(x))))
        return torch.sigmoid(self.c(nn.functional.interpolate(x, scale_factor=2.0))) + 0.5


def converted(network: nn.Module, path: Path, picture: bool = True, **options: object) -> Path:
    """As others make packages: coremltools alone."""
    kind = ct.ImageType if picture else ct.TensorType
    scale = {"scale": 1 / 255} if picture else {}
    traced = torch.jit.trace(network.eval(), torch.rand(1, 3, *SIZE))
    options = {"minimum_deployment_target": ct.target.iOS15, "compute_precision": ct.precision.FLOAT32} | options
    model = ct.convert(traced, inputs=[kind("photo", shape=(1, 3, *SIZE), **scale)], outputs=[ct.TensorType("far")], **options)
    model.author, model.license, model.version, model.short_description = "A. N. Other", "CC0", "7", "Somebody's depth."
    model.input_description["photo"], model.output_description["far"] = "what is seen", "how far it is"
    model.user_defined_metadata["their.key"] = "their value"
    model.save(str(path))
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(Foreign(), tmp_path_factory.mktemp("foreign") / "theirs.mlpackage")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint("net", settled(FCRN(preset("fcrn-plain", widths=(64, 32, 16, 8), input_size=SIZE))), sha256="0" * 64)


@pytest.fixture(scope="module")
def floats(ours: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("ours")
    paths = {precision: folder / f"{precision}.mlpackage" for precision in ("fp32", "fp16")}
    for precision, path in paths.items():
        export(ours, Recipe(precision=precision), path)
    return paths


def squeezed(path: Path, out: Path, values: dict[str, object]) -> Path:
    package = open_float_package(path)
    compress_package(package, package_recipe(package, make_recipe(values, "test")), out)
    return out


def stored(package: Path) -> bytes:
    (weights,) = package.rglob("weight.bin")
    return weights.read_bytes()


@pytest.mark.parametrize(
    ("precision", "values"),
    [
        ("fp32", {"precision": "fp16"}),
        ("fp32", {"precision": "int8"}),
        ("fp32", MIXED),
        ("fp16", {"precision": "int4", "block_size": 8, "otherwise": "int8"}),
    ],
    ids=str,
)
def test_the_weights_are_those_of_an_export(
    precision: str, values: dict[str, object], floats: dict[str, Path], ours: Checkpoint, tmp_path: Path
) -> None:
    export(ours, make_recipe(values, "test"), tmp_path / "exported.mlpackage")
    assert stored(squeezed(floats[precision], tmp_path / "compressed.mlpackage", values)) == stored(tmp_path / "exported.mlpackage")


def test_what_the_author_wrote_stays(foreign: Path, tmp_path: Path) -> None:
    values = {"precision": "int8", "name": "small", "budget": {"fidelity": "0.05"}}
    (before, _), (after, _) = (read_specification(path) for path in (foreign, squeezed(foreign, tmp_path / "small.mlpackage", values)))
    for field in ("author", "license", "versionString", "shortDescription"):
        assert getattr(after.description.metadata, field) == getattr(before.description.metadata, field) != ""
    assert [f.shortDescription for f in (*after.description.input, *after.description.output)] == ["what is seen", "how far it is"]
    written = dict(after.description.metadata.userDefined)
    assert dict(before.description.metadata.userDefined).items() <= written.items()
    assert written["their.key"] == "their value"
    added = Metadata.from_dict(written)
    assert added.settings()["name"] == "small" and added.settings()["budget"] == {"fidelity": "0.05"}
    assert added.settings()["output"] == "array" and added.settings()["input_size"] == list(SIZE)
    assert added.source_sha256 == open_float_package(foreign).sha256
    assert added.checkpoint_sha256 is None


def test_the_description_of_ours_names_the_new_precision(floats: dict[str, Path], tmp_path: Path) -> None:
    program = Program.load(squeezed(floats["fp32"], tmp_path / "small.mlpackage", {"precision": "int8"}))
    assert program.metadata["description"] == "Monocular depth in metres (fcrn-plain, int8)."
    assert Metadata.from_dict(program.metadata).checkpoint_sha256 == "0" * 64


@pytest.mark.parametrize(
    ("values", "version", "bound"),
    [
        ({"precision": "fp16"}, 6, 1e-3),
        ({"precision": "int8"}, 7, 5e-3),
        ({"precision": "int4", "otherwise": "int8"}, 9, 5e-2),
    ],
    ids=str,
)
def test_a_program_for_ios_15_moves_to_the_operator_set_that_holds_its_weights(
    values: dict[str, object], version: int, bound: float, foreign: Path, tmp_path: Path
) -> None:
    out = squeezed(foreign, tmp_path / "small.mlpackage", values)
    assert read_specification(foreign)[0].specificationVersion == 6
    assert read_specification(out)[0].specificationVersion == version
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    result = Program.load(out).predict({"photo": image})["far"]
    with torch.no_grad():
        expected = Foreign().eval()(torch.from_numpy(image).permute(2, 0, 1)[None] / 255).numpy()
    assert 0 < np.abs(result - expected).max() < bound


def test_a_set_that_means_something_else_is_refused(foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fcrn_mobile.conversion import float_package

    def damaged(model: "ct.models.MLModel") -> Program:
        program = Program.load(foreign)
        name = next(op.name for op in program.operations if op.kind == "conv")
        weight = next(op.arguments["weight"] for op in program.operations if op.name == name)
        return program.with_constants({name: {"weight": weight * 1.01}})

    monkeypatch.setattr(float_package, "as_program", damaged)
    with pytest.raises(InputError, match="computes something else for iOS18: use a precision that iOS16 runs"):
        squeezed(foreign, tmp_path / "small.mlpackage", {"precision": "int4", "otherwise": "int8"})
    assert list(tmp_path.iterdir()) == []


def test_arithmetic_that_is_half_in_part_stays(tmp_path: Path) -> None:
    selector = ct.transform.FP16ComputePrecision(op_selector=lambda op: op.op_type != "conv" or op.weight.name != "b.weight")
    path = converted(Foreign(), tmp_path / "theirs.mlpackage", compute_precision=selector, minimum_deployment_target=ct.target.iOS16)
    assert {weight.name: weight.stored for weight in package_weights(path)} == {"a_weight": "fp16", "b_weight": "fp32", "c_weight": "fp16"}
    out = squeezed(path, tmp_path / "small.mlpackage", {"precision": "int8", "ops": [{"match": "c_weight", "precision": "fp16"}]})
    program = {op.names.get("weight", "").removesuffix("_quantized"): op for op in Program.load(out).operations if op.kind == "conv"}
    assert {name: op.outputs[0].dtype for name, op in program.items()} == {
        "a_weight_to_fp16": "FLOAT16", "b_weight": "FLOAT32", "c_weight_to_fp16": "FLOAT16",
    }  # fmt: skip


def test_a_program_that_takes_no_picture_is_corrected_without_one(tmp_path: Path) -> None:
    path = converted(Foreign(), tmp_path / "theirs.mlpackage", picture=False)
    values = {"precision": "int8", "correct": {"scale": True}}
    out = squeezed(path, tmp_path / "small.mlpackage", values)
    plain = squeezed(path, tmp_path / "plain.mlpackage", {"precision": "int8"})
    assert stored(out) != stored(plain)
    written = Metadata.from_dict(Program.load(out).metadata)
    assert written.settings()["correct"] == {"equalise": False, "scale": True, "rounding": False, "bias": False}
    assert written.calibration is None


def test_one_scale_for_a_whole_weight_is_corrected_too(foreign: Path, tmp_path: Path) -> None:
    """The scale is a scalar for iOS 16; the least squared error is by hand, over as many scales."""
    values = {
        "precision": "int8",
        "granularity": "per_tensor",
        "min_elements": 0,
        "correct": {"scale": True, "rounding": False, "bias": False},
    }
    out = squeezed(foreign, tmp_path / "small.mlpackage", values)
    program = Program.load(out)
    weights = {weight.name: weight.values for weight in open_float_package(foreign).weights}
    for operation in program.operations:
        if operation.kind == "conv":
            name = operation.names["weight"].removesuffix("_quantized").removesuffix("_to_fp16")
            truth, stored_values = weights[name].astype(np.float64), operation.arguments["weight"].numpy()
            largest = np.abs(truth).max() / 127
            errors = []
            for share in np.linspace(0.5, 1, 101):
                codes = np.clip(np.round(truth / (largest * share)), -127, 127)
                errors.append(((codes * largest * share - truth) ** 2).sum())
            assert ((stored_values - truth) ** 2).sum() < 1.1 * min(errors)  # of fewer scales, in half precision


CONTRACT = 'depth = "metres"\nmean = 0\nstd = 1\n'
MEASURED = {"precision": "w8a8", "correct": {"equalise": True}, "calibration": {"data": "sample#train", "images": 4}}


def test_an_array_is_filled_as_the_contract_beside_it_says(foreign: Path, tmp_path: Path) -> None:
    """The same network with a picture as input, which Core ML scales itself, gets the same integers and ranges."""
    arrays = converted(Foreign(), tmp_path / "theirs.mlpackage", picture=False)
    with pytest.raises(InputError, match=r"nothing can be measured on images: .*takes 'photo', .*--model-config"):
        squeezed(arrays, tmp_path / "none.mlpackage", MEASURED)
    arrays.with_suffix(".toml").write_text(CONTRACT)
    out, pictures = (squeezed(path, tmp_path / f"{name}.mlpackage", MEASURED) for name, path in (("a", arrays), ("p", foreign)))
    written = Metadata.from_dict(Program.load(out).metadata)
    assert written.depth_contract() == DepthContract(mean=(0.0,) * 3, std=(1.0,) * 3)
    assert len(calibrated_on(Program.load(out).metadata)) == 4
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    results = [DepthProgram.load(path) for path in (out, pictures)]
    depths = [program.depth(program.predict(program.taking(image))) for program in results]
    with torch.no_grad():
        truth = Foreign().eval()(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0, 0].numpy()
    assert np.abs(depths[0] - depths[1]).mean() < 5e-4  # pixels are rounded otherwise: a step of eight bits here and there
    assert 0 < np.abs(depths[0] - truth).mean() < 5e-3
    assert sum(op.kind == "quantize" for op in results[0].operations) >= 3


def test_diagnose_equalises_a_package_as_its_candidate_was(call: Callable, foreign: Path, tmp_path: Path) -> None:
    shutil.copytree(foreign, tmp_path / "theirs.mlpackage")
    values = {"precision": "int8", "granularity": "per_tensor", "min_elements": 0, "correct": {"equalise": True, "bias": False}}
    squeezed(foreign, tmp_path / "small.mlpackage", values | {"calibration": {"data": "sample#train", "images": 2}})
    result = call("diagnose", "theirs.mlpackage", "small.mlpackage", "--data", "sample#val", "--images", "1", "--arithmetic", "float32")
    assert result.returncode == 0, result.stderr
    assert "without a counterpart: 2 of the candidate, 0 of the reference" in result.stdout  # casts
    # Were the reference not equalised, weights of other sizes would be no counterparts at all.
    ratios = [float(number) for number in re.findall(r"_weight +[\d.]+ +([\d.]+) ", result.stdout)]
    assert len(ratios) == 3 and min(ratios) > 25
    refused(call("diagnose", "builtin", "small.mlpackage", "--data", "sample#val"), "equalised as a package", "give the .mlpackage")


class Bare(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def two_functions(folder: Path, one: Path) -> Path:
    description = ct.utils.MultiFunctionDescriptor()
    for name in ("near", "far"):
        description.add_function(str(one), src_function_name="main", target_function_name=name)
    description.default_function_name = "near"
    ct.utils.save_multifunction(description, str(folder / "both.mlpackage"))
    return folder / "both.mlpackage"


def test_what_is_no_float_program_is_refused_by_name(call: Callable, foreign: Path, floats: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(foreign, tmp_path / "theirs.mlpackage")
    squeezed(foreign, tmp_path / "small.mlpackage", {"precision": "int8", "ops": [{"match": "a_weight", "precision": "fp16"}]})
    converted(Bare(), tmp_path / "bare.mlpackage")
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder([("x", ct.models.datatypes.Array(3))], [("y", ct.models.datatypes.Array(3))])
    builder.add_activation("relu", "RELU", "x", "y")
    ct.models.MLModel(builder.spec).save(str(tmp_path / "old.mlmodel"))
    two_functions(tmp_path, foreign)
    (tmp_path / "fused.toml").write_text('precision = "int8"\nform = "fused"\n')
    (tmp_path / "size.toml").write_text('precision = "int8"\ninput_size = [224, 320]\n')
    for words, said in (
        (["small.mlpackage", "--precision", "int8"], ["compressed already (fp16: 2, int8: 1", "'b_weight' is int8", "give its float"]),
        (["bare.mlpackage", "--precision", "int8"], ["no weights", "nothing to compress"]),
        (["old.mlmodel", "--precision", "int8"], ["neural network", 'convert_to="mlprogram"']),
        (["both.mlpackage", "--precision", "int8"], ["functions far, near", "before they are joined"]),
        (["net.onnx", "--precision", "int8"], ["'net.onnx' is no .mlpackage", "fcrn-mobile export"]),
        (["theirs.mlpackage", "--precision", "fp32"], ["leaves all weights", "fp32"]),
        (["theirs.mlpackage", "--precision", "palette9"], ["palette8"]),
        (["theirs.mlpackage"], ["nothing says how", "--precision P"]),
        (["theirs.mlpackage", "--precision", "fp16", "--images", "2"], ["with calibration.images = 2: calibration means nothing"]),
        (["theirs.mlpackage", "--precision", "w8a8"], ["ranges are measured on images", "--calibration SPEC"]),
        (["theirs.mlpackage", "--recipe", "fused.toml"], ['form = "fused"', "leave it out"]),
        (["theirs.mlpackage", "--recipe", "size.toml"], ["224×320", "takes 64×96"]),
        (["theirs.mlpackage", "--precision", "int8", "--out", "small.onnx"], ["ends in '.onnx'"]),
        (["gone.mlpackage", "--precision", "int8"], ["no model at 'gone.mlpackage'"]),
    ):  # fmt: skip
        out = [] if "--out" in words else ["--out", "new.mlpackage"]
        refused(call("compress", *words, *out), *said)
        assert not (tmp_path / "new.mlpackage").exists()


def test_the_command_says_what_it_made(call: Callable, foreign: Path, tmp_path: Path) -> None:
    shutil.copytree(foreign, tmp_path / "theirs.mlpackage")
    result = call("compress", "theirs.mlpackage", "--precision", "int8", "--no-correct", "--out", "small.mlpackage", "--json", "made.json")
    assert result.returncode == 0, result.stderr
    assert "weights: int8: 2 ops, fp16: 1 ops" in result.stdout
    assert "weights not corrected (--no-correct)" in result.stdout
    assert "next: fcrn-mobile validate theirs.mlpackage small.mlpackage --data sample" in result.stdout
    facts = json.loads((tmp_path / "made.json").read_text())
    assert facts["weights"]["summary"] == {"int8": 2, "fp16": 1}
    assert facts["source"]["sha256"] == open_float_package(foreign).sha256
    assert facts["recipe"]["precision"] == "int8"


def test_the_next_command_works_as_it_is_printed(call: Callable, tmp_path: Path) -> None:
    """Of a package that says nothing itself, the model config goes along."""
    converted(Foreign(), tmp_path / "theirs.mlpackage", picture=False)
    (tmp_path / "my config.toml").write_text(CONTRACT)
    words = ("compress", "theirs.mlpackage", "--precision", "int8", "--model-config", "my config.toml", "--out", "small.mlpackage")
    result = call(*words)
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("next: ")]
    again = call(*shlex.split(line)[2:], "--budget", "fidelity=0.1")
    assert again.returncode == 0, again.stderr
