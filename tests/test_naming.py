"""Variables are named for what they are, by nouns of the field, not for what happened to them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What a variable of any kind could be called.
PARTICIPLES = frozenset({"asked", "chosen", "found", "given", "held", "kept", "known", "made", "said", "seen", "told", "wanted"})


def participles(tree: ast.AST) -> Iterator[str]:
    """Names of parameters and of variables in functions, with their lines."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.Lambda):
            for node in ast.walk(function):
                match node:
                    case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) if name in PARTICIPLES:
                        yield f"{node.lineno}: {name}"


def test_variables_are_named_for_what_they_are() -> None:
    names = {
        path.relative_to(ROOT): [*participles(ast.parse(path.read_text(encoding="utf-8")))] for path in (ROOT / "fcrn_mobile").rglob("*.py")
    }
    assert {str(path): lines for path, lines in names.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "def f(found): pass",
        "f = lambda given: given",
        "def f():\n    seen: int = 3",
        "def f():\n    a, kept = b",
        "def f():\n    return [chosen for chosen in a]",
        "def f():\n    if (told := g()): pass",
    ],
)
def test_participles_are_seen_wherever_they_stand(code: str) -> None:
    assert len([*participles(ast.parse(code))]) == 1
    assert [*participles(ast.parse("def f(index, *, force=False):\n    budget.held, names = g(found.name)"))] == []
