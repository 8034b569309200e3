"""The library's face: the names at the top of the package, and their types."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fcrn_mobile

ROOT = Path(fcrn_mobile.__file__).parent


def homes_for_type_checkers() -> dict[str, str]:
    """Name → module, as a type checker reads them."""
    (block,) = (node for node in ast.parse((ROOT / "__init__.py").read_text()).body if isinstance(node, ast.If))
    return {alias.name: node.module or "" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, fcrn_mobile; print(sorted(name for name in sys.modules if name.startswith(('fcrn_mobile.', 'torch', 'numpy'))))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", fcrn_mobile.__all__)
def test_a_name_is_what_its_module_has(name: str) -> None:
    home = homes_for_type_checkers()[name]
    assert getattr(fcrn_mobile, name) is getattr(importlib.import_module(home), name)
    assert name in dir(fcrn_mobile)


def test_type_checkers_see_the_same_names() -> None:
    assert set(homes_for_type_checkers()) == set(fcrn_mobile.__all__)
    assert (ROOT / "py.typed").is_file()


def test_every_public_name_says_what_it_is() -> None:
    assert [name for name in fcrn_mobile.__all__ if not getattr(fcrn_mobile, name).__doc__] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = fcrn_mobile.frobnicate  # type: ignore[attr-defined]


def test_from_a_checkpoint_to_a_verdict(tmp_path: Path) -> None:
    """The way of the README, by the face alone."""
    from fcrn_mobile import Program, Recipe, evaluate, export, load_checkpoint, open_runtime, open_source, parse_limit, protocol, validate

    package, frames = tmp_path / "depth.mlpackage", open_source("sample#val")
    export(load_checkpoint("builtin"), Recipe(precision="fp16"), package)
    verdict = validate(open_runtime("builtin"), [open_runtime(package)], frames, protocol("eigen"), [parse_limit("fidelity=0.01")])
    assert verdict.held
    alone = evaluate(open_runtime(package), frames, protocol("eigen")).compute()
    assert alone["abs_rel"] == pytest.approx(verdict.candidates[0].metrics["abs_rel"])
    program = Program.load(package, arithmetic="float16")
    assert [output.name for output in program.outputs] == ["depth"]
