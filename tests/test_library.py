"""The library's face: the names at the top of the package, and their types."""

import ast
import functools
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcrn_mobile
import fcrn_mobile.mil

ROOT = Path(fcrn_mobile.__file__).parent
PAGE = (ROOT.parent / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


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


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the page's order, in one folder; none is longer than ten lines."""
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert max(sum(1 for line in example.splitlines() if line.strip()) for example in examples) <= 10
    spaces: list[dict[str, Any]] = [{} for _ in examples]
    for example, names in zip(examples, spaces, strict=True):
        exec(compile(example, "api.md", "exec"), names)
    verdict = spaces[0]["verdict"]
    output = capsys.readouterr().out.splitlines()
    assert output[0] == f"True {verdict.candidates[0].fidelity.abs_rel}"
    assert output[2].startswith("no model at 'missing.mlpackage'")
    assert output[-2:] == ["(112, 160) None True", "1 []"]
    frames, rule = fcrn_mobile.open_source("sample#val"), fcrn_mobile.protocol("eigen")
    alone = fcrn_mobile.evaluate(fcrn_mobile.open_runtime("depth.mlpackage"), frames, rule).compute()
    assert alone["abs_rel"] == pytest.approx(verdict.candidates[0].metrics["abs_rel"])
    wall = spaces[3]["wall"]
    error = fcrn_mobile.open_runtime("builtin").predict(wall.image) - 3
    assert float(output[4]) == pytest.approx(float(np.sqrt(np.mean(error**2))), rel=0.02)


def signatures() -> list[tuple[str, str]]:
    """Dotted name and parameters of everything that the tables call."""
    homes = {"fcrn_mobile": fcrn_mobile, "fcrn_mobile.mil": fcrn_mobile.mil}
    rows = []
    for home in homes:
        (table,) = re.findall(rf"^\| `{re.escape(home)}` \| what \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
        rows += [(f"{home}.{name}", parameters) for name, parameters in re.findall(r"^\| `([\w.]+)(\(.*?\))?` \|", table, re.MULTILINE)]
    return rows


def of_name(dotted: str) -> Any:
    module = max((part for part in _parents(dotted) if importlib.util.find_spec(part)), key=len)
    return functools.reduce(getattr, dotted[len(module) + 1 :].split("."), importlib.import_module(module))


def _parents(dotted: str) -> list[str]:
    words = dotted.split(".")
    return [".".join(words[:end]) for end in range(1, len(words)) if words[end - 1][0].islower()]


def plain_signature(value: Any) -> str:
    """Parameters with their order, kinds and defaults, without types."""
    if isinstance(value, type) and issubclass(value, Exception) and "__init__" not in vars(value):
        return "(*args)"
    parameters = inspect.signature(value).parameters.values()
    return str(inspect.Signature([part.replace(annotation=part.empty) for part in parameters if part.name != "self"]))


@pytest.mark.parametrize(("name", "parameters"), [row for row in signatures() if row[1]])
def test_a_documented_name_has_the_documented_signature(name: str, parameters: str) -> None:
    assert plain_signature(of_name(name)) == parameters
    assert of_name(name).__doc__


def test_every_public_name_is_documented() -> None:
    names = {name for name, _ in signatures()}
    assert {f"fcrn_mobile.{name}" for name in fcrn_mobile.__all__} <= names
    mil = {name.removeprefix("fcrn_mobile.mil.").partition(".")[0] for name in names if name.startswith("fcrn_mobile.mil.")}
    assert mil == set(fcrn_mobile.mil.__all__)


@pytest.mark.parametrize(("name", "attributes"), re.findall(r"^\| `(fcrn_mobile\.[\w.]+)` \| (`\w+`(?:, `\w+`)+) \|", PAGE, re.MULTILINE))
def test_what_comes_back_has_the_documented_attributes(name: str, attributes: str) -> None:
    kind = of_name(name)
    available = {*dir(kind), *inspect.get_annotations(kind)}
    assert set(re.findall(r"\w+", attributes)) - available == set()
