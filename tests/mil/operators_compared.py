"""Plugin: says how many operators were compared with an independent source, and fails a whole run that leaves one out.

Tests may be spread over worker processes (pytest-xdist): each hands what it compared to the process that reports.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fcrn_mobile.mil.ops import MIL
from tests.mil.build import COVERED

_OPERATOR_TESTS = Path(__file__).parent / "ops"
_whole_run = False
_deselected = False


def pytest_deselected(items: list[pytest.Item]) -> None:
    global _deselected
    _deselected = _deselected or any(item.path.parent == _OPERATOR_TESTS for item in items)


def pytest_collection_finish(session: pytest.Session) -> None:
    global _whole_run
    named = any("::" in argument for argument in session.config.args)
    collected = {item.path for item in session.items}
    _whole_run = not (named or _deselected) and set(_OPERATOR_TESTS.glob("test_*.py")) <= collected


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    global _whole_run
    output = getattr(node, "workeroutput", {})
    COVERED.update(output.get("operators_compared", ()))
    _whole_run = _whole_run or output.get("operators_whole_run", False)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    yield
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput.update(operators_compared=sorted(COVERED), operators_whole_run=_whole_run)
    elif exitstatus == 0 and _whole_run and MIL - COVERED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not COVERED:
        return
    terminalreporter.write_line(f"MIL operators compared with an independent source: {len(COVERED & MIL)} of {len(MIL)}")
    missing = sorted(MIL - COVERED)
    if missing and _whole_run:
        terminalreporter.write_line(f"without a comparison: {', '.join(missing)}", red=True)
