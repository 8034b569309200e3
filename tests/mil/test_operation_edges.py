"""Operations name themselves and what they read."""

import pytest

from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo


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
    ],
)
def test_a_result_fits_where_every_known_length_does(declared: tuple[int, ...], actual: tuple[int, ...], fits: bool) -> None:
    assert TensorInfo("y", "FLOAT32", declared).fits(actual) is fits


def test_an_operation_is_called_by_its_first_output_and_reads_what_its_lists_name() -> None:
    outputs = (TensorInfo("y", "FLOAT32", ()), TensorInfo("z", "FLOAT32", ()))
    operation = Operation("concat", {"values": (Reference("a"), 3, Reference("b")), "axis": 0, "x": Reference("c")}, outputs)
    assert operation.name == "y"
    assert operation.references == {"a", "b", "c"}
    assert str(operation) == "operator 'concat' at 'y'"
