"""Processes for mutants: the heavy imports are made once, what follows happens in forks; nothing is written into the source tree."""

import contextlib
import ctypes
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
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
    *("torchmetrics", "hypothesis.strategies", "hypothesis.extra.numpy", "_hypothesis_pytestplugin", "coverage", "onnx.reference"),
    *("tree_sitter", "tree_sitter_swift", "onnxsim", "filelock", "matplotlib.pyplot"),
)
#: Of prctl(2): a signal for this process when its parent ends.
_PR_SET_PDEATHSIG = 1


def warm_up() -> None:
    """Import once what every test would import again; one thread everywhere, or a fork would inherit locks."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in _HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    # Collecting would touch every page that a fork shares.
    gc.collect()
    gc.freeze()


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from a text instead of its file."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Answers for one module, whose text is changed."""

    def __init__(self, root: Path, module: str, text: str) -> None:
        self._name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path, self._text = str(root / module), text

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=_Changed(fullname, self._path, self._text))


def fork(work: Callable[[], int], seconds: float) -> int:
    """Exit code of a function in a fork of its own session, negative if a signal ended it. All that it started ends with it.

    Args:
        work: what the fork does.
        seconds: that may pass on the clock.
    """
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            # Nothing goes on when the process that waits for it is gone.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    pause = 0.002
    while True:
        done, raw = os.waitpid(child, os.WNOHANG)
        if done or time.monotonic() > end:
            break
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    _end_session(child)
    if not done:
        raw = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(raw)


def _end_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def in_pytest(root: Path, tests: Sequence[str], plugin: Any) -> int:
    """Collect tests and leave what happens with them to a plugin's ``pytest_runtestloop``; within a fork.

    Args:
        root: of the repository.
        tests: pytest's names of them.
        plugin: of pytest.

    Returns:
        pytest's exit code.
    """
    import hypothesis
    import pytest

    os.chdir(root)
    sys.path.insert(0, str(root))
    # A slow machine is no failure, equal mutants have to meet equal examples, and the first that fails is as good as the simplest.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutants")
    traceback = "--tb=short" if "MUTANTS_LOG" in os.environ else "--tb=no"
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", traceback]
    return int(pytest.main([*options, *tests], plugins=[plugin]))


def silence() -> None:
    """Nobody reads what tests print, unless MUTANTS_LOG names a file for it."""
    log = os.open(os.environ.get("MUTANTS_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)


def end_after(seconds: float) -> None:
    """End this process once it has taken so much more processor time."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
