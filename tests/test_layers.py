"""Which module may know which: folders in the order of docs/architecture.md, no circles, nothing private of others."""

import ast
import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "fcrn_mobile"
TEXTS = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in TEXTS.items()}
MODULES = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in TREES}
#: The library's face names modules of every folder, and imports them when they are first used; ``__main__`` is the command line.
ABOVE_ALL = frozenset({PACKAGE, f"{PACKAGE}.__main__"})
#: Each folder imports from those before it alone. What lies in no folder comes before all.
ORDER = ["", *re.findall(r"^- \*\*`(\w+)/`\*\*: ", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)]
#: Methods of named tuples, whose underscore keeps them apart from fields.
NAMED_TUPLE = frozenset({"_asdict", "_fields", "_replace"})


def folder(module: str) -> str:
    parts = MODULES[module].parts
    return parts[1] if len(parts) > 2 else ""


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules of the package that a module imports anywhere, in functions and for types alone too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            modules = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for module in modules for name in [module if module in MODULES else str(node.module)] if name in MODULES)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLE and name != "_"


def own_names(tree: ast.AST) -> set[str]:
    """Private names that a module defines itself: functions, classes, fields, and attributes of its own objects."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self")):
                names.add(name)
    return names


def foreign_privates(tree: ast.AST) -> Iterator[str]:
    """Private names of other modules that a module imports or reads, with their line."""
    own = own_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=aliases):
                path = [*module.split("."), *(alias.name for alias in aliases)]
                yield from (f"{node.lineno}: {name}" for name in path if is_private(name))
            case ast.Attribute(attr=name, value=owner) if is_private(name) and name not in own:
                if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls")):
                    yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]) if is_private(name):
                yield f"{node.lineno}: {ast.unparse(node)}"


def forced(tree: ast.AST) -> Iterator[str]:
    """Where a module changes a frozen object or the class of one, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="__setattr__" | "__delattr__"):
                yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.Attribute(attr="__class__", ctx=ast.Store()):
                yield f"{node.lineno}: {ast.unparse(node)}"


def test_every_folder_has_its_place() -> None:
    assert {folder(module) for module in MODULES} == set(ORDER)


def test_no_folder_imports_one_that_comes_after_it() -> None:
    backwards = [
        f"{module} imports {other}"
        for module in MODULES.keys() - ABOVE_ALL
        for other in imports(TREES[MODULES[module]])
        if ORDER.index(folder(other)) > ORDER.index(folder(module))
    ]
    assert backwards == []


def test_no_module_imports_itself_round_a_circle() -> None:
    graph = {module: set(imports(TREES[MODULES[module]])) - {PACKAGE} for module in MODULES.keys() - ABOVE_ALL}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' <- '.join(error.args[1])}")


def bypassed(tree: ast.AST) -> Iterator[str]:
    """Constructors that are called past the parent's own, with their line."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="__init__", value=owner)) if ast.unparse(owner) != "super()":
                yield f"{node.lineno}: {ast.unparse(node)}"


def offences(look: Callable[[ast.AST], Iterator[str]], without: frozenset[Path] = frozenset()) -> list[str]:
    """All that is seen in the package, as file and line."""
    return [f"{path}:{place}" for path, tree in TREES.items() if path not in without for place in look(tree)]


def test_no_constructor_is_passed_over() -> None:
    assert offences(bypassed) == []


def test_nothing_frozen_is_forced() -> None:
    assert offences(forced) == []


#: Where other libraries' private parts are known.
PRIVATE_PARTS = frozenset({Path(PACKAGE, "package", "pymil.py"), Path(PACKAGE, "package", "framework.py")})


def test_what_is_private_stays_in_its_module() -> None:
    assert offences(foreign_privates, without=PRIVATE_PARTS) == []


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import fcrn_mobile.errors", ["fcrn_mobile.errors"]),
        ("from fcrn_mobile.errors import InputError", ["fcrn_mobile.errors"]),
        ("from fcrn_mobile.mil import program, Program", ["fcrn_mobile.mil.program", "fcrn_mobile.mil"]),
        ("def f():\n    from fcrn_mobile.cli import main", ["fcrn_mobile.cli.main"]),
        ("if TYPE_CHECKING:\n    from fcrn_mobile import errors", ["fcrn_mobile.errors"]),
        ("import numpy", []),
    ],
)
def test_imports_are_seen_wherever_they_stand(code: str, modules: list[str]) -> None:
    assert list(imports(ast.parse(code))) == modules


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from fcrn_mobile.errors import _line", ["1: _line"]),
        ("from torch._C import stream", ["1: _C"]),
        ("import torch\nx = torch._C", ["2: torch._C"]),
        ("def f(network):\n    return network._blocks[0]", ["2: network._blocks"]),
        ("x = getattr(model, '_spec')", ["1: getattr(model, '_spec')"]),
        ("class A:\n    _n: int = 0\n    def merge(self, other):\n        return self._n + other._n", []),
        (
            "class A:\n    def __init__(self):\n        self._n = self._of_its_parent\n    def same(self, other):\n        return other._n",
            [],
        ),
        ("row._replace(a=1)", []),
        ("x.__doc__", []),
    ],
)
def test_private_names_of_others_are_seen(code: str, names: list[str]) -> None:
    assert list(foreign_privates(ast.parse(code))) == names


@pytest.mark.parametrize(
    ("code", "places"),
    [
        ("object.__setattr__(self, 'x', 1)", ["1: object.__setattr__"]),
        ("module.__class__ = Other", ["1: module.__class__"]),
        ("same = module.__class__ is Other", []),
        ("class A:\n    def __setattr__(self, name, value):\n        raise AttributeError", []),
    ],
)
def test_force_is_seen(code: str, places: list[str]) -> None:
    assert list(forced(ast.parse(code))) == places


def defined(tree: ast.Module) -> set[str]:
    """Public names that a module defines at its top."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


def listed(tree: ast.Module) -> list[set[str]]:
    """What each ``__all__`` of a module holds."""
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    return [set(ast.literal_eval(names)) for names in lists]


def test_a_module_says_what_is_public() -> None:
    """``__all__`` holds what a module defines without an underscore, and nothing else."""
    modules = {path: tree for path, tree in TREES.items() if path.name not in ("__init__.py", "__main__.py")}
    assert {str(path): listed(tree) for path, tree in modules.items() if listed(tree) != [defined(tree)]} == {}
