"""Plugin of pytest: tests that call ``predict`` of coremltools' models run on any machine. Nothing is changed without its options."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fcrn_mobile.mil.simulated import Answers

__all__ = ["ANSWERS", "pytest_addoption", "pytest_configure", "pytest_terminal_summary", "pytest_unconfigure"]

#: What the tests of this process were answered, in the configuration's stash; only there with the options.
ANSWERS: "pytest.StashKey[Answers]" = pytest.StashKey()
_OPEN: pytest.StashKey[ExitStack] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("fcrn-mobile")
    group.addoption(
        "--simulate-core-ml", action="store_true", help="predict() of coremltools' models is answered by fcrn-mobile instead of Core ML"
    )
    group.addoption("--simulated-arithmetic", choices=("float32", "float16", "ane"), default="float16", help="its arithmetic (%(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    """Begin before test modules are imported, since they ask for the system when they are."""
    if not config.getoption("--simulate-core-ml"):
        return
    from fcrn_mobile.mil.simulated import simulated_core_ml

    stack = config.stash[_OPEN] = ExitStack()
    config.stash[ANSWERS] = stack.enter_context(simulated_core_ml(config.getoption("--simulated-arithmetic")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say that nothing ran in Core ML; the workers of pytest-xdist count for themselves."""
    if ANSWERS in config.stash:
        answers = config.stash[ANSWERS]
        counts = f": {answers.models} models, {answers.predictions} predictions, {len(answers.refusals)} refusals" if answers.models else ""
        terminalreporter.write_line(f"Core ML was simulated in {config.getoption('--simulated-arithmetic')} arithmetic{counts}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give coremltools its own parts back."""
    if _OPEN in config.stash:
        config.stash[_OPEN].close()
