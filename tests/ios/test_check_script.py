import os
import re
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


PASSES = "def test_one() -> None: pass\n"
SKIPS = 'import pytest\n\n@pytest.mark.skip(reason="no shellcheck")\ndef test_two() -> None: pass\n'


def checkout(folder: Path, tests: str) -> Path:
    """A copy of the demo, beside tests of its project that are these."""
    for part in ("scripts", "DepthCore/Sources/DepthCore", "LinuxStubs", "DepthDemo", "DepthDemoTests", "LinuxTests"):
        shutil.copytree(IOS_DEMO / part, folder / "ios_demo" / part)
    (folder / "tests/ios").mkdir(parents=True)
    (folder / "tests/ios/test_project.py").write_text(tests)
    return folder / "ios_demo/scripts/check_linux.sh"


def commands(folder: Path, **scripts: str) -> Path:
    """Shell scripts by name."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def check(script: Path, path: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    cache = {"XDG_CACHE_HOME": str(script.parents[2] / "cache"), "FCRN_SWIFT_BUILD": str(script.parents[2] / "build")}
    quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {**os.environ, "PATH": path, "FCRN_PYTHON": sys.executable, **cache, **quick, **settings}
    return subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("asked", "code"), [("", 0), ("install", 3)])
def test_without_a_compiler_the_check_says_that_it_is_incomplete(asked: str, code: int, tmp_path: Path) -> None:
    """Where Swift was to be installed this is no success; where it was only looked for, the last lines say it."""
    tools = commands(tmp_path / "bin")
    for tool in ("bash", "cat", "dirname", "mkdir", "nice", "sed", "tail"):
        (tools / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    result = check(checkout(tmp_path, PASSES), str(tools), FCRN_SWIFT=asked)
    assert result.returncode == code, result.stderr
    assert "*** INCOMPLETE: no Swift here." in result.stdout
    assert "To complete it: install mmdebstrap and bubblewrap, then run make ios-check" in result.stdout
    assert "complete: everything" not in result.stdout
    assert ("no mmdebstrap here" in result.stderr) == bool(asked)


#: Whatever it is told to write is a program that passes.
COMPILER = r"""while [ $# -gt 0 ]; do
  if [[ "$1" =~ ^-(o|emit-module-path)$ ]] && [ "$2" != /dev/null ]; then printf '#!/bin/bash\necho 3 passed\n' >"$2"; chmod +x "$2"; fi
  shift
done"""


@pytest.mark.parametrize("tests", [PASSES, PASSES + SKIPS])
def test_complete_is_said_where_nothing_was_skipped(tests: str, tmp_path: Path) -> None:
    tools = commands(tmp_path / "bin", swift='echo "Test run with 3 tests passed"', swiftc=COMPILER)
    result = check(checkout(tmp_path, tests), f"{tools}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    if tests == PASSES:
        assert said[-1] == "complete: everything that can be checked without a Mac was"
        shown = (IOS_DEMO / "README.md").read_text().partition("$ make ios-check\n")[2].partition("\n```")[0].splitlines()
        # But for numbers, which change with every test; the stand-in for Swift says the same to everybody, to the linter too.
        assert [line.partition(" …")[0] for line in shown] == [
            re.split(r"[=\s]*\d", line)[0] for line in said if not line.startswith("Test run")
        ]
    else:
        assert said[-2] == "all that ran passed; not complete, skipped here:"
        assert said[-1].endswith("no shellcheck")


def test_a_long_log_of_failures_is_shown_and_named(tmp_path: Path) -> None:
    tools = commands(tmp_path / "bin", swift='for i in {1..20000}; do echo "error $i: a line that says what failed"; done; exit 1')
    result = check(checkout(tmp_path, PASSES), f"{tools}:{os.environ['PATH']}")
    assert result.returncode == 1
    said = result.stderr.splitlines()
    assert said[:60] == [f"error {number}: a line that says what failed" for number in range(1, 61)]
    assert said[60:] == [f"DepthCore: failed, whole log in {tmp_path}/build/test.log"]


def test_a_failing_test_of_the_project_fails_the_check(tmp_path: Path) -> None:
    result = check(checkout(tmp_path, "def test_one() -> None: assert 1 == 2\n"), os.environ["PATH"])
    assert result.returncode == 1
    assert "assert 1 == 2" in result.stderr


def test_the_example_of_the_readme_is_the_one_that_is_type_checked() -> None:
    example = (IOS_DEMO / "LinuxStubs/Example/OwnApp.swift").read_text().partition("final class")[2]
    assert f"```swift\nfinal class{example}```" in (IOS_DEMO / "README.md").read_text()
    taken = "DepthDemo/Depth/{DepthModel,DepthReading,VisionDepthModel}.swift"
    assert taken in (IOS_DEMO / "scripts/test_app.sh").read_text()
