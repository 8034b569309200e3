"""What Core ML refuses to load is named by ``run``, ``inspect`` and whatever else opens the package."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fcrn_mobile.mil import MilError, Program
from tests.journeys.command import Result, call, refused
from tests.mil.build import convert, ct, mb, save_program

__all__ = ["call"]

#: The table of coremltools #2701: pads of a tensor of rank 5 → whether Core ML loads it.
OF_FIVE_AXES = {
    (0, 0, 0, 0, 0, 0, 0, 0, 1, 1): True,
    (0, 0, 0, 0, 0, 0, 1, 1, 1, 1): True,
    (0, 0, 0, 0, 1, 1, 0, 0, 0, 0): False,
    (0, 0, 0, 0, 1, 1, 1, 1, 0, 0): False,
    (0, 0, 1, 1, 0, 0, 0, 0, 0, 0): False,
}


def padded(folder: Path, pad: tuple[int, ...], mode: str, target: str = "iOS17") -> Path:
    x = np.zeros((3, 4, 5, 4, 3)[-max(len(pad) // 2, 4) :], np.float32)
    return save_program(folder, lambda x0: mb.pad(x=x0, pad=list(pad), mode=mode, constant_val=0.0, name="padded"), [x], target)


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])  # ten whole numbers stand in the weights file from iOS 18 on
@pytest.mark.parametrize("mode", ["reflect", "replicate", "constant"])
@pytest.mark.parametrize("pad", OF_FIVE_AXES)
def test_padding_before_the_last_two_axes_has_to_be_constant(pad: tuple[int, ...], mode: str, target: str, tmp_path: Path) -> None:
    package = padded(tmp_path, pad, mode, target)
    if OF_FIVE_AXES[pad] or mode == "constant":
        Program.load(package)
        return
    with pytest.raises(MilError, match=f"Core ML refuses to load.*'pad' at 'padded' pads axes before the last two by '{mode}'"):
        Program.load(package)


@pytest.mark.parametrize(("pad", "accepted"), [((1, 2, 2, 1, 0, 0), False), ((1, 2, 2, 1), True)])
def test_two_axes_are_not_the_rule_the_last_two_are(pad: tuple[int, ...], accepted: bool, tmp_path: Path) -> None:
    package = padded(tmp_path, pad, "replicate")
    if accepted:
        Program.load(package)
    else:
        with pytest.raises(MilError, match="transpose"):
            Program.load(package)


def test_commands_name_it(call: Callable[..., Result], tmp_path: Path) -> None:
    package = str(padded(tmp_path, (1, 1, 0, 0, 0, 0), "reflect"))
    np.save(tmp_path / "x.npy", np.zeros((4, 5, 4, 3), np.float32))
    refused(call("run", package, "--input", "x0=x.npy", "--out", "out"), "Core ML refuses to load", "'padded'", "#2571")
    assert not (tmp_path / "out").exists()
    inspected = call("inspect", package)
    assert inspected.returncode == 0
    assert "refused      Core ML refuses to load this package: operator 'pad' at 'padded'" in inspected.stdout
    facts: dict[str, Any] = json.loads(call("inspect", package, "--json", "-").stdout)
    assert len(facts["refused"]) == 1
    sound: dict[str, Any] = json.loads(call("inspect", str(padded(tmp_path, (1, 1, 1, 1), "reflect")), "--json", "-").stdout)
    assert sound["refused"] == []


@pytest.mark.parametrize(("default", "accepted"), [(4, True), (2, False)])
@pytest.mark.parametrize("precision", ["FLOAT16", "FLOAT32"])
def test_a_stack_over_ranges_with_different_defaults_is_refused(default: int, accepted: bool, precision: str, tmp_path: Path) -> None:
    class Stack(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.stack((a, b))

    inputs = [ct.TensorType("a", shape=(2, 4)), ct.TensorType("b", shape=(2, ct.RangeDim(1, 9, default=default)))]
    arguments = {"inputs": inputs, "compute_precision": getattr(ct.precision, precision)}
    package = convert(Stack(), [torch.zeros(2, 4)] * 2, tmp_path, **arguments)
    if accepted:
        x = np.arange(8, dtype=np.float32).reshape(2, 4)
        (result,) = Program.load(package).predict({"a": x, "b": -x}).values()
        np.testing.assert_array_equal(result, np.stack([x, -x]))
    else:
        with pytest.raises(MilError, match="stacks 2×2 and 2×4 where the inputs have their default sizes"):
            Program.load(package)
