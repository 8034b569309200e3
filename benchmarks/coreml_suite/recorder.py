"""Plugin of pytest inside a worker of run.py: draws a sample of the tests, runs each for a limited time, and writes a line about each.

What it is to do stands in the JSON file that CORE_ML_SUITE names, see ``Task``. A test is named by its function and the number of its
parametrisation, ``FILE::CLASS::FUNCTION#3``: some of the names that pytest gives change from process to process.
"""

import json
import os
import random
import signal
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.cli.pytest_plugin import ANSWERS
from fcrn_mobile.errors import InputError

KINDS = ("mlprogram", "neuralnetwork")
#: Of an error: longer ones are cut.
LONGEST = 400


@dataclass(frozen=True)
class Task:
    """What a worker is to do.

    Attributes:
        journal: a line when a test begins, and one when it has ended.
        seed: of the sample.
        all: every parametrisation instead of a sample.
        seconds: a test may take.
        names: only these tests; all if empty.
        done: tests that are left out.
        code: which code runs, noted with every outcome.
    """

    journal: str
    seed: int = 0
    all: bool = False
    seconds: float = 60.0
    names: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    code: str = ""


class TimeLimit(BaseException):
    """A test took too long; no ``except Exception`` of a test swallows it."""


class Recorder:
    """Notes what each test asked of the runtime and how it ended."""

    def __init__(self, answers: Any, task: Task) -> None:
        self.answers, self.task = answers, task
        self.names: dict[str, str] = {}
        self.outcome: dict[str, Any] = {}

    def write(self, **line: Any) -> None:
        """A line of the journal, on the disk before anything else happens."""
        with Path(self.task.journal).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave only what is to be run, ML programs before neural networks."""
        functions: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in items:
            functions[item.nodeid.split("[")[0]].append(item)
        self.names = {item.nodeid: f"{name}#{n}" for name, group in functions.items() for n, item in enumerate(group)}
        if self.task.names:
            items[:] = [item for item in items if self.names[item.nodeid] in self.task.names]
        elif not self.task.all:
            items[:] = [item for name, group in functions.items() for item in draw(name, group, self.task.seed)]
        done = set(self.task.done)
        items[:] = sorted((item for item in items if self.names[item.nodeid] not in done), key=lambda item: kind_of(item) == KINDS[1])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Seed by the test's name, take the time, note."""
        seed = zlib.crc32(item.nodeid.encode())
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        models, predictions, refusals = self.answers.models, self.answers.predictions, len(self.answers.refusals)
        self.outcome = {"outcome": "passed"}
        self.write(start=self.names[item.nodeid])
        start = time.monotonic()
        try:
            return (yield)
        finally:
            counts = {"models": self.answers.models - models, "predictions": self.answers.predictions - predictions}
            self.write(
                test=self.names[item.nodeid],
                id=item.nodeid,
                **self.outcome,
                seconds=round(time.monotonic() - start, 2),
                **counts,
                refusals=self.answers.refusals[refusals:],
                code=self.task.code,
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """The test itself, for a limited time."""
        signal.signal(signal.SIGALRM, self.stop)
        signal.setitimer(signal.ITIMER_REAL, self.task.seconds)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """End the test that runs."""
        raise TimeLimit(f"longer than {self.task.seconds:g} s")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """How a part of the test ended; its first trouble counts."""
        report: Any = yield
        if self.outcome["outcome"] == "passed" and not report.passed:
            error = trouble(call.excinfo.value) if call.excinfo else {"error": "", "reason": str(report.longrepr)}
            self.outcome = {"outcome": report.outcome, "expected": hasattr(report, "wasxfail"), **error}
        return report


def draw(function: str, group: list[pytest.Item], seed: int) -> list[pytest.Item]:
    """One parametrisation of a test function, or one for each of the two kinds of model where it has both."""
    kinds = {kind: [item for item in group if kind_of(item) == kind] for kind in KINDS}
    generator = random.Random(f"{seed} {function}")
    return [generator.choice(kinds[kind]) for kind in KINDS] if all(kinds.values()) else [generator.choice(group)]


def kind_of(item: pytest.Item) -> str:
    """The kind of model that a parametrisation asks for; empty where it says none."""
    text = str(getattr(getattr(item, "callspec", None), "params", ""))
    return next((kind for kind in KINDS if kind in text), "")


def trouble(error: BaseException) -> dict[str, Any]:
    """What went wrong: its type, its first line, the deepest place in coremltools itself, and whether the runtime said it."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    places = list(_places(error.__traceback__))
    own = [place for place in places if "/coremltools/" in place and not _of_test(place)]
    return {
        "error": type(error).__name__,
        "reason": first_line(str(error)),
        "place": (own or places or [""])[-1].rpartition("site-packages/")[2],
        "refused": any(isinstance(each, InputError) for each in causes),
    }


def first_line(text: str) -> str:
    """The first line that says something; where arrays differ, by how much as well."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    figures = [line for line in lines[1:] if line.startswith(("Mismatched", "Max absolute", "(shapes", "ACTUAL", "DESIRED"))]
    return " | ".join([*lines[:1], *figures])[:LONGEST]


def _of_test(place: str) -> bool:
    return "/test" in place.rpartition("/coremltools/")[2]


def _places(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield f"{code.co_filename}:{code.co_name}"
        traceback = traceback.tb_next


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before a conftest of coremltools imports torchvision: what one that was built for another torch (CUDA's, the CPU's) asks for.

    The networks of torchvision don't use these operators.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    except ImportError:
        pass


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin, once Core ML is simulated."""
    task = Task(**json.loads(Path(os.environ["CORE_ML_SUITE"]).read_text(encoding="utf-8")))
    config.pluginmanager.register(Recorder(config.stash[ANSWERS], task))
