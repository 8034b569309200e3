"""Packages keep the weights of the version before, byte for byte: their hashes are in ``same_weights.json``.

The hashes were made once, before conversion was rearranged. A change that means to alter weights makes them anew and says so:

    python tests/conversion/test_same_weights.py
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fcrn_mobile.conversion.completed import short_recipe
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import read_recipe
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.quantize.scheme import LEARNED
from fcrn_mobile.training.quantization import QuantizationAware

RECORD = Path(__file__).with_name("same_weights.json")
RECIPES = sorted((Path(__file__).parents[2] / "export").glob("*.toml"))
#: Corrections and ranges come from convolutions over images, whose last digits depend on the processor's instructions.
MEASURED = {
    path.stem for path in RECIPES if (text := path.read_text(encoding="utf-8")) and ("[correct]" in text or "[calibration]" in text)
}
#: Packages of a whole encoder with depthwise convolutions, beside the small network's.
LITE = ("sparse50",)
#: Recipes that name an operator which the small network lacks.
DEEP = ("a8", "w8a8")


def seeded(name: str, **changes: object) -> FCRN:
    """A network whose weights are numpy's alone: the same on every machine."""
    network = FCRN(preset(name, **changes)).eval()
    random = np.random.default_rng(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, values in (
                (module.weight, random.uniform(0.8, 1.2, module.num_features)),
                (module.bias, random.normal(0, 0.1, module.num_features)),
                (module.running_mean, random.normal(0, 0.1, module.num_features)),
                (module.running_var, random.uniform(0.8, 1.2, module.num_features)),
            ):
                tensor.data.copy_(torch.from_numpy(values))
        else:
            for parameter in module.parameters(recurse=False):
                spread = np.sqrt(2 / max(1, parameter[0].numel())) if parameter.dim() > 1 else 0.1
                parameter.data.copy_(torch.from_numpy(random.normal(0, spread, parameter.shape)))
    return network


def small() -> FCRN:
    return seeded("fcrn-plain", widths=(64, 64, 32, 16), input_size=(64, 96))


def learned(scheme: str) -> Checkpoint:
    """A checkpoint as fine-tuning leaves it before its first step."""
    trained = QuantizationAware(small(), scheme).train()
    with torch.no_grad():
        trained(torch.from_numpy(np.random.default_rng(1).random((2, 3, 64, 96), np.float32)))
    return Checkpoint("learned", trained.eval().finished(), quantization=trained.quantization())


def weights_hash(checkpoint: Checkpoint, recipe: Path | None, folder: Path) -> str:
    out = folder / f"{recipe.stem if recipe else 'learned'}.mlpackage"
    export(checkpoint, read_recipe(recipe) if recipe else short_recipe(None, checkpoint), out)
    (weights,) = out.rglob("weight.bin")
    (model,) = out.rglob("*.mlmodel")
    digest = hashlib.sha256(weights.read_bytes())
    for value in small_constants(model):
        digest.update(value)
    return digest.hexdigest()


def small_constants(model: Path) -> Iterator[bytes]:
    """Values that stand in the program itself, such as the scales of activations."""
    from coremltools.proto import Model_pb2

    specification = Model_pb2.Model.FromString(model.read_bytes())
    for function in specification.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for operation in block.operations:
                if operation.type == "const" and operation.attributes["val"].HasField("immediateValue"):
                    yield operation.attributes["val"].immediateValue.SerializeToString(deterministic=True)


def cases() -> dict[str, tuple[str, str]]:
    """Name → network and recipe."""
    return (
        {path.stem: ("lite0" if path.stem in DEEP else "small", path.stem) for path in RECIPES}
        | {f"lite0 {name}": ("lite0", name) for name in LITE}
        | {f"learned {scheme}": ("learned", scheme) for scheme in LEARNED}
    )


def made(name: str, folder: Path) -> str:
    network, what = cases()[name]
    if network == "learned":
        return weights_hash(learned(what), None, folder)
    checkpoint = Checkpoint("net", small() if network == "small" else seeded("fcrn-lite0", widths=(64, 32, 32, 16, 8), input_size=(64, 96)))
    return weights_hash(checkpoint, next(path for path in RECIPES if path.stem == what), folder)


@pytest.mark.parametrize("name", cases())
def test_weights_are_those_of_the_version_before(name: str, tmp_path: Path) -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    measured = name in MEASURED or name == "learned w8a8"
    if measured and record["processor"] != torch.backends.cpu.get_cpu_capability():
        pytest.skip(f"the hashes of measured weights were made with {record['processor']} instructions")
    assert made(name, tmp_path) == record["weights"][name]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        hashes = {}
        for case in cases():
            hashes[case] = made(case, Path(tempfile.mkdtemp(dir=temporary)))
            print(case, hashes[case][:12], file=sys.stderr)
    RECORD.write_text(
        json.dumps({"processor": torch.backends.cpu.get_cpu_capability(), "weights": hashes}, indent=1) + "\n", encoding="utf-8"
    )
