"""Which pads are looked at, wherever they stand."""

from pathlib import Path
from typing import Any

import pytest
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.refused import check_accepted, refusals
from fcrn_mobile.mil.values import Constants
from tests.mil.protobuf import constant, named_constant, operation, text


def reasons(*operations: Any) -> list[str]:
    block = MIL_pb2.Block()
    block.operations.extend(operations)
    return list(refusals(block, Constants(Path("nowhere"))))


@pytest.mark.parametrize(
    ("pads", "accepted"),
    [
        ([1, 1], True),
        ([1, 1, 1, 1], True),
        ([0, 0, 1, 1, 1, 1], True),
        ([0, 1, 0, 0, 0, 0], False),
        ([1, 0, 0, 0, 0, 0], False),
        ([0, 0, 0, 1, 0, 0, 0, 0], False),
        ([0] * 10, True),
    ],
)
def test_pads_before_the_last_two_axes_are_refused_named_or_written_in_place(pads: list[int], accepted: bool) -> None:
    mode = named_constant("mode", [0])
    mode.attributes["val"].CopyFrom(text("reflect"))
    named = reasons(named_constant("pads", pads), mode, operation("pad", outputs=("p",), x="x", pad="pads", mode="mode"))
    inline = reasons(operation("pad", outputs=("p",), x="x", pad=pads, mode=text("reflect")))
    assert named == inline
    assert len(named) == (0 if accepted else 1)
    assert accepted or "operator 'pad' at 'p' pads axes before the last two by 'reflect'" in named[0]


def test_constants_modes_left_out_and_pads_computed_at_run_time_are_not() -> None:
    pads = [1, 1, 0, 0, 0, 0]
    assert reasons(operation("pad", x="x", pad=pads, mode=text("constant"))) == []
    assert reasons(operation("pad", x="x", pad=pads)) == []
    assert reasons(operation("pad", x="x", pad="computed", mode=text("reflect"))) == []
    assert reasons(operation("pad", x="x", mode=text("reflect"))) == []
    assert reasons(operation("relu", x="x", pad=pads, mode=text("reflect"))) == []


def stacked(inputs: dict[str, tuple[int, ...]], *before: Any, values: tuple[str, ...] = ("x", "y")) -> list[str]:
    block = MIL_pb2.Block()
    block.operations.extend([*before, operation("stack", (2, 2, -1), values=list(values), axis=0)])
    return list(refusals(block, Constants(Path("nowhere")), inputs=inputs))


def test_what_is_stacked_has_one_shape_at_the_default_sizes() -> None:
    assert stacked({"x": (2, 3), "y": (2, 3)}) == []
    (reason,) = stacked({"x": (2, 3), "y": (2, 4)})
    assert reason.startswith("operator 'stack' at 'y' stacks 2×3 and 2×4 where the inputs have their default sizes")
    assert stacked({"x": (2, 3), "y": (2, -1)}) == []
    assert stacked({"x": (2, 3)}) == []  # the other is not known


def test_the_shape_of_an_input_goes_through_what_half_precision_inserts() -> None:
    cast, relu = (operation(kind, (2, -1), outputs=(kind,), x="y") for kind in ("cast", "relu"))
    assert len(stacked({"x": (2, 3), "y": (2, 4)}, cast, values=("x", "cast"))) == 1
    assert stacked({"x": (2, 3), "y": (2, 3)}, cast, values=("x", "cast")) == []
    assert stacked({"x": (2, 3), "y": (2, 4)}, relu, values=("x", "relu")) == []  # not looked through: declared as 2×?
    assert len(stacked({"x": (2, 3)}, named_constant("c", [1.0, 2.0]), values=("x", "c"))) == 1


def test_every_refusal_is_listed_and_the_first_is_raised() -> None:
    block = MIL_pb2.Block()
    for name in ("a", "b"):
        block.operations.append(operation("pad", outputs=(name,), x="x", pad=[1, 1, 0, 0, 0, 0], mode=text("replicate")))
    reader = Constants(Path("nowhere"))
    assert len(list(refusals(block, reader))) == 2
    with pytest.raises(MilError, match=r"Core ML refuses to load 'net\.mlpackage': operator 'pad' at 'a'"):
        check_accepted(block, reader, "net.mlpackage")
    del block.operations[:]
    check_accepted(block, reader, "net.mlpackage")


def test_operators_inside_of_blocks_see_the_constants_and_shapes_outside() -> None:
    inner = MIL_pb2.Block()
    own = named_constant("inner", [1, 1, 0, 0, 0, 0])
    inner.operations.extend(
        [
            own,
            operation("pad", outputs=("p",), x="x", pad="outer", mode=text("reflect")),
            operation("pad", outputs=("q",), x="x", pad="inner", mode=text("reflect")),
            operation("stack", (2, 2, -1), ("s",), values=["x", "y"], axis=0),
        ]
    )
    cond = operation("cond", pred=constant(True))
    cond.blocks.append(inner)
    block = MIL_pb2.Block(operations=[named_constant("outer", [0, 1, 0, 0, 0, 0]), operation("lunar_lander", outputs=("l",), x="x"), cond])
    found = list(refusals(block, Constants(Path("nowhere")), inputs={"x": (2, 3), "y": (2, 4)}))
    assert [line.split()[:4] for line in found] == [
        ["operator", f"'{kind}'", "at", f"'{name}'"] for kind, name in (("pad", "p"), ("pad", "q"), ("stack", "s"))
    ]
    assert list(refusals(block, Constants(Path("nowhere")), inputs={"x": (2, 3), "y": (2, 3)})) == found[:2]


def test_a_shape_goes_through_one_input_alone() -> None:
    """Of two inputs nobody says which has the shape of the result; of unknown operators what they declare counts."""
    quantized = operation("quantize", (2, -1), ("q",), input="x", scale="x")
    assert stacked({"x": (2, 3), "y": (2, 4)}, quantized, values=("q", "y")) == []
    strange = operation("lunar_lander", (2, 5), ("l",), x="x")
    assert "stacks 2×4 and 2×5 " in stacked({"x": (2, 3), "y": (2, 4)}, strange, values=("l", "y"))[0]
