"""What a learned quantization allows, what is noted beside the weights, and where its float network lies."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fcrn_mobile.conversion import learned
from fcrn_mobile.conversion.learned import check_learned, check_stored, float_start, register_learned
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.quantize.grids import Integers, Quantized, Table

INT4 = {"precision": "int4", "block_size": 32, "otherwise": "int8"}


def checkpoint(settings: dict[str, Any] | None = INT4, **training: Any) -> Checkpoint:
    network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))
    return Checkpoint("net", network, TrainingRecord(**training), quantization=Quantization(settings, {}, {}) if settings else None)


@pytest.mark.parametrize(
    "values",
    [
        INT4,
        INT4 | {"name": "other", "output": "array", "input_size": [64, 96], "target": "iOS18", "budget": {"fidelity": "2%"}},
        INT4 | {"correct": {}},
        INT4 | {"correct": {"equalise": False, "bias": False}},
    ],
)
def test_what_was_learned_may_be_asked_for(values: dict[str, Any]) -> None:
    check_learned(checkpoint(), make_recipe(values, "test"))


@pytest.mark.parametrize(
    "values",
    [
        {"precision": "int8"},
        {"precision": "fp16"},
        INT4 | {"block_size": 16},
        INT4 | {"otherwise": "fp16"},
        INT4 | {"min_elements": 100},
        INT4 | {"activations": "int8"},
        INT4 | {"form": "fused"},
        INT4 | {"ops": [{"match": "a", "precision": "int8"}]},
    ],
)
def test_anything_else_is_refused_with_what_to_write(values: dict[str, Any]) -> None:
    recipe = make_recipe(values | {"name": "mine"}, "test")
    with pytest.raises(InputError) as error:
        check_learned(checkpoint(), recipe)
    assert str(error.value) == (
        f"'net' was trained as int4, which recipe 'mine' ({recipe.precision}) contradicts: "
        "export it with --precision int4, or export the float checkpoint that it was trained from"
    )


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ({"correct": {"equalise": True}}, "correct.equalise"),
        ({"correct": {"scale": True, "bias": True}}, "correct.scale"),
        ({"correct": {"bias": True}}, "correct.bias"),
        ({"correct": {"bias": True}, "calibration": {"data": "sample"}}, "calibration"),
    ],
)
def test_nothing_is_measured_or_corrected_that_was_learned(values: dict[str, Any], asked: str) -> None:
    with pytest.raises(InputError, match=f"'net' was trained as it is to be stored: leave {asked} out of recipe 'mine'"):
        check_learned(checkpoint(), make_recipe(INT4 | {"name": "mine"} | values, "test"))


def test_learned_activations_are_compared_too() -> None:
    w8a8 = checkpoint({"precision": "w8a8"})
    check_learned(w8a8, make_recipe({"precision": "w8a8"}, "test"))
    with pytest.raises(InputError, match=r"was trained as w8a8, which recipe 'fcrn' \(int8\) contradicts"):
        check_learned(w8a8, make_recipe({"precision": "int8"}, "test"))


def test_integers_and_tables_are_noted_beside_their_weights() -> None:
    network: Any = torch.nn.Module()
    network.inner = torch.nn.Conv2d(4, 2, 1)
    network.head = torch.nn.Conv2d(2, 1, 1)
    scale, table = torch.full((2, 1, 1, 1), 0.5), torch.linspace(-1, 1, 16).view(1, 1, 1, 1, 16)
    weights: dict[str, Quantized] = {
        "inner.weight": Quantized(torch.ones(2, 4, 1, 1, dtype=torch.int8), Integers(scale, bits=4, symmetric=True)),
        "head.weight": Quantized(torch.zeros(1, 2, 1, 1, dtype=torch.uint8), Table(table)),
    }
    assert register_learned(network, Quantization({}, weights, {})) is network
    inner, head = ({name.rpartition("/")[2]: value for name, value in each.named_buffers()} for each in (network.inner, network.head))
    assert int(inner["quantization_n_bits"]) == 4
    assert torch.equal(inner["quantization_scale"], scale)
    assert "lut" not in inner and "quantization_scale" not in head
    assert torch.equal(head["lut"], table)
    types = [[int(number) for number in each["compression_type"]] for each in (inner, head)]
    from coremltools.optimize.torch._utils.metadata_utils import CompressionType

    assert types == [[CompressionType["quantization"].value], [CompressionType["palettization"].value]]
    assert all("weight" in name for name, _ in network.inner.named_buffers() if "quantization" in name)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"a_weight": "int4", "b_weight": "palette4"}, None),
        ({"a_weight": "int4", "b_weight": "palette4", "c": "fp16"}, None),
        ({"a_weight": "int8", "b_weight": "palette4"}, r"stored 'a\.weight' as int8 instead of int4"),
        ({"a_weight": "int4", "b_weight": "fp16"}, r"stored 'b\.weight' as fp16 instead of palette4"),
        ({"a_weight": "int4"}, r"stored 'b\.weight' as nothing instead of palette4"),
    ],
)
def test_what_coremltools_made_of_it_is_looked_at(stored: dict[str, str], message: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    weights: dict[str, Quantized] = {
        "a.weight": Quantized(torch.ones(1, 1), Integers(torch.ones(1, 1), bits=4, symmetric=True)),
        "b.weight": Quantized(torch.zeros(1, 1, dtype=torch.uint8), Table(torch.zeros(1, 1, 16))),
    }
    made: Any = object()
    monkeypatch.setattr(
        learned, "read_weights", lambda model: ([SimpleNamespace(name=name, stored=kind) for name, kind in stored.items()], set())
    )
    quantization = Quantization({}, weights, {})
    if message is None:
        assert check_stored(made, quantization) is made
    else:
        with pytest.raises(RuntimeError, match=message):
            check_stored(made, quantization)


def test_a_float_checkpoint_starts_from_itself() -> None:
    assert float_start(checkpoint(None, start="x.safetensors"), "net.safetensors") == "net.safetensors"
    assert float_start(checkpoint(start="builtin"), "net.safetensors") == "builtin"


def test_a_learned_one_starts_where_its_run_says(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").write_text("")
    name, start = str(tmp_path / "run" / "best.safetensors"), tmp_path / "float.safetensors"
    learned_one = checkpoint(start="float.safetensors")
    assert float_start(learned_one, name) is None
    told = tmp_path / "run" / "run.json"
    for text in ("{", "[]", "{}", '{"start": 3}', json.dumps({"start": str(start)})):
        told.write_text(text)
        assert float_start(learned_one, name) is None, "not there yet"
    start.write_text("")
    assert float_start(learned_one, name) == str(start)
    assert float_start(checkpoint(start="other.safetensors"), name) is None
    assert float_start(checkpoint(), name) is None
    told.write_text(json.dumps({"start": str(tmp_path)}))
    assert float_start(checkpoint(start=tmp_path.name), name) is None, "a folder is no checkpoint"
