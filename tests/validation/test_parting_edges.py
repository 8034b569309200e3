"""When two results differ by more than rounding, on tensors by hand."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.validation import parting as module
from fcrn_mobile.validation.parting import TOLERANCE, Parting, first_parting

INF, NAN = math.inf, math.nan


def parted(
    monkeypatch: pytest.MonkeyPatch, *images: list[tuple[object, object]], traits: dict[str, str] | None = None, **options: Any
) -> Parting | None:
    """Where two programs part whose operators give these results, of each image in turn."""

    def program(side: int) -> Any:
        def every_step(values: dict[str, object]) -> Any:
            for number, results in enumerate(images[values.pop("image")]):  # type: ignore[call-overload]
                values[f"r{number}"] = results[side]
                yield SimpleNamespace(outputs=[SimpleNamespace(name=f"r{number}")], kind=f"op{number}")

        arithmetic = ("float16", "engine")[side]
        return SimpleNamespace(
            taking=lambda image: image, start=lambda image: {"image": image}, every_step=every_step, arithmetic=arithmetic
        )

    def load(path: Path, arithmetic: str, **more: Any) -> Any:
        assert more == {"model_config": options.get("config"), "size": options.get("size")}
        return program(0 if arithmetic == "float16" else 1)

    def past(operation: Any, values: dict[str, Any], arithmetic: str) -> Any:
        name = operation.outputs[0].name
        assert arithmetic == "engine" and name in values
        return SimpleNamespace(trait=traits[name]) if traits and name in traits else None

    monkeypatch.setattr(DepthProgram, "load", load)
    monkeypatch.setattr(module, "overflow_at", past)
    return first_parting(Path("net.mlpackage"), range(len(images)), **options)  # type: ignore[arg-type]


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float16)


@pytest.mark.parametrize(
    ("half", "engine", "difference"),
    [
        (t(3, 4), t(3, 4), None),
        (t(300, 400), t(300, 409.75), None),  # 9.75 / 500
        (t(300, 400), t(300, 410.25), 10.25 / 500),
        (t(300, 400), t(289.75, 400), 10.25 / 500),
        (t(50), t(51), None),  # the most that agrees
        (t(-4, 0), t(4, 0), 2.0),
        (t(60000, 60000), t(60000, -60000), math.sqrt(2)),  # their squares are no float16
        (t(NAN, INF, -INF, 1), t(NAN, INF, -INF, 1), None),
        (t(NAN, 400), t(NAN, 409), 9 / 400),
        (t(INF, 1), t(-INF, 1), INF),
        (t(NAN, 1), t(1, 1), INF),
        (t(1, 1), t(1, NAN), INF),
        (t(1, INF), t(1, 65504), INF),
        (t(1, 1), t(1), INF),
        (t(0, 0), t(0, 0), None),
        (t(0, 0), t(0, 1), INF),
        (t(), t(), None),
        (t(), t(1), None),
        (torch.tensor([1, 2]), torch.tensor([5, 6]), None),
        (torch.tensor([True]), torch.tensor([False]), None),
        ("text", t(1), None),
        (t(1), "text", None),
    ],
)
def test_a_difference_is_relative_to_the_result_in_half_precision(
    half: object, engine: object, difference: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parted(monkeypatch, [(half, engine)])
    if difference is None:
        assert found is None
    else:
        assert found == Parting("r0", "op0", 0, pytest.approx(difference, rel=1e-3))
        assert found.difference > TOLERANCE == 0.02


def test_the_first_operator_of_the_first_image_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    same, other = (t(1), t(1)), (t(1), t(2))
    assert parted(monkeypatch) is None
    assert parted(monkeypatch, [same, same], [same]) is None
    assert parted(monkeypatch, [same, same], [same, other, (t(1), t(4))], [other]) == Parting("r1", "op1", 1, 1.0)
    assert parted(monkeypatch, [other], config=Path("own.toml"), size=(4, 6)) == Parting("r0", "op0", 0, 1.0)


def test_what_lies_past_a_limit_parts_however_close_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    same, far = (t(1), t(1)), (t(1), t(2))
    assert parted(monkeypatch, [same, same], traits={"r1": "it ends at 10"}) == Parting("r1", "op1", 0, 0.0, "it ends at 10")
    assert parted(monkeypatch, [(t(0), t(0))], traits={"r0": "it ends at 10"}) == Parting("r0", "op0", 0, 0.0, "it ends at 10")
    whole = (torch.tensor([1]), torch.tensor([1]))
    assert parted(monkeypatch, [whole], traits={"r0": "it ends at 10"}) == Parting("r0", "op0", 0, 0.0, "it ends at 10")
    assert parted(monkeypatch, [same], traits={"r0": ""}) is None
    assert parted(monkeypatch, [far], traits={"r0": ""}) == Parting("r0", "op0", 0, 1.0)
    assert str(Parting("r1", "op1", 2, 0.5)) == "'r1' (op1), image 2: its values differ by 50.0%"
    assert str(Parting("r1", "op1", 2, 0.5, "it ends at 10")) == "'r1' (op1), image 2: it ends at 10"
