"""Tests tried on mutants: in forks of a process that has collected a folder's tests, or in one that imports the package anew."""

import gc
import importlib
import json
import mmap
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import coverage
import pytest
from mutations import Mutant
from swap import Calls, Imported
from touch import PACKAGE, Touch, lines_of, record, record_file
from warm import Finder, end_after, fork, in_pytest, silence

#: The fixture that exports the built-in network when a test first asks, and the seconds that it takes then.
_PACKAGES, _EXPORT = "packages", 60.0


class Tries:
    """Says what tests do; the order of the tests is theirs, the first failure ends it."""

    #: Whether a fork imports the mutant: then it may end before a test begins.
    _imports = False

    def __init__(self, root: Path, state: Path) -> None:
        self._root, self._state = root, state
        self._base = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._told = mmap.mmap(-1, 4)
        self._sound: dict[str, bool] = {}

    def close(self) -> None:
        """Remove what the tests left."""
        shutil.rmtree(self._base, ignore_errors=True)

    def verdict(self, touches: Sequence[Touch], mutant: Mutant | None) -> tuple[str, str | None]:
        """``survived``, ``killed`` or ``timeout``, and by which test; a test that fails on the sound code does not count."""
        touches = [touch for touch in touches if self._sound.get(touch.test, True)]
        while touches:
            status, index = self._attempt(touches, mutant)
            if status == 0:
                return "survived", None
            if index < 0 and not self._imports:
                raise RuntimeError(f"no test was begun, exit {status}: {mutant and mutant.mutation}")
            killer = touches[index].test if index >= 0 else None
            if killer is None or self._is_sound(touches[index]):
                return ("timeout" if status < 0 else "killed"), killer
            touches = [touch for touch in touches if touch.test != killer]
        return "untested", None

    def _is_sound(self, touch: Touch) -> bool:
        if touch.test not in self._sound:
            self._sound[touch.test] = self._attempt([touch], None)[0] == 0
            if not self._sound[touch.test]:
                print(f"fails by itself on the sound code: {touch.test}", flush=True)
        return self._sound[touch.test]

    def _attempt(self, touches: Sequence[Touch], mutant: Mutant | None) -> tuple[int, int]:
        """Exit code of the fork, and the number of the test that it was at."""
        shutil.rmtree(self._base, ignore_errors=True)
        self._base.mkdir()
        self._told[:] = (-1).to_bytes(4, "little", signed=True)
        # Other processes take time as well: the clock may show many times what the processor does.
        clock = 60 + 10 * sum(_limit(touch) for touch in touches)
        status = fork(lambda: self._in_fork(touches, mutant), clock)
        return status, int.from_bytes(self._told[:], "little", signed=True)

    def _in_fork(self, touches: Sequence[Touch], mutant: Mutant | None) -> int:
        """Run the tests; 0 if all pass."""
        raise NotImplementedError

    def _run(self, session: pytest.Session, touches: Sequence[Touch], seed: Path | None) -> int:
        """Within the fork."""
        silence()
        factory: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
        factory._given_basetemp, factory._basetemp = self._base / "tests", None
        if seed:
            folder = factory.getbasetemp() / "builtin-packages"
            folder.mkdir()
            for package in seed.glob("*.mlpackage"):
                (folder / package.name).symlink_to(package)
        chosen = list(_items(session, touches))
        for (index, item), (_, after) in zip(chosen, [*chosen[1:], (0, None)], strict=True):
            self._told[:] = index.to_bytes(4, "little", signed=True)
            end_after(_limit(touches[index]))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                return 1
        return 0


def _items(session: pytest.Session, touches: Sequence[Touch]) -> Iterator[tuple[int, pytest.Item]]:
    """Each test and which of the touches it is. A mutant may name the cases of a test otherwise: then all of that test are run."""
    named = {item.nodeid: item for item in session.items}
    for index, touch in enumerate(touches):
        if touch.test in named:
            yield index, named[touch.test]
        else:
            cases = touch.test.partition("[")[0]
            yield from ((index, item) for name, item in named.items() if name.partition("[")[0] == cases)


def _limit(touch: Touch) -> float:
    """Four times what a test took: a mutant that loops takes longer."""
    return 4 * touch.cost() + 4 + (_EXPORT if _PACKAGES in touch.fixtures else 0)


