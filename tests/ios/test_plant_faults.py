import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(IOS_DEMO / "scripts/plant_faults.py")


def test_every_fault_can_still_be_planted(script: ModuleType) -> None:
    for fault in script.FAULTS:
        right = (IOS_DEMO / fault.file).read_text()
        assert script.planted(fault, right) != right
    names = [fault.name for fault in script.FAULTS]
    assert len(set(names)) == len(names) >= 16


def test_a_place_that_is_gone_is_named(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="is there 0 times, not once: mend 'cpuAndGPU runs on cpuOnly'"):
        script.planted(script.FAULTS[0], "struct A {}")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("2 passed\nfailed: A.testB: /tmp/A.swift:3: 1 is not 2\n", "A.testB: A.swift:3: 1 is not 2"),
        ("FAILED tests/ios/test_a.py::test_b - AssertionError\n", "tests/ios/test_a.py::test_b - AssertionError"),
        ("/tmp/A.swift:3:1: error: no such name\n", "/tmp/A.swift:3:1: error: no such name"),
        ("", "nothing said"),
        (f"failed: A.testB: /tmp/A.swift:3: {'1' * 200} is not 2\n", f"A.testB: A.swift:3: {'1' * 139}…"),
    ],
)
def test_the_table_says_what_failed(script: ModuleType, output: str, line: str) -> None:
    assert script.reason(subprocess.CompletedProcess([], 1, output, "")) == line
