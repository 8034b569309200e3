"""Shared ranges by hand, on programs of a few operators."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from coremltools.proto import Model_pb2

from fcrn_mobile.conversion.ranges import Range, measure_ranges, measured, shared
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo
from fcrn_mobile.quantize.clipping import BINS


def test_ranges_are_joined_and_clipped() -> None:
    assert Range(-3, 2).magnitude == 3
    assert Range(1, 2).magnitude == 2
    assert Range(-1, 5).joined(Range(-4, 2)) == Range(-4, 5)
    assert Range(-3, 2).clipped(2.5) == Range(-2.5, 2)
    assert Range(-1, 9).clipped(2.5) == Range(-1, 2.5)


def op(kind: str, name: str, *reads: str) -> Operation:
    arguments = {"values": tuple(Reference(each) for each in reads)} if len(reads) > 1 else {"x": Reference(reads[0])}
    return Operation(kind, arguments, (TensorInfo(name, "FLOAT32", (1, 3, 2, 2)),))


def program(*operations: Operation) -> DepthProgram:
    return DepthProgram((), (), operations, FLOAT32, {})


R = {name: Range(-float(number), float(number) / 2) for number, name in enumerate("abcdefg", 1)}


def test_what_moves_values_shares_their_range() -> None:
    found = shared({name: R[name] for name in "abcd"}, program(op("concat", "c", "a", "b"), op("conv", "d", "c")))
    assert found == {"a": R["c"], "b": R["c"], "c": R["c"], "d": R["d"]}


def test_a_chain_of_moves_is_one_group() -> None:
    steps = (op("pad", "b", "a"), op("reshape", "c", "b"), op("transpose", "d", "c"), op("concat", "f", "d", "e"))
    assert set(shared({name: R[name] for name in "abcdef"}, program(*steps)).values()) == {R["f"]}


def test_two_groups_that_meet_are_joined() -> None:
    steps = (op("pad", "b", "a"), op("pad", "d", "c"), op("concat", "e", "b", "d"))
    assert set(shared({name: R[name] for name in "abcde"}, program(*steps)).values()) == {R["e"]}
    apart = (op("pad", "b", "a"), op("pad", "d", "c"))
    assert shared({name: R[name] for name in "abcd"}, program(*apart)) == {"a": R["b"], "b": R["b"], "c": R["d"], "d": R["d"]}


def test_a_relu_behind_a_move_shares_its_range_and_another_does_not() -> None:
    """Its input is quantized already; behind a convolution it cuts off half of what was there."""
    ranges = {name: R[name] for name in "abc"}
    behind = shared(ranges, program(op("pad", "b", "a"), op("relu", "c", "b")))
    assert set(behind.values()) == {R["c"]}
    alone = shared(ranges, program(op("conv", "b", "a"), op("relu", "c", "b")))
    assert alone == ranges
    other = shared(ranges, program(op("pad", "b", "a"), op("tanh", "c", "b")))
    assert other == {"a": R["b"], "b": R["b"], "c": R["c"]}


def test_names_without_a_range_hold_groups_together() -> None:
    steps = (op("pad", "x", "a"), op("pad", "b", "x"))
    assert shared({"a": R["a"], "b": R["b"]}, program(*steps)) == {"a": R["b"], "b": R["b"]}


def test_quantized_operators_inputs_and_outputs_are_measured_and_activations_outputs() -> None:
    steps = (op("conv", "b", "a"), op("relu", "c", "b"), op("softmax", "d", "c"), op("tanh", "e", "d"), op("add", "g", "e", "f"))
    assert measured(program(*steps)) == {"a", "b", "c", "e", "f", "g"}


@pytest.fixture
def tiny() -> DepthProgram:
    """A picture plus two, a maximum over 2×2, and the same once more."""
    steps = (
        Operation("add", {"x": Reference("image"), "y": torch.tensor(2.0)}, (TensorInfo("more", "FLOAT32", (1, 3, 4, 4)),), ("image",)),
        Operation("relu6", {"x": Reference("more")}, (TensorInfo("y", "FLOAT32", (1, 3, 4, 4)),), ("more",)),
    )
    described = Model_pb2.FeatureDescription(name="image")
    described.type.imageType.height = described.type.imageType.width = 4
    described.type.imageType.colorSpace = 20
    result = Model_pb2.FeatureDescription(name="y")
    result.type.multiArrayType.dataType = 65568
    return replace(program(*steps), inputs=(Feature.from_description(described),), outputs=(Feature.from_description(result),))


def pictures(*levels: int) -> list[np.ndarray]:
    return [np.full((4, 4, 3), level, np.uint8) for level in levels]


@pytest.mark.parametrize("order", [(10, 200, 50), (200, 50, 10), (50, 10, 200)])
def test_every_image_counts_whatever_the_order(tiny: DepthProgram, order: tuple[int, ...]) -> None:
    ranges = measure_ranges(tiny, pictures(*order), "minmax")
    assert ranges == {"image": Range(10, 200), "more": Range(12, 202), "y": Range(6, 6)}
    every = measure_ranges(tiny, pictures(*order), "percentile", 100)
    assert every == measure_ranges(tiny, pictures(*order), "percentile"), "nothing is clipped unasked"
    assert every["more"].high == pytest.approx(202)
    some = measure_ranges(tiny, pictures(*order), "percentile", 60)
    assert some["more"].high == pytest.approx(52, abs=202 / BINS * 1.01)
    assert some["more"].low == 12


@pytest.mark.parametrize(("method", "expected"), [("minmax", [(1, 2), (2, 2)]), ("mse", [(1, 4), (2, 4), (3, 4), (4, 4)])])
def test_progress_counts_both_rounds(tiny: DepthProgram, method: str, expected: list[tuple[int, int]]) -> None:
    calls: list[tuple[int, int]] = []
    measure_ranges(tiny, pictures(10, 20), method, 99, lambda done, total: calls.append((done, total)))
    assert calls == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [slice(None), 0], ids=["everywhere", "in one channel"])
def test_a_tensor_that_is_not_finite_is_named(tiny: DepthProgram, value: float, where: slice | int) -> None:
    added = torch.zeros(3, 1, 1)
    added[where] = value
    first = replace(tiny.operations[0], arguments={"x": Reference("image"), "y": added})
    with pytest.raises(InputError, match="tensor 'more' is not finite on a calibration image"):
        measure_ranges(replace(tiny, operations=(first, tiny.operations[1])), pictures(10), "minmax")


def test_the_last_of_many_values_is_kept_unless_said_otherwise(tiny: DepthProgram) -> None:
    images = pictures(*[10] * 150, 200)
    assert measure_ranges(tiny, images, "percentile")["more"].high == pytest.approx(202)
    assert measure_ranges(tiny, images, "percentile", 99)["more"].high < 13
