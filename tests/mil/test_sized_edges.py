"""A program by hand at each of its sizes: which shapes the run tells, which stay open, and what is left as it is."""

from pathlib import Path
from typing import Any

import pytest
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil.check import CheckedFunction, check_function
from fcrn_mobile.mil.costs import count_macs, uncounted
from fcrn_mobile.mil.graph import read_graph
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.parts import Source
from fcrn_mobile.mil.shapes import ShapeRule
from fcrn_mobile.mil.sized import Sized, check_size, sized
from fcrn_mobile.mil.summary import summarise
from fcrn_mobile.mil.values import shape_of
from fcrn_mobile.package.errors import MilError
from tests.mil.protobuf import constant, named_constant, operation, tensor_type, text
from tests.mil.specifications import saved, written_program

KERNEL = named_constant("w", [0.5] * 6, shape=(2, 3, 1, 1))
CONV = operation("conv", (1, 2, -1, -1), ("y",), x="x", weight="w")
RELU = operation("relu", (-1,), ("s",), x="r")


def ranged(made: Any, index: int, *ranges: tuple[int, int]) -> Any:
    """The model, its input of this index an array of lengths between these."""
    for low, high in ranges:
        made.description.input[index].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    return made


def several(made: Any, *shapes: tuple[int, ...]) -> Any:
    """The model, its first input of one of these shapes."""
    declared = made.description.input[0].type
    for shape in shapes:
        if declared.WhichOneof("Type") == "imageType":
            declared.imageType.enumeratedSizes.sizes.add(height=shape[0], width=shape[1])
        else:
            declared.multiArrayType.enumeratedShapes.shapes.add(shape=shape)
    return made


def both() -> Any:
    """A convolution of pictures of two sizes, and a row of 5 to 9."""
    inputs = {"x": ("FLOAT32", [1, 3, 4, 6]), "r": ("FLOAT32", [5])}
    made = written_program(inputs, {"y": ("FLOAT32", []), "s": ("FLOAT32", [])}, {"x": (1, 3, -1, -1), "r": (-1,)}, KERNEL, CONV, RELU)
    return ranged(several(made, (1, 3, 4, 6), (1, 3, 8, 12)), 1, (5, 9))


def at(made: Any, size: tuple[int, int] | None = None) -> tuple[CheckedFunction, Sized]:
    checked = check_function(made, Path(), "net")
    return checked, sized(Source(made, Path(), "net"), checked, size)


def shapes(checked: CheckedFunction) -> dict[str, tuple[int, ...]]:
    results = (output for step in checked.block.operations for output in step.outputs)
    return {value.name: shape_of(value.type) for value in (*checked.proto.inputs, *results)}


@pytest.mark.parametrize(("size", "sides"), [(None, (4, 6)), ((4, 6), (4, 6)), ((8, 12), (8, 12))])
def test_what_is_open_takes_the_lengths_of_a_run_at_a_size(size: tuple[int, int] | None, sides: tuple[int, int]) -> None:
    checked, result = at(both(), size)
    assert shapes(result.checked) == {"x": (1, 3, *sides), "r": (5,), "w": (2, 3, 1, 1), "y": (1, 2, *sides), "s": (5,)}
    assert result.sizes == (f"x 1×3×{sides[0]}×{sides[1]}", "r 5")
    assert count_macs(result.checked.proto, result.checked.block) == 3 * 2 * sides[0] * sides[1]
    # What was given stays open.
    assert shapes(checked)["y"] == (1, 2, -1, -1) and uncounted(checked.proto, checked.block) == {"conv"}


def test_costs_are_those_of_the_size_that_is_asked_for(tmp_path: Path) -> None:
    path = saved(both(), tmp_path)
    for size, area in ((None, 24), ((8, 12), 96)):
        summary, graph = summarise(path, size=size), read_graph(path, size=size)
        assert (summary.macs, sum(node.macs for node in graph.nodes)) == (6 * area, 6 * area)
        assert summary.uncounted == []
    for read in (summarise, read_graph):
        with pytest.raises(MilError, match=r"takes x .*, not the 5×5 of --size"):
            read(path, size=(5, 5))


@pytest.mark.parametrize(
    ("kind", "channels", "declared"),
    [
        (("RGB", (4, 6)), 3, "FLOAT32"),
        (("BGR", (4, 6)), 3, "FLOAT32"),
        (("GRAYSCALE", (4, 6)), 1, "FLOAT32"),
        (("GRAYSCALE_FLOAT16", (4, 6)), 1, "FLOAT32"),
        (("FLOAT16", [1, 3, 4, 6]), 3, "FLOAT16"),
        (("INT32", [1, 3, 4, 6]), 3, "INT32"),
    ],
)
def test_every_kind_of_picture_runs_on_zeros(kind: Any, channels: int, declared: str) -> None:
    kernel = named_constant("w", [1.0] * channels, shape=(1, channels, 1, 1))
    cast = operation("cast", (1, channels, -1, -1), ("f",), x="x", dtype=text("fp32"))
    conv = operation("conv", (1, 1, -1, -1), x="f", weight="w")
    made = written_program({"x": kind}, {"y": ("FLOAT32", [])}, {"x": tensor_type((1, channels, -1, -1), declared)}, kernel, cast, conv)
    rule = ((4, 6), (8, 12)) if len(kind[1]) == 2 else ((1, 3, 4, 6), (1, 3, 8, 12))
    assert shapes(at(several(made, *rule))[1].checked)["y"] == (1, 1, 4, 6)
    assert shapes(at(several(made, *rule), (8, 12))[1].checked)["y"] == (1, 1, 8, 12)


