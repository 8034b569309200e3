"""Steps at the ends of their range, axes counted from either end, and types nobody quantises to."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.quantization import OPERATORS


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MilError, match="quantize to 'int4' is not one of int8, uint8"):
        OPERATORS["quantize"].run(torch.ones(1), torch.tensor(1.0), "int4")


@pytest.mark.parametrize(("dtype", "torchs", "steps"), [("int8", torch.int8, [-128, -128, 0, 127]), ("uint8", torch.uint8, [0, 0, 0, 127])])
def test_steps_end_where_the_type_does(dtype: str, torchs: torch.dtype, steps: list[int]) -> None:
    out = OPERATORS["quantize"].run(torch.tensor([-129.0, -128, 0, 127]), torch.tensor(1.0), dtype)
    assert (out.dtype, out.tolist()) == (torchs, steps)
    above = OPERATORS["quantize"].run(torch.tensor([128.0, 255, 256]), torch.tensor(1.0), dtype)
    assert above.tolist() == ([127] * 3 if dtype == "int8" else [128, 255, 255])


def test_the_zero_point_is_added_behind_the_rounding() -> None:
    out = OPERATORS["quantize"].run(torch.tensor([0.5, 1.5]), torch.tensor(1.0), "int8", torch.tensor(1, dtype=torch.int8))
    assert out.tolist() == [1, 3]
    back = OPERATORS["dequantize"].run(out, torch.tensor(0.5), torch.tensor(3, dtype=torch.int8))
    assert back.tolist() == [-1.0, 0.0]
    assert OPERATORS["dequantize"].run(torch.tensor([200], dtype=torch.uint8), torch.tensor(0.5)).tolist() == [100.0]
