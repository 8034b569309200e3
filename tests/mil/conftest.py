"""Says how many operators were compared with an independent source, and fails a whole run that leaves one out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fcrn_mobile.mil.ops import OPERATORS
from tests.mil.build import COVERED

_OPERATOR_TESTS = Path(__file__).parent / "ops"
_collected: set[Path] = set()
_deselected = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _collected.update(item.path for item in items)


def pytest_deselected(items: list[pytest.Item]) -> None:
    global _deselected
    _deselected = True


def _whole_run(config: pytest.Config) -> bool:
    named = any("::" in argument for argument in config.args)
    return not (named or _deselected) and set(_OPERATOR_TESTS.glob("test_*.py")) <= _collected


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    yield
    if exitstatus == 0 and _whole_run(session.config) and set(OPERATORS) - COVERED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not COVERED:
        return
    terminalreporter.write_line(f"MIL operators compared with an independent source: {len(COVERED & set(OPERATORS))} of {len(OPERATORS)}")
    missing = sorted(set(OPERATORS) - COVERED)
    if missing and _whole_run(config):
        terminalreporter.write_line(f"without a comparison: {', '.join(missing)}", red=True)
