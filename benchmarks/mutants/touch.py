"""Which test runs which function of the package, and how long it takes: recorded once a test file, in forks, by coverage.py."""

import ast
import hashlib
import json
import os
import string
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import coverage
import pytest
from warm import run_tests

PACKAGE = "fcrn_mobile"


@dataclass(frozen=True)
class Touch:
    """A test that passes.

    Attributes:
        test: pytest's name of it.
        seconds: of processor time that it took, with the fixtures that it was the first to ask for.
        functions: ``module:function`` of all that it ran, fixtures included; a name alone of a module whose top ran.
    """

    test: str
    seconds: float
    functions: frozenset[str]


class Recorder:
    """A plugin for pytest: one context of coverage for each test and each fixture."""

    def __init__(self, root: Path, result: Path) -> None:
        self._root, self._result = root, result
        self._coverage = coverage.Coverage(data_file=None, include=[f"{root}/{PACKAGE}/*"], config_file=False)
        self._seconds: dict[str, float] = {}
        self._fixtures: dict[str, list[str]] = {}
        self._failed: set[str] = set()
        self._complete: set[str] = set()
        self._coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))
        self._coverage.switch_context(f"test {item.nodeid}")
        self._test = item.nodeid
        began = _processor_time()
        yield
        self._seconds[item.nodeid] = _processor_time() - began

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        # Later tests use what an earlier one's fixture made: its lines belong to all of them.
        if fixturedef.scope != "function":
            self._coverage.switch_context(f"fixture {fixturedef.argname}")
        yield
        self._coverage.switch_context(f"test {self._test}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._failed.add(report.nodeid)
        elif report.when == "teardown":
            self._complete.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        contexts = _functions_of(self._coverage.get_data(), self._root)
        rows = []
        for test, seconds in self._seconds.items():
            if test in self._complete - self._failed:
                names = set(contexts.get(f"test {test}", ())).union(*(contexts.get(f"fixture {name}", ()) for name in self._fixtures[test]))
                rows.append({"test": test, "seconds": round(seconds, 3), "functions": sorted(names)})
        self._result.write_text(json.dumps(rows), encoding="utf-8")


def _processor_time() -> float:
    """Of this process and those that it waited for: the clock would say how busy the machine is."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _functions_of(data: coverage.CoverageData, root: Path) -> dict[str, set[str]]:
    result: dict[str, set[str]] = defaultdict(set)
    for file in data.measured_files():
        module = str(Path(file).relative_to(root))
        names = _names_of_lines(Path(file))
        for line, contexts in data.contexts_by_lineno(file).items():
            for context in contexts:
                result[context].add(f"{module}:{names.get(line, '')}")
    return result


@cache
def _names_of_lines(path: Path) -> dict[int, str]:
    names: dict[int, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}".lstrip(".")
                first = child.body[0].lineno if not isinstance(child, ast.ClassDef) else child.lineno
                names.update(dict.fromkeys(range(first, (child.end_lineno or first) + 1), name))
                visit(child, name)
            else:
                visit(child, prefix)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return names


def record(root: Path, folder: Path, files: Sequence[str], seconds: float) -> list[Touch]:
    """What the tests of some files touch; a file whose text was seen before is not run again.

    Args:
        root: of the repository.
        folder: keeps the records.
        files: test files below the root.
        seconds: of processor time for a file; what it has not passed by then is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    touches = []
    for number, file in enumerate(files, 1):
        digest = hashlib.sha1((root / file).read_bytes()).hexdigest()[:16]
        result = folder / f"{file.replace('/', '+')}.{digest}.json"
        if not result.exists():
            began = time.monotonic()
            outcome = run_tests(root, [file], seconds, plugin=_Late(root, result))
            if not result.exists():
                result.write_text("[]", encoding="utf-8")
            print(f"[{number}/{len(files)}] {file}: {outcome}, {time.monotonic() - began:.0f} s", flush=True)
        touches += [
            Touch(row["test"], row["seconds"], frozenset(row["functions"])) for row in json.loads(result.read_text(encoding="utf-8"))
        ]
    return touches


class _Late:
    """Makes the recorder inside the fork."""

    def __init__(self, root: Path, result: Path) -> None:
        self._arguments = (root, result)

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(Recorder(*self._arguments))


def tests_for(touches: Sequence[Touch], module: str, function: str, seconds: float) -> list[str]:
    """The tests of a mutant, quickest first, as many as fit into a time; at least one if any touches it.

    Args:
        touches: of the tests beside the module.
        module, function: where the mutation is; at the top of a module or a class every one of them counts.
        seconds: for all together.
    """
    inner = [touch for touch in touches if f"{module}:{function}" in touch.functions]
    # What runs at import belongs to no test, and a test of a table of values runs no function at all.
    at_import = function.rpartition(".")[2][:1] in ("", *string.ascii_uppercase)
    inner = (
        list(touches)
        if at_import
        else inner or [touch for touch in touches if any(name.startswith(f"{module}:") for name in touch.functions)]
    )
    chosen, spent = [], 0.0
    for touch in sorted(inner, key=lambda touch: touch.seconds):
        if chosen and spent + touch.seconds > seconds:
            break
        chosen.append(touch.test)
        spent += touch.seconds
    return chosen
