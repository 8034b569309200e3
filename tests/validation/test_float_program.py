"""The float program of a candidate differs from it by what compression did, and by nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.validation.attribution import Attribution, attribute, spread
from fcrn_mobile.validation.float_program import float_program

#: One weight is compressed; equalisation gives factors to the maps at both sides of it.
ONE_WEIGHT = {
    "precision": "fp16",
    "ops": [{"match": "encoder__blocks_5__depthwise_conv_weight", "precision": "int8", "granularity": "per_tensor"}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("equalised")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return spread(open_source("sample"), 1)


@pytest.fixture(scope="module")
def checkpoint(folder: Path, builtin: Checkpoint) -> str:
    save_checkpoint(builtin.network, folder / "float.safetensors")
    return str(folder / "float.safetensors")


def exported(checkpoint: str, values: dict, path: Path) -> Path:
    export(load_checkpoint(checkpoint), make_recipe(values | {"input_size": [64, 96]}, "test"), path)
    return path


@pytest.fixture(scope="module")
def equalised(checkpoint: str, folder: Path) -> Path:
    return exported(checkpoint, ONE_WEIGHT | {"correct": {"equalise": True}}, folder / "equalised.mlpackage")


@pytest.fixture(scope="module")
def plain(checkpoint: str, folder: Path) -> Path:
    return exported(checkpoint, {"precision": "fp32"}, folder / "plain.mlpackage")


def diagnosed(checkpoint: str, package: Path, images: list[np.ndarray]) -> Attribution:
    candidate = Program.load(package, "float16")
    return attribute(float_program(checkpoint, candidate), candidate, images)


def test_equalisation_is_no_drift(checkpoint: str, equalised: Path, images: list[np.ndarray]) -> None:
    result = diagnosed(checkpoint, equalised, images)
    # Its minimum in front of a ReLU6 has a counterpart too; only the cast of the input and that to the image have none.
    assert [op.kind for op in result.ops if not op.matched] == ["cast"]
    assert "minimum" in {op.kind for op in result.matched}
    place = next(op.index for op in result.ops if "blocks_5__depthwise" in op.weights)
    assert min(op.snr_db for op in result.matched if op.index < place) > 40  # of float16 alone
    compressed = [op for op in result.ops if op.own and op.own.weight_snr_db < 60]
    assert [op.index for op in compressed] == [place]


def test_the_equalised_float_program_is_the_float_network(checkpoint: str, equalised: Path, builtin: Checkpoint) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    ours = next(iter(float_program(checkpoint, Program.load(equalised)).predict({"image": image}).values()))
    with torch.no_grad():
        theirs = builtin.network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255).numpy()
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_packages_of_which_one_is_equalised_are_not_compared(plain: Path, equalised: Path) -> None:
    for reference, candidate in ((plain, equalised), (equalised, plain)):
        with pytest.raises(InputError, match=r"only one was equalised.*give the checkpoint"):
            float_program(str(reference), Program.load(candidate))


def test_damaged_metadata_is_named(checkpoint: str, plain: Path) -> None:
    candidate = Program.load(plain)
    for text in ("{", "3", "[1]"):
        candidate.metadata["fcrn_mobile.recipe"] = text
        with pytest.raises(InputError, match="recipe in the package's metadata cannot be read"):
            float_program(checkpoint, candidate)


def test_a_quantized_checkpoint_is_no_reference(plain: Path, folder: Path, tiny_config) -> None:
    from fcrn_mobile.training.quantization import QuantizationAware

    torch.manual_seed(0)
    aware = QuantizationAware(FCRN(tiny_config), "int8")
    save_checkpoint(aware.finished(), folder / "int8.safetensors", quantization=aware.quantization())
    with pytest.raises(InputError, match="was trained as int8: give the float checkpoint"):
        float_program(str(folder / "int8.safetensors"), Program.load(plain))
