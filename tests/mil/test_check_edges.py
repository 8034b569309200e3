"""What a function may just be, and what is one too many: specifications written by hand, without a package."""

from pathlib import Path
from typing import Any

import pytest
from coremltools.proto import MIL_pb2, Model_pb2

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.check import check_block, check_function
from fcrn_mobile.mil.check_features import check_features
from fcrn_mobile.mil.shapes import ShapeRule, by
from fcrn_mobile.mil.values import LARGEST, check_size, shape_of, type_name
from tests.mil.protobuf import constant, named_constant, operation, tensor_type
from tests.mil.specifications import model, written_program


def function(*operations: Any, outputs: tuple[str, ...] = ("y",), inputs: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """A block and its function, which takes x of 2×3."""
    proto = MIL_pb2.Function()
    for name, declared in (inputs or {"x": tensor_type((2, 3))}).items():
        proto.inputs.add(name=name).type.CopyFrom(declared)
    block = proto.block_specializations["CoreML8"]
    block.operations.extend(operations)
    block.outputs.extend(outputs)
    return block, proto


def checked(*operations: Any, **options: Any) -> None:
    check_block(*function(*operations, **options), "a.mlpackage")


def refused(message: str, *operations: Any, **options: Any) -> None:
    with pytest.raises(MilError, match=message) as caught:
        checked(*operations, **options)
    assert "export" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def relu(result: tuple[int, ...] = (2, 3), **changes: Any) -> Any:
    return operation("relu", result, **({"x": "x"} | changes))


def test_a_sound_function_passes() -> None:
    checked(relu())
    checked(named_constant("c", [1.0, 2.0]), operation("add", (2,), x="c", y="c"))
    checked(relu(outputs=("a",)), operation("relu", (2, 3), x="a"))
    # An operator that nobody knows, of no result and with blocks inside, is binding's business.
    strange = MIL_pb2.Operation(type="lunar_lander")
    strange.blocks.add()
    checked(strange, relu())


@pytest.mark.parametrize(("length", "sound"), [(1, True), (500, True), (501, False)])
def test_names_have_an_end(length: int, sound: bool) -> None:
    operations = (relu(outputs=("n" * length,)), operation("relu", (2, 3), x="n" * length))
    if sound:
        checked(*operations)
    else:
        refused("cannot have the name 'n", *operations)


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00"])
def test_names_can_be_printed(name: str) -> None:
    refused("cannot have the name", relu(outputs=(name,)), operation("relu", (2, 3), x="x"))
    refused("cannot have the name", relu(), inputs={"x": tensor_type((2, 3)), name: tensor_type((1,))})


@pytest.mark.parametrize(("length", "sound"), [(500, True), (501, False)])
def test_operators_names_have_an_end(length: int, sound: bool) -> None:
    strange = operation("o" * length, (1,), ("z",))
    if sound:
        checked(strange, relu())
    else:
        refused("an operator is called 'ooo", strange, relu())
    refused("an operator is called", operation("re\nlu", (1,), ("z",)), relu())


@pytest.mark.parametrize(("rank", "sound"), [(0, True), (8, True), (9, False)])
def test_tensors_have_eight_dimensions_at_most(rank: int, sound: bool) -> None:
    if sound:
        checked(relu((1,) * rank))
    else:
        refused("has 9 dimensions, the limit is 8", relu((1,) * rank))


def test_tensors_have_a_billion_elements_at_most() -> None:
    check_size((2**15, 2**15), "it")
    check_size((-1, 2**30, -1), "it")
    check_size((), "it")
    with pytest.raises(MilError, match=rf"it has the shape 32768×32769, the limit is {2**30} elements"):
        check_size((2**15, 2**15 + 1), "it")
    with pytest.raises(MilError, match="the shape -1×3,"):
        check_size((2**64 - 1, 3), "it")
    with pytest.raises(MilError, match="the shape -9223372036854775808,"):
        check_size((2**63,), "it")
    assert LARGEST == 2**30
    checked(relu((2**30,)))
    refused("the limit is 1073741824 elements", relu((2**30 + 1,)))


def test_results_that_would_grow_beyond_the_limit_are_refused() -> None:
    checked(operation("fill", (-1, -1), shape=[2**15, 2**15]))
    refused("the result of operator 'fill' at 'y'", operation("fill", (-1, -1), shape=[2**15, 2**15 + 1]))
    checked(named_constant("s", [2**15, 2**15]), operation("fill", (-1, -1), shape="s"))
    refused("the result of operator 'fill' at 'y'", named_constant("s", [2**15, 2**15 + 1]), operation("fill", (-1, -1), shape="s"))


def test_constants_together_have_a_limit() -> None:
    def big(name: str, elements: int) -> Any:
        proto = MIL_pb2.Operation(type="constexpr_blockwise_shift_scale")
        proto.outputs.add(name=name).type.CopyFrom(tensor_type((elements,)))
        return proto

    four = [big(f"c{i}", 2**30) for i in range(4)]
    checked(*four, relu())
    refused(r"have 4294967297 elements, the limit is 4294967296", *four, big("one", 1), relu())
    # Only constants count.
    checked(*four, relu(outputs=("z",)), relu())


def test_rank_and_dimensions_have_to_agree() -> None:
    wrong = relu()
    wrong.outputs[0].type.tensorType.rank = 3
    refused("has rank 3 but 2 dimensions", wrong)
    unknown = relu()
    unknown.outputs[0].type.tensorType.rank = -1
    checked(unknown)


def test_types_have_to_be_known() -> None:
    refused("has the data type number 99, which", relu(), inputs={"x": _numbered(99)})
    nothing = relu()
    nothing.outputs[0].type.Clear()
    refused("result 'y' of operator 'relu' at 'y' in 'a.mlpackage' has no type", nothing)
    state = MIL_pb2.ValueType()
    state.stateType.wrappedType.CopyFrom(tensor_type((1,)))
    checked(relu(), inputs={"x": tensor_type((2, 3)), "s": state})
    assert type_name(state) == "stateType"
    checked(relu(), inputs={"x": tensor_type((2, 3), "STRING")})


def _numbered(number: int) -> Any:
    declared = tensor_type((2, 3))
    declared.tensorType.dataType = number
    return declared


def test_use_comes_after_definition() -> None:
    refused("reads 'b' before it is computed", operation("relu", (2, 3), ("a",), x="b"), relu(outputs=("b",)), outputs=("a",))
    refused("reads 'b' which is never computed", relu(x="b"))
    refused("output 'z' of 'a.mlpackage' is never computed", relu(), outputs=("z",))
    refused("'a.mlpackage' has no output", relu(), outputs=())
    refused("result 'y' of .* is defined twice", relu(), relu())
    refused("result 'x' of .* is defined twice", relu(outputs=("x",)), outputs=("x",))


def test_operators_have_results_and_no_blocks() -> None:
    refused("operator 'relu' at position 1 in 'a.mlpackage' has no result", relu(), operation("relu", outputs=(), x="x"))
    nested = relu()
    nested.blocks.add()
    refused("has 1 blocks of operators inside, it runs none", nested)


def test_inputs_have_values() -> None:
    empty = relu()
    empty.inputs["alpha"].SetInParent()
    refused("has an input 'alpha' without a value", empty)
    unset = relu()
    unset.inputs["alpha"].arguments.add()
    refused("has an input 'alpha' without a value", unset)


def test_a_constant_is_what_it_is_declared_to_be() -> None:
    shapes, types, several, none = (named_constant("c", [1.0, 2.0]) for _ in range(4))
    shapes.outputs[0].type.CopyFrom(tensor_type((3,)))
    refused("is declared as FLOAT32 3 but holds FLOAT32 2", shapes, relu())
    types.outputs[0].type.CopyFrom(tensor_type((2,), "FLOAT16"))
    refused("is declared as FLOAT16 2 but holds FLOAT32 2", types, relu())
    several.outputs.add(name="d").type.CopyFrom(tensor_type((2,)))
    refused("has 2 results, a constant has one", several, relu())
    none.attributes.clear()
    refused("operator 'const' at 'c' in 'a.mlpackage' has no value", none, relu())
    scalar = named_constant("c", 1.0)
    scalar.outputs[0].type.CopyFrom(tensor_type((1,)))
    refused("is declared as FLOAT32 1 but holds FLOAT32 scalar", scalar, relu())


@pytest.mark.parametrize(
    ("text", "sound"), [("bilinear", True), ("a b\tc\nd", True), ("a\x1bb", False), ("a\x1ab", False), ("\x00", False)]
)
def test_texts_have_no_control_characters(text: str, sound: bool) -> None:
    value = MIL_pb2.Value(type=tensor_type((), "STRING"))
    value.immediateValue.tensor.strings.values.append(text)
    for holder in (value, _listed(value, "list"), _listed(value, "tuple")):
        given = relu(mode=holder)
        checked(given) if sound else refused("has a text with control characters", given)
        attributed = relu()
        attributed.attributes["mode"].CopyFrom(holder)
        checked(attributed) if sound else refused("has a text with control characters", attributed)


def _listed(value: Any, kind: str) -> Any:
    holder = MIL_pb2.Value(type=value.type)
    getattr(holder.immediateValue, kind).values.add().CopyFrom(value)
    return holder


def feature(name: str, shape: tuple[int, ...] | None = None, image: tuple[int, int] | None = None) -> Any:
    described = Model_pb2.FeatureDescription(name=name)
    if image:
        described.type.imageType.height, described.type.imageType.width = image
    elif shape is not None:
        described.type.multiArrayType.shape.extend(shape)
        described.type.multiArrayType.dataType = 65568
    return described


def described(features: list[Any], outputs: list[Any] | None = None, **options: Any) -> None:
    block, proto = function(relu(), **options)
    check_features(proto, block, features, outputs if outputs is not None else [feature("y", (2, 3))], "a.mlpackage")


def test_callers_are_promised_what_the_function_has() -> None:
    described([feature("x", (2, 3))])
    for wrong, message in [
        (([feature("x", (3, 2))],), "input 'x' of 'a.mlpackage' is described as 3×2, the program takes 2×3"),
        (([feature("x", (2, 3, 1))],), "is described as 2×3×1, the program takes 2×3"),
        (([feature("x", (2,))],), "is described as 2, the program takes 2×3"),
        (([feature("z", (2, 3))],), "describes an input 'z' that its program lacks"),
        (([feature("x", (2, 3))], [feature("z", (2, 3))]), "describes an output 'z' that its program lacks"),
        (([feature("x", (2, 3)), feature("x", (2, 3))],), r"describes an input twice \('x, x'\)"),
        (([feature("x", (2, 3))], [feature("y", (2, 3)), feature("y", (2, 4))]), "describes an output twice"),
        (([],), "input 'x' of the program in 'a.mlpackage' is not described to callers"),
        (([feature("x")],), "input 'x' of 'a.mlpackage' has no type"),
        (([feature("x", (2, 3))], [feature("y", (-2, 3))]), "output 'y' of 'a.mlpackage' has the shape -2×3"),
        (([feature("x", (2, 3))], [feature("y", (1,) * 9)]), "has 9 dimensions"),
    ]:
        with pytest.raises(MilError, match=message):
            described(*wrong)


def test_one_tensor_may_be_given_back_twice() -> None:
    described([feature("x", (2, 3))], [feature("y", (2, 3))] * 2)


def test_unknown_lengths_agree_with_any() -> None:
    described([feature("x", (5, 3))], inputs={"x": tensor_type((-1, 3))})
    with pytest.raises(MilError, match="is described as 5×4, the program takes -1×3"):
        described([feature("x", (5, 4))], inputs={"x": tensor_type((-1, 3))})


def test_pictures_agree_in_height_and_width() -> None:
    four = {"x": tensor_type((1, 3, 4, 6))}
    described([feature("x", image=(4, 6))], inputs=four)
    with pytest.raises(MilError, match="is described as 6×4, the program takes 4×6"):
        described([feature("x", image=(6, 4))], inputs=four)
    several = feature("x", image=(6, 4))
    several.type.imageType.enumeratedSizes.sizes.add(height=4, width=6)
    described([several], inputs=four)
    several.type.imageType.enumeratedSizes.sizes.add(height=2**16, width=2**16)
    with pytest.raises(MilError, match="has the shape 65536×65536"):
        described([several], inputs=four)


def test_ranges_and_lists_of_shapes_are_looked_at() -> None:
    ranged = feature("x", (7, 7))
    for _ in range(2):
        ranged.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=2, upperBound=9)
    described([ranged])
    ranged.type.multiArrayType.shapeRange.sizeRanges[0].lowerBound = 2**40
    with pytest.raises(MilError, match="the limit is"):
        described([ranged])
    listed = feature("x", (7, 7))
    listed.type.multiArrayType.enumeratedShapes.shapes.add(shape=[2, -3])
    with pytest.raises(MilError, match="has the shape 2×-3"):
        described([listed])
    nothing = feature("x", ())
    nothing.type.multiArrayType.enumeratedShapes.SetInParent()
    with pytest.raises(MilError, match="has no shape"):
        described([nothing])
    picture = feature("x", image=(4, 6))
    for side in (picture.type.imageType.imageSizeRange.heightRange, picture.type.imageType.imageSizeRange.widthRange):
        side.lowerBound, side.upperBound = 2**16, -1
    with pytest.raises(MilError, match="65536×65536"):
        described([picture])


