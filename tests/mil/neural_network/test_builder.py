"""A MIL function under construction: names, types, constants that are known, and what the protobuf of each operator holds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.builder import Builder, declared_as, needed
from fcrn_mobile.mil.neural_network.tensor import Shape, Tensor, meta, unknown
from fcrn_mobile.mil.values import Constants, shape_of, type_name
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.protobuf import operation, tensor_type

with quiet_coremltools():
    from coremltools.proto import MIL_pb2


def _input(builder: Builder, *shapes: Shape, dtype: str = "FLOAT32", name: str = "x") -> Tensor:
    """An input that was inferred for these sizes."""
    kind = {"INT32": torch.int32, "BOOL": torch.bool}.get(dtype, torch.float32)
    return builder.input(name, dtype, tuple(meta(shape, kind) for shape in shapes))


def _setting(proto: Any, name: str) -> Any:
    """What stands in the specification for an argument, as the runtime reads it."""
    (binding,) = proto.inputs[name].arguments
    return Constants(Path()).read(binding.value)


def test_names_are_counted_and_begin_with_the_layers() -> None:
    builder = Builder()
    _input(builder, (2,))
    assert [builder.fresh(stem) for stem in ("x", "y", "y", "y")] == ["x_1", "y", "y_1", "y_2"]
    builder.scope = "layer"
    assert [builder.fresh("y"), builder.fresh("y"), builder.fresh("z", scoped=False)] == ["layer/y", "layer/y_1", "z"]
    assert builder.inputs == {"x"}


def test_a_value_has_its_new_name_wherever_it_stands() -> None:
    builder = Builder()
    x = _input(builder, (2,))
    first = builder.emit("exp", x=x)
    second = builder.emit("add", x=first, y=x)
    inner = MIL_pb2.Operation(type="while_loop")
    inner.inputs["loop_vars"].arguments.add(name=first.name)
    block = inner.blocks.add(outputs=[second.name, first.name], operations=[operation("exp", (2,), ("e",), x=first.name)])
    block.inputs.add(name=first.name)
    block.inputs.add(name="other")
    builder.operations.append(inner)
    renamed = builder.rename(first, "n")
    assert renamed == replace(first, name="n")
    assert [output.name for output in builder.operations[0].outputs] == ["n"]
    assert [builder.operations[1].inputs[key].arguments[0].name for key in "xy"] == ["n", "x"]
    assert [output.name for output in builder.operations[1].outputs] == [second.name]
    (loop,) = (each for each in builder.operations if each.type == "while_loop")
    assert [binding.name for binding in loop.inputs["loop_vars"].arguments] == ["n"]
    assert [value.name for value in loop.blocks[0].inputs] == ["n", "other"]
    assert list(loop.blocks[0].outputs) == [second.name, "n"]
    assert loop.blocks[0].operations[0].inputs["x"].arguments[0].name == "n"
    assert builder.rename(renamed, "n") is renamed
    assert builder.fresh(first.name) == first.name
    assert builder.rename(second, "n").name == "n_1"


def test_a_new_name_is_none_of_the_layers() -> None:
    builder = Builder()
    x, builder.scope = _input(builder, (2,)), "layer"
    assert builder.rename(builder.emit("exp", x=x), "y").name == "y"


def test_a_value_is_renamed_from_an_operator_on() -> None:
    builder = Builder()
    x = _input(builder, (2,))
    builder.emit("add", x=x, y=x)
    builder.rename(x, "n", 1)
    assert [builder.operations[0].inputs[key].arguments[0].name for key in "xy"] == ["x", "x"]
    builder.rename(x, "m")
    assert [builder.operations[0].inputs[key].arguments[0].name for key in "xy"] == ["m", "m"]


def test_operators_that_nothing_reads_are_left_out() -> None:
    inner = MIL_pb2.Operation(type="cond")
    inner.outputs.add(name="c")
    inner.blocks.add(outputs=["b1"], operations=[operation("exp", (2,), ("e",), x="b2")])
    operations = [
        operation("exp", (2,), ("a",), x="x"),
        operation("exp", (2,), ("unread",), x="a"),
        operation("exp", (2,), ("b1",), x="x"),
        operation("exp", (2,), ("b2",), x="a"),
        operation("split", (2,), ("s1", "s2"), x="x"),
        inner,
        operation("concat", (2,), ("y",), values=["c", "s2"]),
        operation("exp", (2,), ("late",), x="y"),
    ]
    assert [each.outputs[0].name for each in needed(iter(operations), ["y"])] == ["a", "b1", "b2", "s1", "c", "y"]
    assert not needed(operations, [])


@pytest.mark.parametrize(
    ("kind", "dtype", "shapes", "loops", "expected"),
    [
        ("exp", "FLOAT32", [(2,)], 0, "FLOAT16"),
        ("exp", "FLOAT32", [(1,)], 0, "FLOAT16"),
        ("exp", "FLOAT32", [(1,)], 1, "FLOAT32"),
        ("exp", "FLOAT32", [(1, 1)], 2, "FLOAT32"),
        ("exp", "FLOAT16", [(1,)], 1, "FLOAT16"),
        ("exp", "FLOAT32", [(2,)], 1, "FLOAT16"),
        ("exp", "FLOAT32", [(0,)], 1, "FLOAT16"),
        ("exp", "FLOAT32", [(1,), (5,)], 1, "FLOAT16"),
        ("identity", "FLOAT32", [(2,)], 0, "FLOAT32"),
        ("identity", "FLOAT16", [(2,)], 0, "FLOAT16"),
        ("identity", "INT32", [(2,)], 0, "INT32"),
        ("logical_not", "BOOL", [(2,)], 0, "BOOL"),
    ],
)
def test_results_are_half_precision_but_what_is_moved_or_counts_rounds(
    kind: str, dtype: str, shapes: list[Shape], loops: int, expected: str
) -> None:
    builder = Builder()
    builder.loops += loops
    x = _input(builder, *shapes, dtype=dtype)
    result = builder.emit(kind, x=x)
    (output,) = builder.operations[-1].outputs
    assert result.dtype == type_name(output.type) == expected
    assert result.shape == shape_of(output.type) == x.shape


def test_a_result_of_tensors_is_half_precision_if_one_of_them_is() -> None:
    builder = Builder()
    wide, half = _input(builder, (2,)), _input(builder, (2,), dtype="FLOAT16", name="h")
    assert builder.emit("concat", values=[wide, wide], axis=0).dtype == "FLOAT32"
    assert builder.emit("concat", values=[wide, half], axis=0).dtype == "FLOAT16"


def test_whole_numbers_and_floats_become_each_other() -> None:
    builder = Builder()
    x = _input(builder, (2,), dtype="INT32")
    floats = builder.floats(x)
    assert (floats.dtype, _setting(builder.operations[-1], "dtype")) == ("FLOAT32", "fp32")
    assert builder.whole(x) is x
    assert (builder.whole(floats).dtype, _setting(builder.operations[-1], "dtype")) == ("INT32", "int32")


@pytest.mark.parametrize(
    ("array", "dtype", "stored"),
    [
        (np.array([1.5, 2.0], np.float32), "FLOAT32", np.float32),
        (np.array([1.5, 2.0]), "FLOAT32", np.float32),
        (np.array([1, 2], np.int64), "INT32", np.int32),
        (np.array([True, False]), "BOOL", np.bool_),
    ],
)
def test_a_constant_that_is_known_is_an_array_of_its_own(array: Any, dtype: str, stored: Any) -> None:
    builder = Builder()
    builder.constant(np.zeros(3, np.float32))
    tensor = builder.known(array)
    assert (tensor.name, tensor.dtype, tensor.shape) == ("constant", dtype, (2,))
    assert builder.arrays[1].dtype == stored
    assert tensor.probes[0].dtype == torch.from_numpy(array.astype(stored)).dtype
    np.testing.assert_array_equal(tensor.value, array)
    proto = builder.operations[-1]
    assert proto.type == "const"
    assert proto.attributes["val"].type == proto.outputs[0].type == tensor_type((2,), dtype)
    np.testing.assert_array_equal(Constants(Path(), builder.arrays).read(proto.attributes["val"]), array)


def test_a_constant_of_half_precision_or_few_bits_says_so() -> None:
    builder = Builder()
    assert builder.constant(np.zeros(3, np.float16)).dtype == "FLOAT16"
    assert builder.constant(np.zeros(3, np.uint8), "UINT4").dtype == "UINT4"
    assert builder.constant(np.zeros(3, np.uint8)).dtype == "UINT8"


def test_constants_of_up_to_64_numbers_are_known() -> None:
    builder = Builder()
    assert builder.constant(np.zeros((8, 8), np.float32)).value is not None
    assert builder.constant(np.zeros((5, 13), np.float32)).value is None
    small, large = (builder.emit("tile", x=builder.known(np.ones(8)), reps=[reps]) for reps in (8, 9))
    np.testing.assert_array_equal(small.value, np.ones(64))
    assert (large.value, large.shape) == (None, (72,))
    assert builder.operations[-1].type == "tile"


def test_what_known_numbers_give_is_known() -> None:
    builder = Builder()
    x = builder.known(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(builder.emit("add", x=x, y=x).value, [2, 4])
    np.testing.assert_array_equal(builder.emit("abs", x=builder.known(np.array([1.0, -2.0]))).value, [1, 2])
    np.testing.assert_array_equal(builder.emit("concat", values=[x, x], axis=0).value, [1, 2, 1, 2])
    assert {proto.type for proto in builder.operations} == {"const"}
    first, second = builder.emit_all("split", x=x, num_splits=2, axis=0)
    assert (first.value.tolist(), second.value.tolist()) == ([1], [2])


def test_what_random_numbers_or_unknown_ones_give_is_not_known() -> None:
    builder = Builder()
    shape, x = builder.known(np.array([2, 2])), _input(builder, (2,))
    settings = {"mean": 0.0, "stddev": 1.0, "seed": 3}
    assert not builder.emit("random_normal", (meta((2, 2)),), shape=shape, **settings).is_spelled
    assert not builder.emit("add", x=x, y=builder.known(np.array([1.0, 2.0]))).is_spelled
    filled = builder.emit("fill", shape=[2], value=1.0)
    assert not filled.is_spelled
    assert len(filled.probes) == 1


def _lengths(builder: Builder) -> Tensor:
    """The two lengths of an input of three sizes."""
    spelled = tuple(np.array(shape, np.int32) for shape in ((1, 4), (2, 4), (6, 4)))
    return replace(builder.emit("shape", x=_input(builder, (1, 4), (2, 4), (6, 4))), values=spelled)


def test_what_lengths_of_inputs_give_is_known_for_every_size() -> None:
    builder = Builder()
    lengths, three = _lengths(builder), builder.known(np.array([3, 3]))
    times = builder.emit("mul", x=lengths, y=three)
    assert [each.tolist() for each in times.values] == [[3, 12], [6, 12], [18, 12]]
    assert (times.value, times.shape) == (None, (2,))
    assert builder.operations[-1].type == "mul"
    longer = builder.emit("concat", values=[times, three], axis=0)
    assert [each.tolist() for each in longer.values] == [[3, 12, 3, 3], [6, 12, 3, 3], [18, 12, 3, 3]]


def test_what_many_numbers_give_for_some_size_is_not_known() -> None:
    builder = Builder()
    lengths = replace(_input(builder, (2,), (65,)), values=(np.ones(2, np.int32), np.ones(65, np.int32)))
    assert not builder.emit("mul", x=lengths, y=builder.known(np.array([3]))).is_spelled


def test_a_shape_that_is_computed_from_lengths_of_inputs_is_known_for_every_size() -> None:
    builder = Builder()
    lengths = _lengths(builder)
    ones = builder.emit("fill", unknown((-1, -1)), shape=lengths, value=1.0)
    assert ones.shape == (-1, 4)
    assert [tuple(probe.shape) for probe in ones.probes] == [(1, 4), (2, 4), (6, 4)]
    x = _input(builder, (4, 1), (4, 2), (4, 6), name="z")
    assert builder.emit("reshape", unknown((-1, -1)), x=x, shape=lengths).shape == (-1, 4)


def test_a_shape_of_which_running_tells_one_length_stays_as_it_was_assumed() -> None:
    builder = Builder()
    other = _input(builder, (1,), dtype="INT32", name="n")
    first, _ = builder.emit_all("split", x=_lengths(builder), num_splits=2, axis=0)
    assert [each.tolist() for each in first.values] == [[1], [2], [6]]
    shape = builder.emit("concat", values=[first, other], axis=0)
    assert builder.emit("fill", unknown((-1, -1)), shape=shape, value=1.0).shape == (-1, -1)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (2, "INT32", 2),
        (0.5, "FLOAT32", 0.5),
        (True, "BOOL", True),
        ("same", "STRING", "same"),
        ([1, -2], "INT32", [1, -2]),
        ((3, 4), "INT32", [3, 4]),
        ([0.5], "FLOAT32", [0.5]),
        ([True, False], "BOOL", [True, False]),
        ([[1, 2], [3, 4]], "INT32", [[1, 2], [3, 4]]),
        (np.array([1, 2], np.uint8), "INT32", [1, 2]),
        ([], "FLOAT32", []),
    ],
)
def test_a_setting_stands_in_the_specification(value: Any, kind: str, expected: Any) -> None:
    builder = Builder()
    builder.emit("tile", (meta((2,)),), x=_input(builder, (2,)), reps=value, other=None)
    proto = builder.operations[-1]
    assert type_name(proto.inputs["reps"].arguments[0].value.type) == kind
    assert np.array_equal(_setting(proto, "reps"), expected)
    assert shape_of(proto.inputs["reps"].arguments[0].value.type) == np.shape(expected)
    assert set(proto.inputs) == {"x", "reps"}


def test_tensors_are_read_by_name_one_or_several() -> None:
    builder = Builder()
    x, z = _input(builder, (2,)), _input(builder, (2,), name="z")
    builder.emit("concat", values=[x, z], axis=0)
    assert [binding.name for binding in builder.operations[-1].inputs["values"].arguments] == ["x", "z"]
    builder.emit("concat", values=(x,), axis=0)
    assert [binding.name for binding in builder.operations[-1].inputs["values"].arguments] == ["x"]
    assert _setting(builder.operations[-1], "axis") == 0


def test_a_type_has_open_lengths_and_those_of_nothing() -> None:
    proto = MIL_pb2.ValueType()
    declared_as(proto, "INT32", (0, -1, 3))
    assert proto == tensor_type((0, -1, 3), "INT32")


def test_an_operator_that_does_not_take_what_reaches_it_is_named_with_the_shapes() -> None:
    builder = Builder()
    x = _input(builder, (2, 3))
    with pytest.raises(MilError, match=r"^'matmul' does not take 2×3, 2×3 "):
        builder.emit("matmul", x=x, y=x)
    with pytest.raises(MilError, match=r"^'fill' does not take this "):
        builder.emit("fill", value=1.0)
    with pytest.raises(MilError, match=r"^padding 'odd' is not one of"):  # an operator's own words stay as they are
        builder.emit("max_pool", x=_input(builder, (1, 2, 3, 4), name="z"), kernel_sizes=[1, 1], pad_type="odd")


def test_a_result_of_no_fixed_number_of_axes_is_refused() -> None:
    builder = Builder()
    with pytest.raises(MilError, match="no fixed number of axes"):
        builder.emit("squeeze", x=_input(builder, (1, 4), (2, 4)))


def test_a_result_that_no_memory_holds_is_refused_and_the_largest_size_that_is_tried_is_not() -> None:
    builder = Builder()
    with pytest.raises(MilError, match=r"the result of 'tile' has the shape 2147483648"):
        builder.emit("tile", x=_input(builder, (2,)), reps=[2**30])
    assert builder.emit("tile", x=_input(builder, (2,), (2**30,), name="z"), reps=[2]).shape == (-1,)


def test_operators_of_a_block_stand_in_it_and_the_unread_in_none() -> None:
    builder = Builder()
    x, inner = _input(builder, (2,)), list[Any]()
    truth = _input(builder, (1,), dtype="BOOL", name="t")
    with builder.block(inner):
        y = builder.emit("exp", x=x)
        builder.emit("abs", x=x)
    z = builder.emit("exp", x=x)
    assert [[each.type for each in operations] for operations in (inner, builder.operations)] == [["exp", "abs"], ["exp"]]
    builder.emit_flow("cond", [z], [((x,), inner, [y]), ((), [], [x])], pred=truth)
    proto = builder.operations[-1]
    assert (proto.type, proto.outputs[0].name, proto.inputs["pred"].arguments[0].name) == ("cond", z.name, "t")
    assert [[each.name for each in block.inputs] for block in proto.blocks] == [["x"], []]
    assert [[each.type for each in block.operations] for block in proto.blocks] == [["exp"], []]
    assert [list(block.outputs) for block in proto.blocks] == [[y.name], ["x"]]


def test_weights_of_operators_that_are_given_up_are_forgotten() -> None:
    builder = Builder()
    for value in range(3):
        builder.constant(np.array([value]))
    builder.discard(1)
    assert [array.tolist() for array in builder.arrays] == [[0]]


def test_an_expanded_constant_reads_its_parts() -> None:
    builder = Builder()
    indices, table = builder.constant(np.zeros((2, 3), np.uint8), "UINT1"), builder.constant(np.zeros((1, 1, 2, 1), np.float32))
    tensor = builder.expanded("constexpr_lut_to_dense", (2, 3), "w", indices=indices, lut=table)
    proto = builder.operations[-1]
    assert proto.type == "constexpr_lut_to_dense"
    assert [proto.inputs[key].arguments[0].name for key in ("indices", "lut")] == [indices.name, table.name]
    assert (tensor.name, tensor.shape, proto.outputs[0].type) == ("w", (2, 3), tensor_type((2, 3), "FLOAT16"))


@pytest.mark.parametrize(("classes", "kind"), [(["cat", "dog"], "STRING"), ([3, 5, 8], "INT64")])
def test_a_classifier_ends_in_a_label_and_a_table_of_probabilities(classes: list[Any], kind: str) -> None:
    """Types of MIL's ``classify``: a label without axes, and a dictionary from labels to float32."""
    builder = Builder()
    builder.classify(_input(builder, (len(classes),)), classes, ("label", "scores"))
    (proto,) = builder.operations
    assert proto.inputs["probabilities"].arguments[0].name == "x"
    labels = proto.inputs["classes"].arguments[0].value
    assert labels.type == tensor_type((len(classes),), kind)
    tensor = labels.immediateValue.tensor
    assert list((tensor.strings if kind == "STRING" else tensor.longInts).values) == classes
    label, table = proto.outputs
    assert (label.name, label.type) == ("label", tensor_type((), kind))
    assert (table.name, table.type.WhichOneof("type")) == ("scores", "dictionaryType")
    assert table.type.dictionaryType.keyType == tensor_type((), kind)
    assert table.type.dictionaryType.valueType == tensor_type(())
