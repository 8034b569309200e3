"""Tests of a mutant in a fork of a process that has the heavy imports behind it; nothing is written into the source tree."""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

#: What the package and its tests import of other people's: never a module of the package itself.
_HEAVY = (
    *("numpy", "scipy.optimize", "scipy.ndimage", "PIL.Image", "torch", "torch.nn.functional", "onnx", "onnxruntime", "coremltools"),
    *("coremltools.converters.mil.frontend.milproto.load", "coremltools.optimize.coreml", "sklearn.cluster", "hypothesis", "jinja2"),
    *("lightning", "safetensors.torch", "pytest", "_pytest.assertion.rewrite", "h5py", "rich.progress", "click", "matplotlib.figure"),
)


def warm_up() -> None:
    """Import once what every test would import again; one thread everywhere, or a fork would inherit locks."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    for name in _HEAVY:
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from a text instead of its file."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Answers for one module."""

    def __init__(self, root: Path, module: str, text: str) -> None:
        self._name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path, self._text = str(root / module), text

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=_Changed(fullname, self._path, self._text))


def run_tests(root: Path, tests: Sequence[str], seconds: float, change: tuple[str, str] | None = None, plugin: Any = None) -> str:
    """Run tests in a fork, the first failure ends it.

    Args:
        root: of the repository.
        tests: pytest's names of them.
        seconds: of processor time; eight times as many may pass on the clock.
        change: a module's path and the text it has instead.
        plugin: of pytest, for a run without a change.

    Returns:
        ``passed``, ``failed``, ``timeout``, or ``no tests``.
    """
    codes = {0: "passed", 5: "no tests"}
    status = fork(lambda: _pytest(root, tests, change, plugin), seconds)
    return "timeout" if status is None else codes.get(status, "failed")


def fork(work: Callable[[], int], seconds: float) -> int | None:
    """Exit code of a function in a fork of its own session; None if it took too long. All that it started ends with it."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 20))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + 8 * seconds
    status: int | None = None
    while status is None and time.monotonic() < end:
        done, raw = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(raw)
        else:
            time.sleep(0.02)
    _end_session(child)
    if status is None:
        os.waitpid(child, 0)
        return None
    return None if status in (-signal.SIGXCPU, -signal.SIGKILL) else status


def _end_session(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _pytest(root: Path, tests: Sequence[str], change: tuple[str, str] | None, plugin: Any) -> int:
    import hypothesis
    import pytest

    os.chdir(root)
    sys.path.insert(0, str(root))
    if plugin:
        # A recording that takes too long keeps what it has.
        signal.signal(signal.SIGXCPU, signal.default_int_handler)
    if change:
        sys.meta_path.insert(0, _Finder(root, *change))
    # A slow machine is no failure, and equal mutants have to meet equal examples.
    hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None)
    hypothesis.settings.load_profile("mutants")
    silence = os.open(os.environ.get("MUTANTS_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    folder = tempfile.mkdtemp(prefix="mutants-")
    stop = [] if plugin else ["-x"]
    options = [
        "-q",
        *stop,
        "-p",
        "no:cacheprovider",
        "--basetemp",
        f"{folder}/tests",
        "--tb=short" if "MUTANTS_LOG" in os.environ else "--tb=no",
    ]
    try:
        return int(pytest.main([*options, *tests], plugins=[plugin] if plugin else []))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
