"""Programs in memory: parsed once, handed on, and known to one module."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fcrn_mobile
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.package.pymil import changed, graph_pass, note_compression, operations, seldom_checked, weighted_kmeans
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto import load as milproto
    from coremltools.converters.mil.mil import Program
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
    from coremltools.optimize.coreml import OpLinearQuantizerConfig, OptimizationConfig
    from coremltools.optimize.torch._utils.metadata_utils import CompressionMetadata, CompressionType

SOURCES = Path(fcrn_mobile.__file__).parent
#: Parts of coremltools that its documentation does not name, though some have no underscore.
UNDOCUMENTED = re.compile(r"coremltools\S*(?:\.| import )(?:milproto|passes|mil_convert|_\w+)|\._mil_program")


def test_one_folder_uses_parts_of_coremltools_that_are_not_documented() -> None:
    used = {path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if UNDOCUMENTED.search(path.read_text())}
    assert used == {"package/framework.py", "package/pymil.py", "quiet.py"}


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of weights that coremltools has parsed."""
    found: list[Path] = []
    parse = milproto.load_mil_proto

    def counted(program: Any, version: int, folder: str = "") -> Any:
        found.append(Path(folder))
        return parse(program, version, folder)

    monkeypatch.setattr(milproto, "load_mil_proto", counted)
    return found


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ({"precision": "fp16"}, 0),
        ({"precision": "int8"}, 0),
        ({"precision": "sparse50-int8", "target": "iOS18"}, 0),
        ({"precision": "w8a8", "calibration": {"data": "sample", "images": 1}, "target": "iOS17"}, 0),
        # Corrections compare with the float weights, whose program the compressed ones have taken over.
        ({"precision": "int8", "correct": {}, "calibration": {"data": "sample", "images": 1}}, 1),
    ],
)
def test_an_export_parses_weights_at_most_once(values: dict[str, Any], most: int, parses: list[Path], tmp_path: Path) -> None:
    network = FCRN(preset("fcrn-plain", widths=(32, 32, 16, 16), input_size=(32, 32))).eval()
    export(Checkpoint("net", network), make_recipe(values, "test"), tmp_path / "a.mlpackage")
    assert len(parses) == most


@pytest.fixture
def convert() -> Callable[[nn.Module], Any]:
    def made(network: nn.Module) -> Any:
        with quiet_coremltools():
            return ct.convert(
                torch.jit.trace(network.eval(), torch.zeros(1, 4, 8, 8)),
                inputs=[ct.TensorType(shape=(1, 4, 8, 8))],
                minimum_deployment_target=ct.target.iOS17,
                skip_model_load=True,
            )

    return made


def int8() -> Callable[[Any], None]:
    config = OptimizationConfig(global_config=OpLinearQuantizerConfig(dtype="int8", weight_threshold=0))
    return graph_pass("compression::linear_quantize_weights", config=config, joint_compression=False)


def kinds(model: Any) -> list[str]:
    return [op.op_type for op in operations(model)]


def weight(model: Any) -> np.ndarray:
    (found,) = (op.weight for op in operations(model) if op.op_type == "conv")
    return np.asarray(found.val)


def test_a_change_leaves_the_model_before_it_as_it_was(convert, parses) -> None:
    model = convert(nn.Conv2d(4, 4, 3))
    before, stored = kinds(model), weight(model).copy()
    with quiet_coremltools():
        made = changed(model, int8())
    assert "constexpr_affine_dequantize" in kinds(made) and parses == []
    assert kinds(model) == before and len(parses) == 1
    np.testing.assert_array_equal(weight(model), stored)
    assert kinds(model) == before and len(parses) == 1, "it is parsed anew no more than once"


def test_a_package_from_disk_and_the_model_that_wrote_it_have_one_program(convert, parses, tmp_path) -> None:
    with quiet_coremltools():
        made = changed(convert(nn.Conv2d(4, 4, 3)), int8())
        made.save(str(tmp_path / "a.mlpackage"))
        read = ct.models.MLModel(str(tmp_path / "a.mlpackage"), skip_model_load=True)
    # An operator's constants may stand in another order.
    assert sorted((op.op_type, op.name) for op in operations(read)) == sorted((op.op_type, op.name) for op in operations(made))
    assert len(parses) == 1
    np.testing.assert_array_equal(weight(read), weight(made))


def test_steps_are_taken_in_their_order_with_their_own_options(convert) -> None:
    model = convert(nn.Conv2d(4, 4, 3))
    seen: list[str] = []
    with quiet_coremltools():
        made = changed(model, lambda program: seen.append("first"), int8(), lambda program: seen.append("last"))
    assert seen == ["first", "last"]
    assert "constexpr_affine_dequantize" in kinds(made)
    with pytest.raises(NotImplementedError, match="doesn't support option `nothing`"):
        graph_pass("compression::linear_quantize_weights", nothing=1)


def test_a_program_that_is_seldom_checked_is_the_same(convert, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    checks: list[bool] = []
    check = Program.validate
    monkeypatch.setattr(Program, "validate", lambda program, **options: checks.append(True) or check(program, **options))
    expected, often = convert(network).get_spec(), len(checks)
    monkeypatch.undo()
    monkeypatch.setattr(Program, "validate", lambda program, scopes=False: checks.append(False) or check(program, scopes))
    with seldom_checked():
        assert convert(network).get_spec() == expected
    assert 10 < len(checks) - often < often / 3
    monkeypatch.undo()
    assert Program.validate is check


@pytest.mark.parametrize("name", ["common::add_fp16_cast", "common::const_deduplication", "nn_backend::handle_unused_inputs"])
def test_a_pass_that_breaks_a_program_is_noticed(name: str, convert, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the pipeline in the middle, of the last, and the very last."""

    def breaking(own: Any, program: Any) -> None:
        (conv,) = program.functions["main"].find_ops(op_type="conv")
        conv.outputs[0].child_ops.append(conv)

    monkeypatch.setattr(PASS_REGISTRY.passes[name], "apply", breaking)
    with seldom_checked(), pytest.raises(Exception, match=r"should be consumed by op|used by ops"):
        convert(nn.Conv2d(4, 4, 3))


def test_a_note_is_read_as_coremltools_reads_it() -> None:
    module, scale = nn.Linear(2, 2), torch.tensor([[0.5], [0.25]])
    note_compression(module, "weight", "quantization", quantization_n_bits=4, quantization_scale=scale)
    (note,) = CompressionMetadata.from_state_dict(module.state_dict()).values()
    assert (note.param_name, note.quantization_n_bits) == ("weight", 4)
    assert torch.equal(note.quantization_scale, scale)
    assert note.compression_type == [CompressionType.quantization.value]


def test_kmeans_weighs_its_values() -> None:
    assert weighted_kmeans([0.0, 1.0, 10.0], 2, [1.0, 3.0, 5.0]) == [0.75, 10.0]
    assert weighted_kmeans([0.0, 1.0, 10.0], 2, [1.0, 1.0, 1e-9])[0] == 0.0
    assert weighted_kmeans([2.0], 4, [1.0]) == [2.0]
