"""coremltools' own tests, which its wheel carries, with ``predict`` answered by the MIL runtime: what passes, and why the rest does not.

    python benchmarks/coreml_suite/run.py [--all] [--workers N] [--again] [--json benchmarks/results/coreml_suite.json]

A sample covers every test function; README.md says how it is drawn and what the verdicts mean. Outcomes are kept in runs/coreml_suite: a
run that was stopped goes on.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from verdicts import DECIDED, summary, table, verdict

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: What pytest says of a run that came to its end: all passed, some failed, none was left.
ENDED = (0, 1, 5)
#: Tests of ``topK`` take NumPy's order of equal elements for Core ML's. On a Mac, and without these, it is that of their indices.
UNSTABLE = {"x86_64": "AVX512F AVX512_SKX AVX2"}
PACKAGES = ("coremltools", "torch", "numpy", "pytest")


@dataclass
class Worker:
    """A process that runs the tests of some files."""

    files: Sequence[Path]
    journal: Path
    process: "subprocess.Popen[bytes] | None" = None

    def lines(self) -> list[dict[str, Any]]:
        """The journal so far."""
        return [json.loads(line) for line in self.journal.read_text(encoding="utf-8").splitlines()] if self.journal.exists() else []

    def unfinished(self) -> str | None:
        """The test that was running when the process ended, if any was."""
        lines = self.lines()
        return str(lines[-1]["start"]) if lines and "start" in lines[-1] else None


def main() -> None:
    """Run, print a table, write the results."""
    options = _options()
    options.state.mkdir(parents=True, exist_ok=True)
    code = code_hash()
    if options.again:
        forget(options.state, lambda line: verdict(line) in DECIDED[1:])
    try:
        run(options, code)
    except KeyboardInterrupt:
        print("stopped: what was run so far; start again to go on", flush=True)
    lines = outcomes(options.state)
    result = {
        "tool": "coremltools' own tests, benchmarks/coreml_suite",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "sample": None if options.all else {"seed": options.seed},
        "seconds_a_test": options.seconds,
        "on_other_code": sum(line.get("code") != code for line in lines),
        **summary(lines),
    }
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every parametrisation, about 50,000, instead of the sample")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--again", action="store_true", help="run what failed for the runtime's sake once more, and what is new")
    parser.add_argument("--only", nargs="*", default=[], help="test files, as patterns below the folder of coremltools")
    parser.add_argument("--names", type=Path, help="file of tests, a line each, as the results name them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=60, help="a test may take; on a busy machine give it more")
    parser.add_argument("--state", type=Path, default=ROOT / "runs" / "coreml_suite", help="folder of outcomes")
    parser.add_argument("--json", type=Path, help="file of the results")
    return parser.parse_args()


def site() -> Path:
    """The folder that coremltools was installed to."""
    spec = find_spec("coremltools")
    if spec is None or spec.origin is None:
        sys.exit("coremltools is not installed")
    return Path(spec.origin).parents[1]


def code_hash() -> str:
    """Of the package's sources: an outcome belongs to the code that gave it."""
    files = sorted((ROOT / "fcrn_mobile").rglob("*.py"))
    return hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def test_files(only: Sequence[str], names: Sequence[str]) -> list[Path]:
    """Coremltools' test files, largest first."""
    if names:
        files = {site() / name.partition("::")[0] for name in names}
    else:
        files = {file for pattern in only or ["**/test_*.py"] for file in (site() / "coremltools").glob(pattern)}
    return sorted(files, key=lambda file: (-file.stat().st_size, file))


def shares(files: Sequence[Path], count: int) -> list[list[Path]]:
    """The files in groups of about the same size."""
    groups: list[list[Path]] = [[] for _ in range(count)]
    for file in files:
        min(groups, key=lambda group: sum(other.stat().st_size for other in group)).append(file)
    return [group for group in groups if group]


def run(options: argparse.Namespace, code: str) -> None:
    """Have workers run what has no outcome yet; one that dies is started again behind the test it died of."""
    names = options.names.read_text(encoding="utf-8").split("\n") if options.names else []
    names = [name for name in names if name]
    files = shares(test_files(options.only, names), options.workers)
    workers = [Worker(group, options.state / f"{time.time_ns()}-{n}.jsonl") for n, group in enumerate(files)]
    try:
        for worker in workers:
            start(worker, options, names, code)
        while any(worker.process for worker in workers):
            time.sleep(1)
            for worker in workers:
                attend(worker, options, names, code)
    finally:
        for worker in workers:
            if worker.process:
                worker.process.kill()


def start(worker: Worker, options: argparse.Namespace, names: Sequence[str], code: str) -> None:
    """Start a worker on what is left of its files."""
    done = [line["test"] for line in outcomes(options.state)]
    task = worker.journal.with_suffix(".task.json")
    settings = {"seed": options.seed, "all": options.all, "seconds": options.seconds, "names": list(names), "done": done, "code": code}
    task.write_text(json.dumps({"journal": str(worker.journal), **settings}), encoding="utf-8")
    paths = os.pathsep.join([str(ROOT), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    single |= {"NPY_DISABLE_CPU_FEATURES": UNSTABLE[platform.machine()]} if platform.machine() in UNSTABLE else {}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "recorder", "--simulate-core-ml"]
    command += ["-p", "fcrn_mobile.cli.pytest_plugin", "-c", os.devnull, "--rootdir", str(site()), "--continue-on-collection-errors"]
    with worker.journal.with_suffix(".log").open("ab") as log:
        worker.process = subprocess.Popen(
            [*command, *map(str, worker.files)],
            cwd=options.state,
            env={**os.environ, **single, "PYTHONPATH": paths, "CORE_ML_SUITE": str(task)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def attend(worker: Worker, options: argparse.Namespace, names: Sequence[str], code: str) -> None:
    """See whether a worker has ended, or hangs in code that no signal stops, and start it again if it did so within a test."""
    if worker.process is None:
        return
    status = worker.process.poll()
    running = worker.unfinished()
    if status is None:
        if running and time.time() - worker.journal.stat().st_mtime > 2 * options.seconds + 60:
            worker.process.kill()
        return
    worker.process = None
    if running:
        line = {"test": running, "id": running, "outcome": "failed", "error": "", "reason": f"the process ended ({status})", "ended": True}
        with worker.journal.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**line, "seconds": 0.0, "models": 0, "predictions": 0, "refusals": [], "code": code}) + "\n")
        start(worker, options, names, code)
    elif status not in ENDED:
        print(f"a worker ended with {status}, see {worker.journal.with_suffix('.log')}", flush=True)


def outcomes(state: Path) -> list[dict[str, Any]]:
    """The last outcome of every test."""
    last: dict[str, dict[str, Any]] = {}
    for journal in sorted(state.glob("*.jsonl")):
        lines = (json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())
        last |= {line["test"]: line for line in lines if "test" in line}
    return list(last.values())


def forget(state: Path, unwanted: Any) -> None:
    """Take outcomes out of the journals."""
    for journal in state.glob("*.jsonl"):
        lines: list[Mapping[str, Any]] = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
        kept = [line for line in lines if "test" in line and not unwanted(line)]
        journal.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


if __name__ == "__main__":
    main()