def test_a_picture_that_does_not_take_the_size_keeps_its_own() -> None:
    inputs = {"x": ("FLOAT32", [1, 3, 4, 6]), "z": ("FLOAT32", [1, 3, 2, 2])}
    other = operation("conv", (1, 2, -1, -1), ("v",), x="z", weight="w")
    results = {"y": ("FLOAT32", []), "v": ("FLOAT32", [])}
    made = written_program(inputs, results, {"x": (1, 3, -1, -1), "z": (1, 3, -1, -1)}, KERNEL, CONV, other)
    made = ranged(several(made, (1, 3, 4, 6), (1, 3, 8, 12)), 1, (1, 1), (3, 3), (2, 3), (2, 3))
    result = at(made, (8, 12))[1]
    assert result.sizes == ("x 1×3×8×12", "z 1×3×2×2")
    assert (shapes(result.checked)["y"], shapes(result.checked)["v"]) == ((1, 2, 8, 12), (1, 2, 2, 2))


def test_without_other_sizes_or_costs_nothing_is_run() -> None:
    fixed = written_program({"x": ("FLOAT32", [1, 3, 4, 6])}, {"y": ("FLOAT32", [])}, {"x": (1, 3, -1, -1)}, KERNEL, CONV)
    free = ranged(written_program({"r": ("FLOAT32", [5])}, {"s": ("FLOAT32", [])}, {"r": (-1,)}, RELU), 0, (5, 9))
    for made in (fixed, free):
        checked, result = at(made)
        assert result.checked is checked and result.sizes == ()


UNKNOWN = operation("lunar_lander", (1, 2, -1, -1), ("z",), x="y")


@pytest.mark.parametrize(
    ("more", "reason"), [({}, "not known to this runtime"), ({"n": "double"}, "input 'n' is a number: it has no size")]
)
def test_shapes_stay_open_where_it_does_not_run_and_a_size_is_refused(more: dict[str, Any], reason: str) -> None:
    last = () if more else (UNKNOWN,)
    inputs = {"x": ("FLOAT32", [1, 3, 4, 6]), **more}
    types = {"x": (1, 3, -1, -1), **dict.fromkeys(more, ())}
    made = several(written_program(inputs, {"y": ("FLOAT32", [])}, types, KERNEL, CONV, *last), (1, 3, 4, 6), (1, 3, 8, 12))
    checked, result = at(made)
    assert result.checked is checked and result.sizes == ()
    with pytest.raises(MilError, match=reason):
        at(made, (8, 12))


def test_what_a_branch_holds_that_is_not_run_stays_open() -> None:
    blocks = []
    for name in ("a", "b"):
        conv = operation("conv", (1, 2, -1, -1), (name,), x="x", weight="w")
        blocks.append(MIL_pb2.Block(operations=[conv], outputs=[name]))
    cond = operation("cond", (1, 2, -1, -1), pred=constant(True))
    cond.blocks.extend(blocks)
    made = written_program({"x": ("FLOAT32", [1, 3, 4, 6])}, {"y": ("FLOAT32", [])}, {"x": (1, 3, -1, -1)}, KERNEL, cond)
    result = at(several(made, (1, 3, 4, 6), (1, 3, 8, 12)))[1].checked
    last = result.block.operations[1]
    inner = [shape_of(block.operations[0].outputs[0].type) for block in last.blocks]
    assert (shape_of(last.outputs[0].type), inner) == ((1, 2, 4, 6), [(1, 2, 4, 6), (1, 2, -1, -1)])


@pytest.mark.parametrize(
    ("kind", "shape", "larger"),
    [
        ("image", (4, 6), (8, 12)),
        ("array", (4, 6), (8, 12)),
        ("array", (3, 4, 6), (3, 8, 12)),
        ("array", (1, 3, 4, 6), (1, 3, 8, 12)),
        ("array", (6, 8, 3), (8, 12, 3)),
        ("array", (1, 6, 8, 4), (1, 8, 12, 4)),
        ("array", (1, 6, 8, 5), (1, 6, 8, 12)),  # more are no channels
        ("array", (1, 4, 6, 3), (1, 4, 8, 12)),  # which of the two are channels is not clear
    ],
)
def test_height_and_width_are_the_last_axes_or_those_before_the_channels(
    kind: Any, shape: tuple[int, ...], larger: tuple[int, ...]
) -> None:
    feature = Feature("x", kind, "FLOAT32", ShapeRule(shape, (shape, larger)))
    other = Feature("n", "number", "DOUBLE", ShapeRule(()))
    check_size("net", [other, feature], (8, 12))
    check_size("net", [feature], None)
    for size in ((12, 8), (9, 12)):
        with pytest.raises(MilError, match=f"^'net' takes x .*, not the {size[0]}×{size[1]} of --size: use one of its sizes$"):
            check_size("net", [other, feature], size)


def test_one_input_of_several_has_to_take_a_size_and_what_is_no_map_takes_none() -> None:
    small, large = (Feature(name, "image", "RGB", ShapeRule(size)) for name, size in (("a", (4, 6)), ("b", (8, 12))))
    check_size("net", [small, large], (8, 12))
    with pytest.raises(MilError, match="takes a 4×6, b 8×12, not the 2×2 of"):
        check_size("net", [small, large], (2, 2))
    row = Feature("r", "array", "FLOAT32", ShapeRule((5,)))
    with pytest.raises(MilError, match="takes no picture, not the 5×5 of"):
        check_size("net", [row, Feature("n", "number", "DOUBLE", ShapeRule(()))], (5, 5))
