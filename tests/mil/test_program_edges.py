"""A program's refusal of results that it did not declare, and of inputs that it does not take: programs by hand."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.arithmetic import FLOAT16, FLOAT32
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops import OPERATORS
from tests.validation.programs import depth_program, grey, pictures, step

IMAGE = {"image": pictures(10)[0]}


@pytest.mark.parametrize("kind", ["conv", "relu", "add", "reshape", "max_pool", "concat"])
def test_a_result_of_another_shape_is_refused_whatever_the_operator(kind: str) -> None:
    first = grey()
    arguments = {
        "conv": {"x": Reference("grey"), "weight": torch.ones(1, 1, 1, 1)},
        "relu": {"x": Reference("grey")},
        "add": {"x": Reference("grey"), "y": torch.tensor(1.0)},
        "reshape": {"x": Reference("grey"), "shape": torch.tensor([1, 1, 4, 6])},
        "max_pool": {"x": Reference("grey"), "kernel_sizes": torch.tensor([1, 1])},
        "concat": {"values": (Reference("grey"),), "axis": torch.tensor(1)},
    }[kind]
    sound = Operation(kind, arguments, (TensorInfo("y", "FLOAT32", (1, 1, 4, 6)),))
    assert depth_program(first, sound).predict(IMAGE)["y"].shape == (1, 1, 4, 6)
    assert depth_program(first, replace(sound, outputs=(TensorInfo("y", "FLOAT32", (1, -1, 4, -1)),))).predict(IMAGE)["y"].shape[-1] == 6
    for shape in ((1, 1, 4, 7), (1, 1, 4), (1, 2, 4, 6)):
        with pytest.raises(MilError, match=f"operator '{kind}' at 'y' gives shape 1×1×4×6, declared is {'×'.join(map(str, shape))}"):
            depth_program(first, replace(sound, outputs=(TensorInfo("y", "FLOAT32", shape),))).predict(IMAGE)


@pytest.mark.parametrize("kind", ["select", "matmul"])
def test_where_converters_declare_too_little_what_follows_is_believed(kind: str) -> None:
    given = (
        {"cond": torch.tensor(True), "a": Reference("grey"), "b": torch.tensor(0.0)}
        if kind == "select"
        else {"x": Reference("grey"), "y": torch.eye(6)}
    )
    odd = Operation(kind, given, (TensorInfo("odd", "FLOAT32", (1, 1)),))
    behind = step("relu", "y", "odd", shape=(1, 1))
    assert depth_program(grey(), odd, behind).predict(IMAGE)["y"].shape == (1, 1, 4, 6)
    apart = Operation("relu", {"x": Reference("grey")}, (TensorInfo("z", "FLOAT32", (1, 1)),))
    with pytest.raises(MilError, match="operator 'relu' at 'z' gives shape"):
        depth_program(grey(), odd, apart).predict(IMAGE)


def test_fewer_results_than_declared_are_refused_and_more_are_dropped() -> None:
    info = TensorInfo("y", "FLOAT32", (1, 1, 4, 6))
    two = Operation("relu", {"x": Reference("grey")}, (info, replace(info, name="z")))
    with pytest.raises(MilError, match="gives 1 results, 2 are declared"):
        depth_program(grey(), two).predict(IMAGE)


def test_inputs_are_named_that_are_unknown_or_missing() -> None:
    program = depth_program(grey())
    with pytest.raises(MilError, match="unknown input 'picture': the package takes image"):
        program.predict(IMAGE | {"picture": 1})
    with pytest.raises(MilError, match="input 'image' is missing: the package takes image"):
        program.predict({})


def test_an_overflow_names_the_first_tensor_and_the_largest_that_went_in() -> None:
    program = replace(
        depth_program(
            step("mul", "big", "image", y=torch.tensor(-300.0), dtype="FLOAT16", shape=(1, 3, 4, 6)),
            step("mul", "more", "big", y=torch.tensor(300.0), dtype="FLOAT16", shape=(1, 3, 4, 6)),
        ),
        arithmetic=FLOAT16,
    )
    found = program.first_overflow(IMAGE)
    assert found is not None
    assert (found.name, found.operator, found.largest) == ("more", "mul", 3000.0)
    assert replace(program, arithmetic=FLOAT32).first_overflow(IMAGE) is None
    assert program.first_overflow({"image": np.zeros((4, 6, 3), np.uint8)}) is None


def test_the_largest_that_went_in_may_be_a_constant() -> None:
    constant = step("mul", "big", "image", y=torch.tensor(70_000.0), dtype="FLOAT16", shape=(1, 3, 4, 6))
    found = replace(depth_program(constant), arithmetic=FLOAT16).first_overflow(IMAGE)
    assert found is not None
    assert (found.name, found.largest) == ("big", 70_000.0)


def test_other_weights_are_given_by_an_operator_s_name() -> None:
    program = depth_program(grey(0.5))
    doubled = program.with_constants({"grey": {"weight": torch.ones(1, 3, 1, 1)}})
    np.testing.assert_allclose(doubled.predict(IMAGE)["grey"], 2 * program.predict(IMAGE)["grey"])
    with pytest.raises(MilError, match="the program has no operator 'blue': name one by its first output"):
        program.with_constants({"grey": {}, "blue": {}})


def test_half_precision_reaches_every_declared_result() -> None:
    third = step("add", "y", "grey", y=torch.tensor(1 / 3), dtype="FLOAT16")
    exact = depth_program(grey(), third).predict(IMAGE)["y"]
    rounded = replace(depth_program(grey(), third), arithmetic=FLOAT16).predict(IMAGE)["y"]
    np.testing.assert_array_equal(rounded, exact.astype(np.float16).astype(np.float32))
    assert not np.array_equal(rounded, exact)


def test_a_run_can_be_gone_on_with_from_a_copy() -> None:
    program = depth_program(grey(), step("relu", "a", "grey"), step("add", "y", "a", y=torch.tensor(1.0)))
    values = program.start(IMAGE)
    steps = program.steps(values)
    next(steps)
    copy = values.copy()
    for _ in steps:
        pass
    for _ in program.steps(copy, 1):
        pass
    np.testing.assert_array_equal(program.results(copy)["y"], program.results(values)["y"])
    assert [name for name, _ in program.trace(IMAGE)] == ["grey", "a", "y"]


def test_a_watched_run_gives_its_outputs_and_the_first_overflow_even_if_a_clamp_hides_it() -> None:
    shape = (1, 3, 4, 6)
    program = replace(
        depth_program(
            step("mul", "big", "image", y=torch.tensor(70_000.0), dtype="FLOAT16", shape=shape),
            step("mul", "more", "big", y=torch.tensor(2.0), dtype="FLOAT16", shape=shape),
            step("clip", "y", "more", alpha=torch.tensor(0.0), beta=torch.tensor(1.0), dtype="FLOAT16", shape=shape),
        ),
        arithmetic=FLOAT16,
    )
    outputs, found = program.watch(IMAGE)
    assert found is not None
    assert (found.name, found.operator) == ("big", "mul")
    np.testing.assert_array_equal(outputs["y"], program.predict(IMAGE)["y"])
    assert np.isfinite(outputs["y"]).all()
    calm, found = replace(program, arithmetic=FLOAT32).watch(IMAGE)
    assert found is None
    assert calm["y"].shape == shape


def test_an_overflow_of_what_was_infinite_before_is_none() -> None:
    program = depth_program(step("mul", "y", "image", y=torch.tensor(torch.inf), shape=(1, 3, 4, 6)))
    outputs, found = program.watch(IMAGE)
    assert found is None
    assert not np.isfinite(outputs["y"]).all()


def test_a_finite_tensor_whose_sum_is_not_runs_over_nowhere() -> None:
    program = depth_program(step("add", "y", "image", y=torch.tensor(3e38), shape=(1, 3, 4, 6)))
    assert program.first_overflow(IMAGE) is None


def test_what_torch_raises_names_the_operator_in_one_line() -> None:
    odd = Operation("add", {"x": Reference("grey"), "y": torch.ones(5)}, (TensorInfo("y", "FLOAT32", (1, 1, 4, 6)),))
    with pytest.raises(MilError, match=r"operator 'add' at 'y' fails \(.*\): the package or its input is not usable") as caught:
        depth_program(grey(), odd).predict(IMAGE)
    assert "\n" not in str(caught.value)
    refused = Operation("cast", {"x": Reference("grey"), "dtype": "fp64"}, (TensorInfo("y", "FLOAT32", (1, 1, 4, 6)),))
    with pytest.raises(MilError, match=r"operator 'cast' at 'y': the data type 'fp64' is not supported"):
        depth_program(grey(), refused).predict(IMAGE)


@pytest.mark.parametrize(
    ("error", "what"), [(KeyError(), "KeyError"), (ValueError("a\nb  c"), "a b c"), (ValueError("a" * 200), "a" * 160)]
)
@pytest.mark.parametrize("kind", ["relu", "cond"])
def test_an_error_is_one_short_line_inside_of_blocks_too(kind: str, error: Exception, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(x: torch.Tensor) -> None:
        raise error

    def flow(x: torch.Tensor) -> Iterator[tuple[int, tuple[()]]]:
        yield 0, ()
        raise error

    monkeypatch.setitem(OPERATORS, kind, replace(OPERATORS[kind], run=flow if kind == "cond" else plain))
    blocks = (Block((), (), ()),) if kind == "cond" else ()
    odd = Operation(kind, {"x": Reference("grey")}, (TensorInfo("y", "FLOAT32", (1, 1, 4, 6)),), blocks=blocks)
    with pytest.raises(MilError) as caught:
        depth_program(grey(), odd).predict(IMAGE)
    assert str(caught.value) == f"operator '{kind}' at 'y' fails ({what}): the package or its input is not usable"


def test_a_refusal_inside_of_blocks_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(x: torch.Tensor) -> Iterator[tuple[int, tuple[()]]]:
        raise MilError("it cannot")
        yield

    monkeypatch.setitem(OPERATORS, "cond", replace(OPERATORS["cond"], run=flow))
    odd = Operation("cond", {"x": Reference("grey")}, (TensorInfo("y", "FLOAT32", None),), blocks=(Block((), (), ()),))
    with pytest.raises(MilError, match=r"^operator 'cond' at 'y': it cannot$"):
        depth_program(grey(), odd).predict(IMAGE)
