"""The library's face: the names at the top of the package, and their types."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_the_way_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from pathlib.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    verdict = names["verdict"]
    assert capsys.readouterr().out == f"True {verdict.candidates[0].fidelity.abs_rel}\n"
    frames, rule = fcrn_mobile.open_source("sample#val"), fcrn_mobile.protocol("eigen")
    alone = fcrn_mobile.evaluate(fcrn_mobile.open_runtime("depth.mlpackage"), frames, rule).compute()
    assert alone["abs_rel"] == pytest.approx(verdict.candidates[0].metrics["abs_rel"])
    program = fcrn_mobile.Program.load(tmp_path / "depth.mlpackage", arithmetic="float16")
    assert [output.name for output in program.outputs] == ["depth"]
