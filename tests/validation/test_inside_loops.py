"""Analyses see what runs inside a loop: three convolutions by a gain, against the gain's third power."""

import numpy as np
import pytest
import torch

from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.validation.matching import match
from fcrn_mobile.validation.own_drift import own_drifts
from fcrn_mobile.validation.sensitivity import weight_drifts
from tests.validation.programs import SIZE, depth_program, grey, pictures, step

TURNS, GAIN = 3, 2.0
COUNT, MAP = TensorInfo("n", "FLOAT32", ()), TensorInfo("v", "FLOAT32", (1, 1, *SIZE))


def looped(gain: float = GAIN, kind: str = "conv") -> DepthProgram:
    """Y = relu(grey) · gain³, one gain a turn."""
    factor = {"weight": torch.full((1, 1, 1, 1), gain), "pad_type": "valid"} if kind == "conv" else {"y": torch.tensor(gain)}
    go = step("less", "go", "n", shape=(), dtype="BOOL", y=torch.tensor(float(TURNS)))
    body = step("add", "m", "n", shape=(), y=torch.tensor(1.0)), step(kind, "w", "v", **factor)
    loop = Operation(
        "while_loop",
        {"loop_vars": (Reference("r"), torch.tensor(0.0))},
        (TensorInfo("y", "FLOAT32", (1, 1, *SIZE)), TensorInfo("turns", "FLOAT32", ())),
        blocks=(
            Block((MAP, COUNT), (go,), (Reference("go"),), ("go", "n", "v")),
            Block((MAP, COUNT), body, (Reference("w"), Reference("m")), ("m", "n", "v", "w")),
        ),
    )
    return depth_program(grey(), step("relu", "r", "grey"), loop)


def test_the_loop_itself() -> None:
    program = looped()
    assert program.predict({"image": pictures(10)[0]})["y"] == pytest.approx(np.full((1, 1, *SIZE), 15 * GAIN**TURNS))
    traced = [name for name, _ in program.trace({"image": pictures(10)[0]})]
    assert traced == ["grey", "r", *["go", "m", "w"] * TURNS, "go", "y", "turns"]


def test_drifts_of_a_weight_inside() -> None:
    ours, theirs = looped(), looped(1.1 * GAIN)
    (drift,) = weight_drifts(ours, pictures(10), [{"w": {"weight": torch.full((1, 1, 1, 1), 1.1 * GAIN)}}])
    assert drift.abs_rel == pytest.approx(1.1**TURNS - 1, rel=1e-4)
    pairs = match(ours, theirs)
    assert pairs == {0: 0, 1: 1, 2: 2}
    own = own_drifts(ours, theirs, pairs, pictures(10))
    assert set(own) == {2}
    assert own[2].drift == pytest.approx(1.1**TURNS - 1, rel=1e-4)
    assert own[2].weight_snr_db == pytest.approx(20, abs=1e-3)


def test_a_loop_of_something_else_is_no_counterpart() -> None:
    assert match(looped(), looped(kind="mul")) == {0: 0, 1: 1}


def test_an_overflow_inside_is_named_where_it_happens() -> None:
    overflow = looped(1e20).first_overflow({"image": pictures(10)[0]})
    assert overflow is not None
    assert (overflow.name, overflow.operator) == ("w", "conv")
    results, seen = looped(1e20).watch({"image": pictures(10)[0]})
    assert seen == overflow
    assert not np.isfinite(results["y"]).any()