def state_of(*shape: int) -> Any:
    state = MIL_pb2.ValueType()
    state.stateType.wrappedType.CopyFrom(tensor_type(shape))
    return state


def described_state(name: str, *shape: int) -> Any:
    state = Model_pb2.FeatureDescription(name=name)
    state.type.stateType.arrayType.shape.extend(shape)
    return state


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([("s", 1, 2)], ""),
        ([], "input 's' of the program in 'a.mlpackage' is not described to callers"),
        ([("s", 1, 2), ("s", 1, 2)], "describes a state twice"),
        ([("s", 1, 2), ("r", 1)], "describes a state 'r' that its program lacks"),
        ([("s", 2)], "state 's' of 'a.mlpackage' is described as 2, the program keeps 1×2"),
        ([("x", 2, 3), ("s", 1, 2)], "describes a state 'x' that its program lacks"),
    ],
)
def test_states_are_described_as_the_program_keeps_them(states: list[Any], message: str) -> None:
    block, proto = function(relu(), inputs={"x": tensor_type((2, 3)), "s": state_of(1, 2)})
    arguments = [feature("x", (2, 3))], [feature("y", (2, 3))], "a.mlpackage", [described_state(*state) for state in states]
    if not message:
        check_features(proto, block, *arguments)
        return
    with pytest.raises(MilError, match=message):
        check_features(proto, block, *arguments)


