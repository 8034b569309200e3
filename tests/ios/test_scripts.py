import os
import shutil
import subprocess
from pathlib import Path

import pytest

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"
SCRIPTS = sorted((IOS_DEMO / "scripts").glob("*.sh"))
FOR_A_MAC = ("device_benchmark.sh", "device_tests.sh")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shell_scripts_parse_and_can_be_called(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    result = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", FOR_A_MAC)
def test_scripts_for_a_mac_say_that_they_were_not_run(name: str) -> None:
    assert "NOT RUN HERE" in (IOS_DEMO / "scripts" / name).read_text()


@pytest.mark.parametrize("name", FOR_A_MAC)
def test_without_xcode_they_say_what_they_need(name: str, tmp_path: Path) -> None:
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    command = ["bash", str(IOS_DEMO / "scripts" / name), "phone"]
    result = subprocess.run(command, env={"PATH": str(tmp_path), "HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "xcodebuild is not here: this needs a Mac with Xcode 16 or newer\n"


@pytest.mark.parametrize("name", FOR_A_MAC)
def test_without_a_device_they_ask_for_one(name: str) -> None:
    result = subprocess.run(["bash", str(IOS_DEMO / "scripts" / name)], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "give a de" in result.stderr


def test_the_device_script_calls_what_the_app_and_the_project_have() -> None:
    script = (IOS_DEMO / "scripts/device_benchmark.sh").read_text()
    understood = (IOS_DEMO / "DepthCore/Sources/DepthCore/BenchmarkLaunch.swift").read_text()
    for argument in ("--benchmark", "--live", "--warm-up", "--runs"):
        assert f'"{argument}"' in understood and argument in script
    assert "-- --benchmark" in script
    benchmark = IOS_DEMO / "DepthDemo/Benchmark"
    assert "resultFile(in: HistoryState.folder" in (benchmark / "BenchmarkState.swift").read_text()
    assert 'let folder = "benchmarks"' in (benchmark / "HistoryState.swift").read_text()
    assert "--source Documents/benchmarks" in script
    scheme = IOS_DEMO / "DepthDemo.xcodeproj/xcshareddata/xcschemes/DepthDemo.xcscheme"
    assert scheme.is_file() and f"-scheme {scheme.stem}" in script
