"""The action, the workflows and the hook: their steps run in an empty folder, and their files hold what they have to."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcrn_mobile.cli.check import REPORT
from tests.project.small import save_small
from tests.wheel import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOWS = [ROOT / "action.yml", *sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "docs/examples/github-gate.yml"]


def evaluated(text: str, inputs: dict[str, str], site: str) -> str:
    """GitHub's expressions of this action's steps: an input, or the first of two values that is not empty."""
    values = {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": site}

    def value(match: re.Match[str]) -> str:
        return next((found for name in match[1].split("||") if (found := values[name.strip()])), "")

    return re.sub(r"\$\{\{ (.*?) \}\}", value, text)


def run_steps(folder: Path, wheel: Path, **given: str) -> tuple[int, Path]:
    """Every step of the action that is a script, as a runner runs it; the exit code of the last, and the report's folder.

    pip gets the wheel alone, into a folder of its own: its dependencies are this environment's.
    """
    inputs = {name: given.get(name, entry["default"]) for name, entry in ACTION["inputs"].items()} | {"package": str(wheel)}
    temporary = folder / "runner"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_TARGET": str(temporary / "site"),
        "PIP_UPGRADE": "1",
        "PYTHONPATH": str(temporary / "site"),
        "RUNNER_TEMP": str(temporary),
        "GITHUB_OUTPUT": str(temporary / "output"),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
    }
    code = 0
    for step in (step for step in ACTION["runs"]["steps"] if "run" in step):
        own = {name: evaluated(text, inputs, str(ROOT)) for name, text in step["env"].items()}
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        result = subprocess.run(words, cwd=folder, env=environment | own, capture_output=True, text=True, check=False)
        code = result.returncode
        print(result.stdout, result.stderr)
    outputs = dict(line.split("=", 1) for line in (temporary / "output").read_text().splitlines())
    return code, Path(outputs["report"])


def test_the_actions_steps_hold_a_folder_to_its_budgets(unpacked_wheel: Path, tmp_path: Path) -> None:
    (wheel,) = unpacked_wheel.parent.glob("*.whl")
    save_small(tmp_path / "net.safetensors")
    artefact = '[[models.artefacts]]\npath = "a.mlpackage"\nrecipe = "fp16"\n'
    (tmp_path / "depth.toml").write_text(f'data = "sample#val"\n[[models]]\nreference = "net.safetensors"\n{artefact}')
    code, report = run_steps(tmp_path, wheel)
    assert code == 0
    assert sorted(path.name for path in report.iterdir()) == ["junit.xml", "report.html", "report.json", "report.md", "report.sarif"]
    assert (tmp_path / "runner/summary.md").read_text() == (report / "report.md").read_text()
    former = report.rename(tmp_path / "former")
    (tmp_path / "depth.toml").write_text((tmp_path / "depth.toml").read_text() + 'budget = { fidelity = "0.0002" }\n')
    code, report = run_steps(tmp_path, wheel, baseline=str(former / "report.json"))
    assert code == 1
    (run,) = json.loads((report / "report.json").read_text())["validations"]
    assert run["changes"][0]["figure"] == "fidelity"
    assert "<failure" in (report / "junit.xml").read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_that_is_used_is_pinned(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (\S+)", text)
    assert uses
    assert [use for use in uses if not re.search(r"@[0-9a-f]{40}$", use) and use != "OWNER/fcrn-mobile@REVISION"] == []
    # A script that had an expression in it would run what a pull request's title says.
    assert [step["run"] for step in steps(yaml.safe_load(text)) if "${{" in step.get("run", "")] == []


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = [workflow["runs"]] if "runs" in workflow else list(workflow["jobs"].values())
    return [step for job in jobs for step in job["steps"]]


def test_the_example_gives_inputs_that_the_action_has() -> None:
    example = yaml.safe_load((ROOT / "docs/examples/github-gate.yml").read_text(encoding="utf-8"))
    (own,) = (step for step in steps(example) if step["uses"].startswith("OWNER/"))
    assert set(own["with"]) <= set(ACTION["inputs"])
    assert all(step.get("shell") == "bash" for step in ACTION["runs"]["steps"] if "run" in step)


def test_the_hook_takes_recipes_and_no_other_file() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    files = [
        path
        for path in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
        if path
    ]
    matching = [path for path in files if re.search(hook["files"], path)]
    assert matching == sorted(f"export/{path.name}" for path in (ROOT / "export").glob("*.toml"))
    words = [sys.executable, "-m", "fcrn_mobile", *hook["entry"].split()[1:], *matching]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_the_gitlab_example_calls_the_tool_as_it_is() -> None:
    (job,) = yaml.safe_load((ROOT / "docs/examples/gitlab-gate.yml").read_text(encoding="utf-8")).values()
    (folder,) = job["artifacts"]["paths"]
    assert job["artifacts"]["reports"]["junit"] == f"{folder}/junit.xml" and "junit.xml" in REPORT
    (line,) = (line for line in job["script"] if "fcrn_mobile" in line)
    assert f" --report {folder}" in line