def test_a_state_has_no_open_length() -> None:
    block, proto = function(relu(), inputs={"x": tensor_type((2, 3)), "s": state_of(-1, 2)})
    with pytest.raises(MilError, match=r"state 's' of 'a.mlpackage' is described as -1×2, the program keeps -1×2"):
        check_features(proto, block, [feature("x", (2, 3))], [feature("y", (2, 3))], "a.mlpackage", [described_state("s", -1, 2)])


def test_shapes_are_written_as_people_write_them() -> None:
    assert by(()) == "()"
    assert by((1, 3)) == "1×3"
    assert by((1,) * 8) == "×".join("1" * 8)
    assert by((1,) * 9) == "×".join("1" * 8) + "×…"
    assert shape_of(tensor_type((2, -1, 4))) == (2, -1, 4)


def test_a_rule_allows_what_it_says() -> None:
    one = ShapeRule.of_array(feature("x", (2, 3)).type.multiArrayType)
    assert (one.allows((2, 3)), one.allows((3, 2)), str(one)) == (True, False, "2×3")
    ranged = feature("x").type.multiArrayType
    for low, high in ((2, 5), (4, 4), (1, -1)):
        ranged.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    rule = ShapeRule.of_array(ranged)
    assert rule.default == (2, 4, 1)
    assert str(rule) == "2..5×4×1.."
    for shape, allowed in [
        ((2, 4, 1), True),
        ((5, 4, 900), True),
        ((1, 4, 1), False),
        ((6, 4, 1), False),
        ((2, 5, 1), False),
        ((2, 4, 0), False),
        ((2, 4), False),
    ]:
        assert rule.allows(shape) == allowed, shape
    ranged.shapeRange.sizeRanges[2].upperBound = 0
    assert ShapeRule.of_array(ranged).ranges[2] == (1, 0)
    listed = feature("x", (7, 7)).type.multiArrayType
    for shape in ((2, 3), (4, 5)):
        listed.enumeratedShapes.shapes.add(shape=shape)
    rule = ShapeRule.of_array(listed)
    assert [rule.allows(shape) for shape in ((2, 3), (4, 5), (7, 7), (2, 5))] == [True, True, True, False]
    assert str(rule) == "2×3 or 4×5"
    del listed.shape[:]
    assert ShapeRule.of_array(listed).default == (2, 3)
    image = feature("x", image=(4, 6)).type.imageType
    assert ShapeRule.of_image(image).default == (4, 6)
    image.enumeratedSizes.sizes.add(height=8, width=12)
    assert ShapeRule.of_image(image).enumerated == ((8, 12),)
    flexible = feature("x", image=(4, 6)).type.imageType
    for side, low in ((flexible.imageSizeRange.heightRange, 4), (flexible.imageSizeRange.widthRange, 6)):
        side.lowerBound, side.upperBound = low, -1
    assert ShapeRule.of_image(flexible).ranges == ((4, None), (6, None))


