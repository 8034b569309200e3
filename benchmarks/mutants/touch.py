"""Which test runs which lines of the package, and how long it takes: recorded once a test file, by coverage.py."""

import hashlib
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
import pytest

PACKAGE = "fcrn_mobile"


@dataclass(frozen=True)
class Touch:
    """A test that passes.

    Attributes:
        test: pytest's name of it.
        seconds: of processor time that it took, without fixtures that others share.
        fixtures: those, and the seconds that each took.
        lines: by module, of all that it ran, fixtures included.
    """

    test: str
    seconds: float
    fixtures: Mapping[str, float]
    lines: Mapping[str, frozenset[int]]

    @property
    def file(self) -> str:
        """The test's file."""
        return self.test.partition("::")[0]

    def cost(self, made: frozenset[str] | set[str] = frozenset()) -> float:
        """Seconds with the fixtures that are not made yet."""
        return self.seconds + sum(seconds for name, seconds in self.fixtures.items() if name not in made)


class _TooLong(BaseException):
    """A test takes longer than any that is worth to be tried on a mutant."""


class Recorder:
    """A plugin for pytest: one context of coverage for each test and each shared fixture."""

    def __init__(self, root: Path, seconds: float) -> None:
        self._root, self._limit = root, seconds
        self._coverage = coverage.Coverage(data_file=None, include=[f"{root}/{PACKAGE}/*"], config_file=False)
        self._seconds: dict[str, float] = {}
        self._fixtures: dict[str, list[str]] = {}
        self._fixture_seconds: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._complete: set[str] = set()
        signal.signal(signal.SIGPROF, self._end)
        self._coverage.start()

    def _end(self, *_: object) -> None:
        raise _TooLong

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))
        self._coverage.switch_context(f"test {item.nodeid}")
        self._test = item.nodeid
        signal.setitimer(signal.ITIMER_PROF, self._limit)
        began, self._shared = _processor_time(), 0.0
        yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._seconds[item.nodeid] = _processor_time() - began - self._shared

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        # Later tests use what an earlier one's fixture made: its lines belong to all of them.
        if fixturedef.scope == "function":
            yield
            return
        self._coverage.switch_context(f"fixture {fixturedef.argname}")
        began = _processor_time()
        yield
        spent = _processor_time() - began
        self._shared += spent
        self._fixture_seconds[fixturedef.argname] += spent
        self._coverage.switch_context(f"test {self._test}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._failed.add(report.nodeid)
        elif report.when == "teardown":
            self._complete.add(report.nodeid)

    def result(self) -> list[dict[str, Any]]:
        """A row a test that passed."""
        self._coverage.stop()
        contexts = lines_of(self._coverage.get_data(), self._root)
        rows = []
        for test, seconds in self._seconds.items():
            if test not in self._complete - self._failed:
                continue
            lines: dict[str, set[int]] = defaultdict(set)
            for context in (f"test {test}", *(f"fixture {name}" for name in self._fixtures[test])):
                for module, numbers in contexts.get(context, {}).items():
                    lines[module] |= numbers
            fixtures = {name: round(self._fixture_seconds[name], 3) for name in self._fixtures[test] if name in self._fixture_seconds}
            rows.append(
                {
                    "test": test,
                    "seconds": round(seconds, 3),
                    "fixtures": fixtures,
                    "lines": {module: sorted(numbers) for module, numbers in lines.items()},
                }
            )
        return rows


def _processor_time() -> float:
    """Of this process and those that it waited for: the clock would say how busy the machine is."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def lines_of(data: coverage.CoverageData, root: Path) -> dict[str, dict[str, set[int]]]:
    """Of each context: by module, the lines that ran."""
    result: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for file in data.measured_files():
        module = str(Path(file).relative_to(root))
        for line, contexts in data.contexts_by_lineno(file).items():
            for context in contexts:
                result[context][module].add(line)
    return result


def record_file(root: Path, folder: Path, file: str) -> Path:
    """Where the record of a test file is kept: another one as soon as its text changes, or a module's whose lines it says are run."""
    inside = Path(file).relative_to("tests").parent
    modules = [path for path in sorted((root / PACKAGE / inside).rglob("*.py")) if _tested_in(root, path.parent) == root / "tests" / inside]
    digest = hashlib.sha1(b"".join(path.read_bytes() for path in (root / file, *modules))).hexdigest()[:16]
    return folder / "lines" / f"{file.replace('/', '+')}.{digest}.json"


def _tested_in(root: Path, modules: Path) -> Path:
    """The folder of tests that mirrors one of modules, or the next one above it if there is none."""
    folder = root / "tests" / modules.relative_to(root / PACKAGE)
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def record(session: pytest.Session, root: Path, result: Path, file: str, seconds: float) -> int:
    """Run the tests of one file and write what they touch; within a fork of a process that has collected them.

    Args:
        session: pytest's.
        root: of the repository.
        result: the record's file.
        file: the test file below the root.
        seconds: of processor time; a test that takes longer is left out.
    """
    recorder = Recorder(root, seconds)
    session.config.pluginmanager.register(recorder)
    before = set(sys.modules)
    items = [item for item in session.items if item.nodeid.partition("::")[0] == file]
    for item, after in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    imports = sorted(name for name in set(sys.modules) - before if name.partition(".")[0] not in (PACKAGE, "tests"))
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps({"imports": imports, "tests": recorder.result()}), encoding="utf-8")
    return 0


def touches_of(result: Path) -> list[Touch]:
    """What a record says; nothing where there is none."""
    if not result.exists():
        return []
    rows = json.loads(result.read_text(encoding="utf-8"))["tests"]
    return [
        Touch(row["test"], row["seconds"], row["fixtures"], {module: frozenset(numbers) for module, numbers in row["lines"].items()})
        for row in rows
    ]


class Kills:
    """How often a test was tried on the mutants of a module, and how often it noticed."""

    def __init__(self) -> None:
        self._tried: dict[tuple[str, str], int] = defaultdict(int)
        self._kills: dict[tuple[str, str], int] = defaultdict(int)

    def note(self, module: str, tests: Sequence[str], killer: str | None) -> None:
        """Tests that were tried in this order, the last of them the killer if there was one."""
        for test in tests:
            self._tried[module, test] += 1
            if test == killer:
                self._kills[module, test] += 1
                return

    def chance(self, module: str, test: str, first: float) -> float:
        """That a test notices the next one; ``first`` stands in for what was not tried."""
        return (self._kills[module, test] + first) / (self._tried[module, test] + 1)


def order(touches: Sequence[Touch], module: str, beside: Sequence[str], kills: Kills, seconds: float) -> tuple[list[Touch], bool]:
    """Tests in the order in which they are tried: what is likely to notice in little time comes first.

    Args:
        touches: those that run the mutant.
        module: where it is.
        beside: the test files that bear the module's name.
        kills: of the mutants before it.
        seconds: for all together; one at least is tried.

    Returns:
        the tests, and whether these are all.
    """

    def worth(touch: Touch) -> float:
        return kills.chance(module, touch.test, 0.5 if touch.file in beside else 0.15) / (touch.cost() + 0.02)

    chosen: list[Touch] = []
    spent, made = 0.0, set[str]()
    for touch in sorted(touches, key=worth, reverse=True):
        if chosen and spent + touch.cost(made) > seconds:
            continue
        spent += touch.cost(made)
        made |= set(touch.fixtures)
        chosen.append(touch)
    return chosen, len(chosen) == len(touches)
