"""What an ONNX file holds, and that it is looked at before it is written."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim
import pytest
import torch

from fcrn_mobile.conversion.artefact import Conversion
from fcrn_mobile.conversion.onnx import TOLERANCE, write_onnx
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset


@pytest.fixture
def conversion() -> Conversion:
    torch.manual_seed(0)
    network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8), input_size=(32, 32))).eval()
    return Conversion.of(Checkpoint("tiny", network), Recipe(precision="fp32"), coreml=False)


def test_the_file_says_what_it_is_and_computes_the_network(conversion: Conversion, tmp_path: Path) -> None:
    write_onnx(conversion, tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    assert {each.key: each.value for each in model.metadata_props} == conversion.metadata
    image = np.random.default_rng(1).random((1, 3, 32, 32), np.float32)
    (depth,) = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"]).run(None, {"image": image})
    with torch.no_grad():
        expected = conversion.checkpoint.network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(depth, expected, rtol=1e-4, atol=1e-5)


def test_what_onnx_finds_wrong_is_one_line(conversion: Conversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(model: onnx.ModelProto, full_check: bool = False) -> None:
        if full_check:
            raise onnx.checker.ValidationError("types do not fit")

    monkeypatch.setattr(onnx.checker, "check_model", check)
    with pytest.raises(InputError, match=r"'tiny' cannot be converted .*types do not fit"):
        write_onnx(conversion, tmp_path / "a.onnx")


def test_a_simplification_that_failed_its_own_check_is_refused(
    conversion: Conversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxsim, "simplify", lambda model: (model, False))
    with pytest.raises(InputError, match="onnxsim changed the network's output"):
        write_onnx(conversion, tmp_path / "a.onnx")


@pytest.mark.parametrize("share", [0.5, 2])
def test_one_pixel_may_differ_by_the_tolerance_at_most(
    share: float, conversion: Conversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pixel of the map is moved by a share of what is allowed, which is relative to the largest depth."""
    sound = onnxsim.simplify
    with torch.no_grad():
        torch.manual_seed(3)
        depth = conversion.checkpoint.network(torch.rand(1, 3, 32, 32))
    moved = np.zeros(depth.shape, np.float32)
    moved[0, 0, 0, 0] = share * TOLERANCE * float(depth.abs().max())

    def simplify(model: onnx.ModelProto) -> tuple[Any, bool]:
        made, equal = sound(model)
        (output,) = made.graph.output
        last = next(node for node in made.graph.node if output.name in node.output)
        last.output[0] = "before"
        made.graph.initializer.append(onnx.numpy_helper.from_array(moved, "moved"))
        made.graph.node.append(onnx.helper.make_node("Add", ["before", "moved"], [output.name]))
        return made, equal

    monkeypatch.setattr(onnxsim, "simplify", simplify)
    torch.manual_seed(3)
    if share < 1:
        write_onnx(conversion, tmp_path / "a.onnx")
    else:
        with pytest.raises(InputError, match=r"onnxruntime differs from the float network by 2\.0e-04"):
            write_onnx(conversion, tmp_path / "a.onnx")
