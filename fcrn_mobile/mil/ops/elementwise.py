"""Elementwise arithmetic, comparison, logic and selection with broadcasting, and casts.

Integers stay integers and wrap around; booleans that are single constants arrive as Python values.
"""

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape, broadcast
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "cast", "data_type", "floor_div", "mod", "power", "real_div", "select", "to_integer"]

#: MIL's names; half precision is kept in float32 tensors, whose rounding is the arithmetic policy's business, and uint16 in
#: int32, because torch has next to no arithmetic on uint16.
_DTYPES = {
    "bool": torch.bool,
    "fp16": torch.float32,
    "fp32": torch.float32,
    "int16": torch.int16,
    "int32": torch.int32,
    "int8": torch.int8,
    "uint16": torch.int32,
    "uint8": torch.uint8,
}


def cast(x: Tensor | bool, dtype: str) -> Tensor:
    """Another data type; fractions are cut off, a number that is not zero is true, integers that do not fit wrap around.

    Raises:
        MilError: a data type MIL has no cast to.
    """
    value, kind = _tensor(x), data_type(dtype)
    if value.is_floating_point() and dtype not in ("bool", "fp16", "fp32"):
        return to_integer(value, kind, (0, 0xFFFF) if dtype == "uint16" else None)
    return value.to(kind).bitwise_and(0xFFFF) if dtype == "uint16" else value.to(kind)


def data_type(name: str) -> torch.dtype:
    """What MIL's name of a data type is computed in.

    Raises:
        MilError: a data type that is not computed in.
    """
    if name not in _DTYPES:
        raise MilError(f"the data type '{name}' is not supported: known are {', '.join(_DTYPES)}")
    return _DTYPES[name]


def to_integer(x: Tensor, dtype: torch.dtype, limits: tuple[int, int] | None = None) -> Tensor:
    """Integers below the size of float numbers; what does not fit becomes the nearest that does, NaN becomes 0.

    MIL leaves both open. Processors differ: AArch64 saturates in this way, x86 answers with the smallest integer.

    Args:
        x: float.
        dtype: an integer type.
        limits: least and greatest integer; those of ``dtype`` by default.
    """
    least, greatest = limits or (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    return x.double().nan_to_num(nan=0.0).clamp_(least, greatest).to(dtype)


def real_div(x: Tensor, y: Tensor) -> Tensor:
    """Quotient; between integers an integer, the fraction cut off.

    Raises:
        MilError: an integer divided by zero.
    """
    if x.is_floating_point() or y.is_floating_point():
        return torch.div(x, y)
    _refuse_zero("real_div", y)
    # Wider, because x86 traps on the smallest integer divided by -1.
    return torch.div(x.long(), y.long(), rounding_mode="trunc").to(torch.result_type(x, y))


def floor_div(x: Tensor, y: Tensor) -> Tensor:
    """The integer not above x / y, as Python's ``//``.

    Raises:
        MilError: an integer divided by zero.
    """
    if not (x.is_floating_point() or y.is_floating_point()):
        _refuse_zero("floor_div", y)
    return torch.div(x, y, rounding_mode="floor")


def mod(x: Tensor, y: Tensor) -> Tensor:
    """X - y·floor_div(x, y), of the divisor's sign, as Python's ``%``.

    Raises:
        MilError: an integer divided by zero.
    """
    if x.is_floating_point() or y.is_floating_point():
        # Wider, because torch's remainder is NaN where x / y overflows.
        return torch.remainder(x.double(), y.double()).float()
    _refuse_zero("mod", y)
    return torch.remainder(x, y)


def power(x: Tensor, y: Tensor) -> Tensor:
    """X to the y."""
    if y.dim() == 0 and x.is_floating_point():
        exponent = float(y)
        # Given a number torch multiplies instead of taking logarithms; for ±0.5 it takes roots, wrong at -0 and -inf.
        if exponent.is_integer():
            return torch.pow(x, exponent)
    return torch.pow(x, y)


def select(cond: Tensor | bool, a: Tensor | bool | None = None, b: Tensor | bool | None = None) -> Tensor:
    """A where the condition holds, b elsewhere; without both, the indices (n×rank) at which it holds.

    Raises:
        MilError: only one of a and b.
    """
    if a is None and b is None:
        return torch.nonzero(_tensor(cond)).to(torch.int32)
    if a is None or b is None:
        raise MilError(f"select is given only '{'b' if a is None else 'a'}': give both values or neither")
    return torch.where(_tensor(cond), _tensor(a), _tensor(b))


def _tensor(value: Tensor | bool) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)


def _refuse_zero(kind: str, divisor: Tensor) -> None:
    """Integers have no infinity to answer with."""
    if not divisor.all():
        raise MilError(f"{kind} divides integers by zero: guard the divisor, or cast to float before the division")


def _broadcast(declared: Declared) -> Shape:
    return broadcast(declared.shape("x"), declared.shape("y"))


OPERATORS = {
    "add": Operator(lambda x, y: torch.add(x, y), "scaled", fresh=True, grows=_broadcast, quantizable=True),
    "cast": Operator(cast, "computed", inserted=True, free=True),
    "equal": Operator(lambda x, y: torch.eq(x, y), "exact", grows=_broadcast),
    "floor_div": Operator(floor_div, "computed", grows=_broadcast),
    "greater": Operator(lambda x, y: torch.gt(x, y), "exact", grows=_broadcast),
    "greater_equal": Operator(lambda x, y: torch.ge(x, y), "exact", grows=_broadcast),
    "identity": Operator(lambda x: x, "moved", channelwise=True, inserted=True, free=True),
    "less": Operator(lambda x, y: torch.lt(x, y), "exact", grows=_broadcast),
    "less_equal": Operator(lambda x, y: torch.le(x, y), "exact", grows=_broadcast),
    "logical_and": Operator(lambda x, y: torch.logical_and(_tensor(x), _tensor(y)), "exact", grows=_broadcast),
    "logical_not": Operator(lambda x: torch.logical_not(_tensor(x)), "exact"),
    "logical_or": Operator(lambda x, y: torch.logical_or(_tensor(x), _tensor(y)), "exact", grows=_broadcast),
    "logical_xor": Operator(lambda x, y: torch.logical_xor(_tensor(x), _tensor(y)), "exact", grows=_broadcast),
    "maximum": Operator(lambda x, y: torch.maximum(x, y), "picked", grows=_broadcast),
    "minimum": Operator(lambda x, y: torch.minimum(x, y), "picked", grows=_broadcast),
    "mod": Operator(mod, "scaled", grows=_broadcast),
    "mul": Operator(lambda x, y: torch.mul(x, y), "computed", fresh=True, grows=_broadcast),
    "not_equal": Operator(lambda x, y: torch.ne(x, y), "exact", grows=_broadcast),
    "pow": Operator(power, "computed", grows=_broadcast),
    "real_div": Operator(real_div, "computed", fresh=True, grows=_broadcast),
    "select": Operator(
        select, "moved", grows=lambda declared: broadcast(*(declared.shape(key) for key in ("cond", "a", "b"))), misdeclared=True
    ),
    "sub": Operator(lambda x, y: torch.sub(x, y), "scaled", fresh=True, grows=_broadcast),
}
