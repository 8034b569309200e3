"""A backend is one record: with it models are opened, measured, listed and refused, and no other place knows its name."""

import ast
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import fcrn_mobile
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.latency.plan import Subject, check, subjects
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.runtimes.backends import BACKENDS, Backend, is_on_device
from fcrn_mobile.runtimes.opening import choose_backend
from tests.journeys.command import Result, refused


class Flat:
    """Every image is as far away as it has threads."""

    backend = "flat"
    contract = DepthContract()
    input_size = (16, 16)

    def __init__(self, path: Path, threads: int | None, compute_units: str, model_config: Path | None) -> None:
        self.name, self.path, self.metadata = path.stem, path, {"units": compute_units}
        self.depth = np.full((8, 8), threads or 1, np.float32)

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.depth


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A model of the backend ``flat``, in a file of its own."""
    module = ModuleType("fcrn_mobile.runtimes.flat")
    module.Flat = Flat  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(BACKENDS, "flat", Backend("flat", ".flat", "flat:Flat", ("threads", "compute_units")))
    monkeypatch.delitem(sys.modules, "fcrn_mobile.cli.bench", raising=False)
    (tmp_path / "a.flat").touch()
    return str(tmp_path / "a.flat")


def test_a_record_is_all_that_a_backend_needs(flat: str, call: Callable[..., Result]) -> None:
    assert open_runtime(flat).backend == "flat"
    runtime = open_runtime(flat, "flat", threads=3, compute_units="some")
    assert runtime.predict(np.zeros((4, 4, 3), np.uint8)).max() == 3
    assert runtime.metadata == {"units": "some"}
    assert subjects([flat], ["auto"], FLOAT32, 2, ["all"]) == [Subject(flat, "flat", FLOAT32, 2, "all")]
    check(subjects([flat], ["auto"], FLOAT32, 2, ["all"]), 30, 2)
    assert is_on_device("flat, float16")
    result = call("evaluate", flat, "--data", "sample#val", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert '"backend": "flat"' in result.stdout
    assert "coreai or flat; repeat it" in " ".join(call("bench", "--help").stdout.split())
    refused(
        call("evaluate", "builtin", "--data", "sample", "--backend", "no"), "unknown backend 'no': use one of auto, torch,", "coreai, flat"
    )
    refused(call("evaluate", "builtin", "--data", "sample", "--backend", "flat"), "backend 'flat' runs .flat files, not 'builtin'")
    refused(call("bench", "builtin", "--backend", "torch", "--backend", "flat"), "--backend flat runs .flat, and no model given is one")
    refused(call("evaluate", "a.txt", "--data", "sample"), "ending in .safetensors, .mlpackage, .onnx, .aimodel, .flat or .mlmodel")


def test_auto_takes_the_first_of_a_kind_or_that_of_the_system(flat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "sharp", Backend("sharp", ".flat", "flat:Flat", chosen_on="plan9"))
    assert choose_backend(flat).name == "flat"
    assert choose_backend("a.mlpackage").name == ("coreml" if sys.platform == "darwin" else "mil")
    monkeypatch.setattr(sys, "platform", "plan9")
    assert choose_backend(flat).name == "sharp"
    assert choose_backend("a.mlpackage").name == "mil"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert choose_backend("a.mlpackage").name == "coreml"


def test_threads_of_torch_are_set_where_a_backend_says_so(flat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    open_runtime(flat, threads=2, compute_units="all")
    monkeypatch.setitem(BACKENDS, "flat", Backend("flat", ".flat", "flat:Flat", ("threads", "compute_units"), torch_threads=True))
    open_runtime(flat, threads=3, compute_units="all")
    assert asked == [3]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_what_opens_a_backend_bears_its_name(backend: Backend) -> None:
    pytest.importorskip("coreai") if backend.name == "coreai" else None
    assert pkgutil.resolve_name(f"fcrn_mobile.runtimes.{backend.opens}").backend == backend.name


def test_no_other_module_lists_the_backends() -> None:
    for file in Path(fcrn_mobile.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set | ast.JoinedStr | ast.Constant):
                words = [str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)]
                named = {name for name in ("torch-literal", "onnxruntime", "openvino", "coreai") if any(name in word for word in words)}
                docs = isinstance(node, ast.Constant) and "\n" in str(node.value)
                assert len(named) < 2 or docs or file.name == "backends.py", f"{file}:{node.lineno}"
