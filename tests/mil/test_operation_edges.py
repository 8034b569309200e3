"""Operations name themselves and what they read."""

import pytest

from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo, every, renamed


@pytest.mark.parametrize(
    ("declared", "actual", "fits"),
    [
        ((2, 3), (2, 3), True),
        ((2, 3), (2, 4), False),
        ((-1, 3), (7, 3), True),
        ((-1, 3), (7, 4), False),
        ((2, 3), (2,), False),
        ((2,), (2, 3), False),
        ((), (), True),
        ((-1,), (0,), True),
        (None, (), True),
        (None, (2, 3), True),
    ],
)
def test_a_result_fits_where_every_known_length_does(declared: tuple[int, ...] | None, actual: tuple[int, ...], fits: bool) -> None:
    assert TensorInfo("y", "FLOAT32", declared).fits(actual) is fits


def test_an_operation_is_called_by_its_first_output_and_reads_what_its_lists_name() -> None:
    outputs = (TensorInfo("y", "FLOAT32", ()), TensorInfo("z", "FLOAT32", ()))
    operation = Operation("concat", {"values": (Reference("a"), 3, Reference("b")), "axis": 0, "x": Reference("c")}, outputs)
    assert operation.name == "y"
    assert operation.references == {"a", "b", "c"}
    assert str(operation) == "operator 'concat' at 'y'"


def test_values_of_blocks_are_renamed_with_what_they_read_outside() -> None:
    info = TensorInfo("i", "FLOAT32", (2,))
    add = Operation("add", {"x": Reference("i"), "y": Reference("a"), "n": 3}, (TensorInfo("s", "FLOAT32", (2,)),), releases=("i",))
    inner = Operation("cond", {"p": Reference("s")}, (TensorInfo("c", "FLOAT32", (2,)),), blocks=(Block((), (), (Reference("a"), 1)),))
    block = Block((info,), (add, inner), (Reference("s"), (Reference("c"), Reference("a"))), releases=("s", "c"))
    loop = Operation("while_loop", {"loop_vars": (Reference("a"),)}, (TensorInfo("y", "FLOAT32", (2,)),), ("a",), {"k": "v"}, (block,))
    scope = {"a": "A"}
    result = renamed(loop, scope, "m/")
    assert scope == {"a": "A", "y": "m/y"}
    assert (result.kind, result.name, result.names, result.releases) == ("while_loop", "m/y", {"k": "v"}, ("A",))
    assert result.arguments == {"loop_vars": (Reference("A"),)}
    (inside,) = result.blocks
    assert [value.name for value in inside.inputs] == ["m/i"]
    first, second = inside.operations
    assert (first.name, first.arguments, first.releases) == ("m/s", {"x": Reference("m/i"), "y": Reference("A"), "n": 3}, ("m/i",))
    assert (second.arguments, second.blocks[0].outputs) == ({"p": Reference("m/s")}, (Reference("A"), 1))
    assert inside.outputs == (Reference("m/s"), (Reference("m/c"), Reference("A")))
    assert inside.releases == ("m/s", "m/c")
    assert (result.references, inside.reads) == ({"A"}, {"A"})
    assert [operation.name for operation in every([result])] == ["m/s", "m/c", "m/y"]


def test_an_operation_without_results_is_called_by_what_it_reads() -> None:
    assert Operation("write_state", {}, ()).name == "write_state"
    assert Operation("write_state", {"state": Reference("s"), "value": Reference("t")}, ()).name == "s"
    assert Operation("write_state", {"state": Reference("t"), "value": Reference("s")}, ()).name == "s"