def test_operators_are_called_by_their_first_result() -> None:
    refused("operator 'relu' at 'a' in 'a.mlpackage' reads 'q'", relu(x="q", outputs=("a", "b")), outputs=("a",))


def test_long_names_are_cut_in_messages() -> None:
    refused(f"operator 'relu' at '{'n' * 80}' in 'a.mlpackage' reads", relu(x="q", outputs=("n" * 90,)))
    refused(f"output '{'n' * 80}' of 'a.mlpackage' is never computed", relu(), outputs=("n" * 90,))


def test_types_of_values_that_stand_in_place_have_to_be_known() -> None:
    wrong = constant([1.0, 2.0])
    wrong.type.tensorType.dataType = 99
    refused("a value of operator 'relu' at 'y' in 'a.mlpackage' has the data type number 99", relu(alpha=wrong))
    attributed = relu()
    attributed.attributes["alpha"].CopyFrom(wrong)
    refused("a value of operator 'relu' .* has the data type number 99", attributed)
    checked(relu(alpha=constant([1.0, 2.0])))


@pytest.mark.parametrize("kind", ["listType", "stateType"])
def test_lists_and_states_hold_tensors_of_types_that_are_known(kind: str) -> None:
    def holding(inner: Any) -> dict[str, Any]:
        outer = MIL_pb2.ValueType()
        (outer.listType.type if kind == "listType" else outer.stateType.wrappedType).CopyFrom(inner)
        return {"x": tensor_type((2, 3)), "l": outer}

    checked(relu(), inputs=holding(tensor_type((1,))))
    refused("input 'l' of 'a.mlpackage' has the data type number 99", relu(), inputs=holding(_numbered(99)))
    refused("input 'l' of 'a.mlpackage' has 9 dimensions", relu(), inputs=holding(tensor_type((1,) * 9)))
    refused("input 'l' of 'a.mlpackage' holds no tensors", relu(), inputs=holding(holding(tensor_type((1,)))["l"]))


