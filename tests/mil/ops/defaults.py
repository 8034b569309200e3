"""Defaults of operators, as coremltools documents them in its own classes."""

import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from fcrn_mobile.mil.ops.operator import Operator
from tests.mil.build import types  # before the registry, so that coremltools is quiet

from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry  # isort: skip

#: Arguments that defaults of other arguments are worked out from.
GIVEN = {
    "x": SimpleNamespace(rank=4, shape=(1, 1, 4, 4), dtype=types.fp32),
    "weight": SimpleNamespace(shape=(1, 1), dtype=types.fp32),
    "return_indices": SimpleNamespace(val=True),
    "box_indices": None,
    "boxes": SimpleNamespace(shape=(1, 4), dtype=types.fp32),
}


def documented(kind: str) -> dict[str, Any]:
    """Argument → value that coremltools fills in for a float32 image, over all of an operator's versions."""
    known: dict[str, Any] = {}
    for version in SSAOpRegistry.core_ops[kind].values():
        operator = version.__new__(version)
        vars(operator).update(GIVEN)
        known |= dict(operator.default_inputs().items())
    return known


def check_defaults(operators: Mapping[str, Operator]) -> None:
    """Compare what each operator takes an omitted argument for; one that is None here is worked out inside."""
    for kind, operator in operators.items():
        ours = {name: parameter.default for name, parameter in inspect.signature(operator.run).parameters.items()}
        for name, value in documented(kind).items():
            if value is not None and ours[name] is not None:
                assert ours[name] == (value if isinstance(value, str) else pytest.approx(value)), f"{kind}: {name}"
