import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"


def parse(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(IOS_DEMO / "scripts/parse_swift.py"), str(folder)], capture_output=True, text=True, check=False
    )


def test_every_swift_source_parses() -> None:
    result = parse(IOS_DEMO)
    assert result.returncode == 0, result.stderr
    assert "0 faults" in result.stdout


@pytest.mark.parametrize("source", ["struct A {\n  let x = \n}\n", "func f( -> Int { 1 }\n", "if let {\n"])
def test_what_is_not_swift_is_named_with_its_line(source: str, tmp_path: Path) -> None:
    (tmp_path / "Broken.swift").write_text("let fine = 1\n" + source)
    result = parse(tmp_path)
    assert result.returncode == 1
    assert "Broken.swift:" in result.stderr


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    assert parse(tmp_path).returncode == 1


@pytest.mark.parametrize(("asked", "code"), [("", 0), ("install", 3)])
def test_without_a_compiler_the_check_says_that_it_is_incomplete(asked: str, code: int, tmp_path: Path) -> None:
    """Where Swift was to be installed this is no success; where it was only looked for, the last lines say it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "cat", "dirname", "mkdir", "nice", "tail"):
        (tools / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    environment = {**os.environ, "PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path), "FCRN_PYTHON": sys.executable, "FCRN_SWIFT": asked}
    script = IOS_DEMO / "scripts/check_linux.sh"
    result = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    assert "*** INCOMPLETE: no Swift here." in result.stdout
    assert "To complete it: install mmdebstrap and bubblewrap, then run make ios-check" in result.stdout
    assert "complete: everything" not in result.stdout
    assert ("no mmdebstrap here" in result.stderr) == bool(asked)


def test_the_example_of_the_readme_is_the_one_that_is_type_checked() -> None:
    example = (IOS_DEMO / "LinuxStubs/Example/OwnApp.swift").read_text().partition("final class")[2]
    assert f"```swift\nfinal class{example}```" in (IOS_DEMO / "README.md").read_text()
    taken = "DepthDemo/Depth/{DepthModel,DepthReading,VisionDepthModel}.swift"
    assert taken in (IOS_DEMO / "scripts/typecheck_app.sh").read_text()
