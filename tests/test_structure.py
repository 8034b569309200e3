"""A function holds one step: none is longer than a screen."""

import ast
from pathlib import Path

import fcrn_mobile

PACKAGE = Path(fcrn_mobile.__file__).parent
LONGEST = 50


def lengths(source: str) -> dict[str, int]:
    """Lines of every function from ``def`` on, signature and docstring included, by name and line."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}


def test_no_function_is_longer_than_a_screen() -> None:
    files = {path.relative_to(PACKAGE): lengths(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {f"{path}:{name}": lines for path, each in files.items() for name, lines in each.items() if lines > LONGEST} == {}


def test_decorators_do_not_count_and_nested_functions_count_twice() -> None:
    source = "@wrap\n@wrap\ndef outer(\n    a,\n):\n    async def inner():\n        return 1\n\n    return inner\n"
    assert lengths(source) == {"outer:3": 7, "inner:6": 2}
