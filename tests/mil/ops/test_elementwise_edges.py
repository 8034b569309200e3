"""Types of results, and integers at the ends of their range."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.elementwise import OPERATORS, to_integer

HALVES, WHOLE = torch.tensor([7.0, -7.0]), torch.tensor([2, 2], dtype=torch.int32)


@pytest.mark.parametrize(
    ("kind", "expected"), [("real_div", [3.5, -3.5]), ("floor_div", [3, -4]), ("mod", [1, 1]), ("add", [9, -5]), ("mul", [14, -14])]
)
def test_one_float_side_makes_a_float(kind: str, expected: list[float]) -> None:
    for x, y in ((HALVES, WHOLE), (HALVES, WHOLE.float()), (HALVES.int(), WHOLE.float())):
        out = OPERATORS[kind].run(x, y)
        assert out.dtype == torch.float32
        assert out.tolist() == expected


@pytest.mark.parametrize(("kind", "expected"), [("real_div", [3, -3]), ("floor_div", [3, -4]), ("mod", [1, 1])])
def test_integers_stay_integers_of_their_type(kind: str, expected: list[int]) -> None:
    out = OPERATORS[kind].run(HALVES.int(), WHOLE)
    assert out.dtype == torch.int32
    assert out.tolist() == expected


@pytest.mark.parametrize("kind", ["real_div", "floor_div", "mod"])
def test_floats_are_divided_by_zero_without_an_error_and_integers_with_one(kind: str) -> None:
    zero = torch.tensor([0, 1])
    for x, y in ((HALVES, zero), (HALVES.int(), zero.float())):
        assert not OPERATORS[kind].run(x, y)[0].isfinite()
    with pytest.raises(MilError, match=f"{kind} divides integers by zero: guard the divisor"):
        OPERATORS[kind].run(HALVES.int(), zero)


def test_integers_are_the_nearest_below_that_fit() -> None:
    x = torch.tensor([-1e10, -1.5, 0.0, 1.9, 300.0, 1e10, torch.nan])
    assert to_integer(x, torch.uint8).tolist() == [0, 0, 0, 1, 255, 255, 0]
    assert to_integer(x, torch.int8).tolist() == [-128, -1, 0, 1, 127, 127, 0]
    assert to_integer(x, torch.int32).tolist() == [-(2**31), -1, 0, 1, 300, 2**31 - 1, 0]
    assert to_integer(x, torch.int32, (0, 5)).tolist() == [0, 0, 0, 1, 5, 5, 0]


def test_casts_have_types_of_their_own() -> None:
    x = torch.tensor([-1.5, 0.25, 70000.0])
    assert OPERATORS["cast"].run(x, "uint16").tolist() == [0, 0, 65535]
    assert OPERATORS["cast"].run(torch.tensor([-1, 65536, 65535]), "uint16").tolist() == [65535, 0, 65535]
    assert OPERATORS["cast"].run(x, "bool").tolist() == [True, True, True]
    assert OPERATORS["cast"].run(True, "int32").item() == 1
    types = {"fp16": torch.float32, "fp32": torch.float32, "uint8": torch.uint8, "int8": torch.int8, "int16": torch.int16}
    types |= {"uint16": torch.int32, "int32": torch.int32, "bool": torch.bool}
    for name, dtype in types.items():
        assert OPERATORS["cast"].run(x, name).dtype == dtype
        assert OPERATORS["cast"].run(WHOLE, name).dtype == dtype


def test_a_choice_of_one_side_names_the_missing_one() -> None:
    yes = torch.tensor([True, False])
    with pytest.raises(MilError, match="select is given only 'b'"):
        OPERATORS["select"].run(yes, None, torch.ones(2))
    with pytest.raises(MilError, match="select is given only 'a'"):
        OPERATORS["select"].run(yes, torch.ones(2))
    assert OPERATORS["select"].run(True).tolist() == [[]]
    assert OPERATORS["select"].run(yes, True, False).tolist() == [True, False]


def test_powers_of_one_number_and_of_integers() -> None:
    x = torch.tensor([-0.0, -torch.inf, -2.0, 4.0])
    assert OPERATORS["pow"].run(x, torch.tensor(3.0)).tolist() == [0, -torch.inf, -8, 64]
    halves = OPERATORS["pow"].run(x, torch.tensor(0.5))
    assert halves[[0, 1, 3]].tolist() == [0, torch.inf, 2]
    assert halves[2].isnan()
    assert OPERATORS["pow"].run(WHOLE, torch.tensor(3, dtype=torch.int32)).tolist() == [8, 8]
    assert OPERATORS["pow"].run(WHOLE, torch.tensor(3, dtype=torch.int32)).dtype == torch.int32