def test_the_shape_of_a_lists_elements_may_be_empty_and_states_are_written_without_a_result() -> None:
    made = operation("make_list", outputs=("l",))
    made.outputs[0].type.Clear()
    made.outputs[0].type.listType.type.CopyFrom(tensor_type(()))
    made.inputs["elem_shape"].SetInParent()
    checked(made, relu())
    checked(operation("write_state", outputs=(), input="x", data="x"), relu())


def test_a_checked_function_knows_its_name_its_operator_set_and_the_shapes_that_it_has_by_default() -> None:
    made = written_program(
        {"x": ("FLOAT32", [5, 3]), "z": ("RGB", (4, 6))},
        {"y": ("FLOAT32", [])},
        {"x": (-1, 3), "z": (1, 3, 4, 6)},
        operation("relu", (-1, 3), x="x"),
    )
    for name in (None, "main"):
        found = check_function(made, Path(), "net", name)
        assert (found.name, found.opset) == ("main", 7)
        assert found.default_shapes == {"x": (5, 3), "z": (1, 3, 4, 6)}
    with pytest.raises(MilError, match="'net' has no function 'other'"):
        check_function(made, Path(), "net", "other")
    del made.description.input[0].type.multiArrayType.shape[:]
    assert check_function(made, Path(), "net").default_shapes["x"] == (-1, 3)
    made.description.input[0].name = "q"
    with pytest.raises(MilError, match="describes an input 'q' that its program lacks"):
        check_function(made, Path(), "net")
    made.mlProgram.functions["main"].block_specializations["CoreML7"].operations[0].inputs["x"].arguments[0].name = "far"
    with pytest.raises(MilError, match="reads 'far' which is never computed"):
        check_function(made, Path(), "net")


def test_a_neural_network_has_no_functions_and_a_table_is_none() -> None:
    made = model("neuralNetwork", {"x": ("DOUBLE", [3])}, {"y": ("DOUBLE", [])})
    layer = made.neuralNetwork.layers.add(name="l", input=["x"], output=["y"])
    layer.activation.ReLU.SetInParent()
    assert [check_function(made, Path(), "net", name).name for name in (None, "main")] == ["main", "main"]
    with pytest.raises(MilError, match="'net' is a neural network, which has no functions: leave the function out"):
        check_function(made, Path(), "net", "other")
    with pytest.raises(MilError, match="'net' is a scaler model: this takes an ML program or a neural network"):
        check_function(model("scaler", {"x": "double"}, {"y": "double"}), Path(), "net")
