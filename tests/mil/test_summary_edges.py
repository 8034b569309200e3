"""Cost and size of single operators, counted by hand, unknown shapes included."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil.check import read_function
from fcrn_mobile.mil.costs import count_macs, macs
from fcrn_mobile.mil.declared import declared_operations
from fcrn_mobile.mil.summary import summarise
from fcrn_mobile.package.blob import PACKED, WHOLE
from fcrn_mobile.package.errors import MilError
from tests.mil.build import mb, save_program
from tests.mil.protobuf import named_constant, operation, tensor_type, text
from tests.mil.specifications import model, pipeline, saved, written_program


def counted(last: Any, shapes: dict[str, tuple[int, ...]], *constants: Any) -> int:
    """Of one operator whose inputs have these shapes."""
    function, block = MIL_pb2.Function(), MIL_pb2.Block()
    for name, shape in shapes.items():
        function.inputs.add(name=name).type.CopyFrom(tensor_type(shape))
    block.operations.extend([*constants, last])
    assert count_macs(function, block) == macs(*list(declared_operations(function, block))[-1])
    return count_macs(function, block)


@pytest.mark.parametrize(
    ("kind", "out", "shapes", "expected"),
    [
        ("conv", (1, 5, 6, 7), {"x": (1, 3, 8, 9), "weight": (5, 3, 2, 2)}, 5 * 6 * 7 * 3 * 4),
        ("conv", (-1, 5, 6, 7), {"x": (1, 3, 8, 9), "weight": (5, 3, 2, 2)}, 0),
        ("conv", (1, 5, 6, 7), {"x": (-1, 3, 8, 9), "weight": (5, 3, 2, 2)}, 0),
        ("conv", (1, 5, 6, 7), {"x": (1, 3, 8, 9), "weight": (5, 3, -1, -1)}, 0),
        ("conv_transpose", (1, 5, 6, 7), {"x": (1, 3, 8, 9), "weight": (3, 5, 2, 2)}, 3 * 8 * 9 * 5 * 4),
        ("linear", (2, 5), {"x": (2, 3), "weight": (5, 3)}, 2 * 5 * 3),
        ("linear", (2, 5), {"x": (2, 3)}, 0),
        ("matmul", (2, 5), {"x": (2, 3), "y": (3, 5)}, 2 * 5 * 3),
        ("matmul", (5,), {"x": (3,), "y": (3, 5)}, 5 * 3),
        ("matmul", (2, 5), {"y": (3, 5)}, 0),
        ("scaled_dot_product_attention", (1, 4, 7), {"query": (1, 4, 5), "key": (1, 6, 5), "value": (1, 6, 7)}, (4 * 5 + 4 * 7) * 6),
        ("scaled_dot_product_attention", (4, 7), {"query": (4, 5), "key": (6, 5), "value": (6, 7)}, (4 * 5 + 4 * 7) * 6),
        ("scaled_dot_product_attention", (1, 4, 7), {"query": (1, -1, 5), "key": (1, 6, 5), "value": (1, 6, 7)}, 0),
        ("scaled_dot_product_attention", (1, 4, 7), {"query": (1, 4, 5), "key": (1, -1, 5), "value": (1, 6, 7)}, 0),
        ("scaled_dot_product_attention", (1, 4, 7), {"query": (1, 4, 5)}, 0),
        ("relu", (2, 5), {"x": (2, 5)}, 0),
    ],
)
def test_multiplications_of_an_operator(kind: str, out: tuple[int, ...], shapes: dict[str, tuple[int, ...]], expected: int) -> None:
    assert counted(operation(kind, out, **{name: name for name in shapes}), shapes) == expected


@pytest.mark.parametrize(("turned", "depth"), [(True, 2), (False, 3)])
def test_a_turned_matrix_is_summed_over_its_rows(turned: bool, depth: int) -> None:
    flag = named_constant("flag", turned)
    last = operation("matmul", (7, 5), x="x", y="y", transpose_x="flag")
    assert counted(last, {"x": (2, 3), "y": (3, 5)}, flag) == 7 * 5 * depth
    assert counted(operation("matmul", (5,), x="x", y="y", transpose_x="flag"), {"x": (3,), "y": (3, 5)}, flag) == 5 * 3


def equation(text: str) -> Any:
    proto = named_constant("equation", [0])
    proto.attributes["val"].immediateValue.tensor.strings.values.append(text)
    return proto


@pytest.mark.parametrize(
    ("text", "shapes", "expected"),
    [
        ("ab,bc->ac", {"p": (2, 3), "q": (3, 5)}, 30),
        ("ab, bc -> ac", {"p": (2, 3), "q": (3, 5)}, 30),
        ("ab,bc->ac", {"p": (2, 1), "q": (3, 5)}, 30),
        ("ab,bc->ac", {"p": (2, 3), "q": (1, 5)}, 30),
        ("ab,bc->ac", {"p": (2, -1), "q": (-1, 5)}, 0),
        ("ab,bc->ac", {"p": (-1, 3), "q": (3, 5)}, 0),
        ("", {"p": (2, 3), "q": (3, 5)}, 0),
    ],
)
def test_an_equation_meets_every_combination_of_its_indices_once(text: str, shapes: dict[str, tuple[int, ...]], expected: int) -> None:
    assert counted(operation("einsum", (2, 5), values=["p", "q"], equation="equation"), shapes, equation(text)) == expected


def test_the_cost_of_a_program_is_that_of_all_its_operators() -> None:
    function, block = MIL_pb2.Function(), MIL_pb2.Block()
    function.inputs.add(name="x").type.CopyFrom(tensor_type((2, 3)))
    function.inputs.add(name="w").type.CopyFrom(tensor_type((5, 3)))
    function.inputs.add(name="v").type.CopyFrom(tensor_type((4, 5)))
    block.operations.extend([operation("linear", (2, 5), ("h",), x="x", weight="w"), operation("linear", (2, 4), x="h", weight="v")])
    assert count_macs(function, block) == 2 * 5 * 3 + 2 * 4 * 5


BYTES = {name: np.dtype(dtype).itemsize for name, (_, dtype) in WHOLE.items()} | {name: bits / 8 for name, (_, bits, _) in PACKED.items()}
BYTES |= {"BFLOAT16": 2, "FLOAT8E4M3FN": 1, "FLOAT8E5M2": 1, "STRING": 1}


@pytest.mark.parametrize("name", BYTES)
def test_weights_are_counted_in_bytes_of_their_stored_type(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = save_program(tmp_path, lambda x0: mb.add(x=x0, y=np.float32(1)), [np.zeros(3, np.float32)])
    block = MIL_pb2.Block()
    for shape in ((3, 5), (2,)):
        stored = MIL_pb2.Value()
        stored.type.CopyFrom(tensor_type(shape, name))
        stored.blobFileValue.fileName = "w"
        block.operations.append(operation("const", shape))
        block.operations[-1].attributes["val"].CopyFrom(stored)
    # An input that is written in place counts as well, one in the specification does not.
    block.operations.append(operation("add", (2,), x=stored, y=[1.0, 2.0]))
    checked = read_function(package, None)
    monkeypatch.setattr("fcrn_mobile.mil.summary.check_function", lambda *_: replace(checked, block=block))
    each = [int(np.ceil(count * BYTES[name])) for count in (15, 2, 2)]
    assert summarise(package).weights == {name: sum(each)}


def test_what_a_package_holds_in_words(tmp_path: Path) -> None:
    def body(x0):
        return mb.relu(x=mb.relu(x=mb.add(x=x0, y=np.float32(1))), name="y")

    facts = summarise(save_program(tmp_path, body, [np.zeros((2, 3), np.float32)]))
    assert facts.function == "main"
    assert facts.functions == ["main"]
    assert facts.inputs == ["x0: FLOAT32 array 2×3."]
    assert facts.outputs == ["y: FLOAT32 array 2×3."]
    assert list(facts.operators.items()) == [("relu", 2), ("add", 1)]
    assert (facts.unsupported, facts.refused, facts.weights, facts.macs) == ([], [], {}, 0)


def written(*operations: Any, weights: tuple[int, ...] = ()) -> Any:
    """A program by hand from x of 2×3 to y, with a constant in a file that does not exist if it has a shape."""
    before = []
    if weights:
        stored = MIL_pb2.Value(type=tensor_type(weights))
        stored.blobFileValue.fileName = "@model_path/weights/none.bin"
        before = [operation("const", weights, ("w",))]
        before[0].attributes["val"].CopyFrom(stored)
    return written_program({"x": ("FLOAT32", [2, 3])}, {"y": ("FLOAT32", [])}, {"x": (2, 3)}, *before, *operations)


def test_a_model_that_is_one_operation_counts_as_one_and_costs_nothing(tmp_path: Path) -> None:
    table = model("scaler", {"x": ("DOUBLE", [3])}, {"y": ("DOUBLE", [3])})
    facts = summarise(saved(table, tmp_path))
    assert (facts.kind, facts.operators, facts.unsupported, facts.macs, facts.weights) == ("scaler", {"scaler": 1}, [], 0, {})
    assert (facts.stages, facts.damaged, facts.counted_at, facts.counted_once, facts.states) == ([], [], [], [], [])
    table.scaler.scaleValue.extend([1, 2])
    with pytest.raises(MilError, match="0 shifts, 2 scales"):
        summarise(saved(table, tmp_path))
    other = model("visionFeaturePrint", {"x": ("RGB", (2, 3))}, {"y": ("DOUBLE", [3])})
    facts = summarise(saved(other, tmp_path))
    assert (facts.operators, facts.unsupported) == ({"visionFeaturePrint": 1}, ["visionFeaturePrint"])


def test_stages_are_told_with_what_they_read_and_give_and_why_they_do_not_run(tmp_path: Path) -> None:
    product = operation("linear", (2, 1000), x="x", weight="w")
    stages = [
        written(operation("relu", (2, 3), x="x")),
        written(product, weights=(1000, 3)),
        model("identity", {"y": ("FLOAT32", [])}, {"y": ("FLOAT32", [])}),
        model("visionFeaturePrint", {"y": ("FLOAT32", []), "x": ("FLOAT32", [2, 3])}, {"z": ("DOUBLE", [3]), "u": "double"}),
    ]
    facts = summarise(saved(pipeline(stages, {"x": ("FLOAT32", [2, 3])}, {"z": ("DOUBLE", [3])}), tmp_path))
    assert facts.stages == [
        "model0: mlProgram, x → y",
        "model1: mlProgram, x → y, 1 operators, 0.0 MB of weights",
        "model2: identity, y → y",
        "model3: visionFeaturePrint, y, x → z, u, which does not run here (its weights are Apple's and not in the file)",
    ]
    assert facts.operators == {"relu": 1, "linear": 1, "identity": 1, "visionFeaturePrint": 1}
    assert (facts.macs, facts.weights, facts.unsupported) == (2 * 3 * 1000, {"FLOAT32": 12_000}, ["visionFeaturePrint"])
    assert len(facts.damaged) == 1  # the file of weights does not exist


def test_weights_that_are_missing_are_told_and_nothing_else_is_read(tmp_path: Path) -> None:
    padded = operation("pad", (4, 3), ("p",), x="x", pad=[1, 1, 0, 0, 0, 0], mode=text("reflect"))
    product = operation("linear", (4, 5), x="p", weight="w")
    facts = summarise(saved(written(padded, product, weights=(5, 3)), tmp_path))
    assert len(facts.damaged) == 1 and "none.bin" in facts.damaged[0]
    assert (facts.refused, facts.weights, facts.macs) == ([], {"FLOAT32": 60}, 4 * 5 * 3)
    assert len(summarise(saved(written(padded, operation("relu", (4, 3), x="p")), tmp_path)).refused) == 1


def test_types_that_do_not_run_here_are_named_once(tmp_path: Path) -> None:
    steps = [operation("lunar_lander", (2, 3), (name,), x=read) for name, read in (("a", "x"), ("b", "a"))]
    facts = summarise(saved(written(*steps, operation("relu", (2, 3), x="b")), tmp_path))
    assert (facts.unsupported, facts.operators) == (["lunar_lander"], {"lunar_lander": 2, "relu": 1})


def test_a_size_is_one_that_the_inputs_take(tmp_path: Path) -> None:
    path = saved(written(operation("relu", (2, 3), x="x")), tmp_path)
    assert summarise(path, size=(2, 3)) == summarise(path)
    with pytest.raises(MilError, match="takes x 2×3, not the 3×2 of --size"):
        summarise(path, size=(3, 2))


def test_inputs_and_outputs_in_words(tmp_path: Path) -> None:
    given = {"a?": ("FLOAT32", [2, 3]), "b": "double", "c": "string", "d": ("RGB", (4, 6)), "e": "dictionary of int64"}
    made = model("identity", given, {"a": ("FLOAT32", [2, 3]), "b": "double"})
    made.description.input[0].type.multiArrayType.floatDefaultValue = 2.5
    for described, words in zip(made.description.input, ("Gain.", "Focal length", "", "The picture. ", "Votes"), strict=True):
        described.shortDescription = words
    facts = summarise(saved(made, tmp_path))
    assert facts.inputs == [
        "a: FLOAT32 array 2×3, 2.5 if left out. Gain.",
        "b: DOUBLE number. Focal length.",
        "c: STRING label.",
        "d: RGB image 4×6. The picture.",
        "e: INT64 scores. Votes.",
    ]
    assert facts.outputs == ["a: FLOAT32 array 2×3.", "b: DOUBLE number."]