class Collected(Tries):
    """A plugin of pytest whose process has collected the tests of a folder: a mutant is a fork in which functions have changed code."""

    def __init__(self, root: Path, state: Path, files: Sequence[str], seconds: float, work: Callable[["Collected"], None]) -> None:
        """Make it before the package is imported.

        Args:
            root: of the repository.
            state: folder of the records.
            files: test files of the folder.
            seconds: of processor time that a test may take while recording.
            work: is called when all is collected and recorded.
        """
        super().__init__(root, state)
        self._files, self._seconds, self._work = files, seconds, work
        self._calls = Calls(f"{root}/{PACKAGE}/")
        self._calls.__enter__()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests."""
        self._session = session
        for file in sorted((self._root / PACKAGE).rglob("*.py")):
            if file.stem not in ("__main__", "__init__"):
                with suppress(ImportError):
                    importlib.import_module(".".join(file.relative_to(self._root).with_suffix("").parts))
        self._calls.__exit__()
        self._record()
        self._imported = Imported(f"{self._root}/{PACKAGE}/", self._calls.places)
        gc.freeze()
        self._work(self)
        self.close()
        return True

    def changes(self, mutant: Mutant) -> bool:
        """Whether exchanging the code of functions carries the mutant out."""
        return self._exchange(mutant) is not None

    def _exchange(self, mutant: Mutant) -> Any:
        path = self._root / mutant.mutation.module
        return self._imported.exchange(str(path), path.read_text(encoding="utf-8"), mutant.text)

    def _in_fork(self, touches: Sequence[Touch], mutant: Mutant | None) -> int:
        for function, code in self._exchange(mutant) if mutant else ():
            function.__code__ = code
        return self._run(self._session, touches, self._seed_for(mutant))

    def _seed_for(self, mutant: Mutant | None) -> Path | None:
        """The packages that the sound code made, unless making them runs the mutant."""
        seed = self._state / "packages"
        if not (seed / "lines.json").exists():
            return None
        if mutant is None:
            return seed
        lines = set(json.loads((seed / "lines.json").read_text()).get(mutant.mutation.module, ()))
        return None if lines & set(range(mutant.mutation.first, mutant.mutation.last + 1)) else seed

    def _record(self) -> None:
        if not (self._state / "packages" / "lines.json").exists():
            fork(self._make_seed, 600)
        for number, file in enumerate(self._files, 1):
            result = record_file(self._root, self._state, file)
            if result.exists():
                continue
            began = time.monotonic()
            shutil.rmtree(self._base, ignore_errors=True)
            self._base.mkdir()
            status = fork(lambda file=file, result=result: self._record_file(file, result), 1800)  # type: ignore[misc]
            print(f"[{number}/{len(self._files)}] {file}: recorded, exit {status}, {time.monotonic() - began:.0f} s", flush=True)

    def _record_file(self, file: str, result: Path) -> int:
        silence()
        factory: Any = self._session.config._tmp_path_factory  # type: ignore[attr-defined]
        factory._given_basetemp, factory._basetemp = self._base / "tests", None
        seed = self._state / "packages"
        if seed.exists():
            (factory.getbasetemp() / "builtin-packages").mkdir()
            for package in seed.glob("*.mlpackage"):
                (factory.getbasetemp() / "builtin-packages" / package.name).symlink_to(package)
        return record(self._session, self._root, result, file, self._seconds)

    def _make_seed(self) -> int:
        """Export the built-in network once for all tests that only read it, and note what that runs."""
        from tests.conftest import Packages, load_checkpoint

        folder = self._state / "packages"
        folder.mkdir(parents=True, exist_ok=True)
        watch = coverage.Coverage(data_file=None, include=[f"{self._root}/{PACKAGE}/*"], config_file=False)
        watch.start()
        watch.switch_context("seed")
        packages = Packages(load_checkpoint("builtin"), folder)
        for name in packages:
            packages[name]
        watch.stop()
        lines = lines_of(watch.get_data(), self._root)["seed"]
        (folder / "lines.json").write_text(json.dumps({module: sorted(numbers) for module, numbers in lines.items()}))
        return 0


class Anew(Tries):
    """Imports the package in each fork, with the mutant's module from memory: for what runs at import."""

    _imports = True

    def _in_fork(self, touches: Sequence[Touch], mutant: Mutant | None) -> int:
        if mutant:
            sys.meta_path.insert(0, Finder(self._root, mutant.mutation.module, mutant.text))
        silence()
        end_after(120)
        in_pytest(self._root, sorted({touch.file for touch in touches}), _Ordered(lambda session: self._run(session, touches, None)))
        # What cannot be collected is noticed as well.
        return 1


class _Ordered:
    def __init__(self, run: Callable[[pytest.Session], int]) -> None:
        self._run = run

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Run tests in an order of our own, and end: nobody reads what pytest would say."""
        os._exit(1 if session.testsfailed else self._run(session))
