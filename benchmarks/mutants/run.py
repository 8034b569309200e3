"""How many small faults the tests beside the code notice: mutants of the folders that decide, see FOLDERS.

    python benchmarks/mutants/run.py [--sample N --seed S] [--only PATH ...] [--json benchmarks/results/mutants.json]

Hours for all of them. An outcome is kept in runs/mutants and not tried again while module and tests stay as they are, so a run
that was stopped goes on, and one after a change does only what changed. README.md says what counts.
"""

import argparse
import hashlib
import json
import math
import random
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations import Mutant, Mutation, mutate, mutations
from touch import Touch, record, tests_for
from warm import run_tests, warm_up

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
FOLDERS = ("evaluation", "validation", "tuning", "conversion", "quantize", "package", "mil")


@dataclass(frozen=True)
class Outcome:
    """A mutant and what its tests said: ``killed``, ``survived``, ``timeout``, ``untested`` or ``equivalent``."""

    mutant: Mutant
    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class Round:
    """Tests that are tried on a mutant, and the seconds that they may take together."""

    touches: Sequence[Touch]
    seconds: float


def main() -> None:
    """Run, print a table, write the results."""
    options = _options()
    modules = [module for module in all_modules() if not options.only or any(module.startswith(part) for part in options.only)]
    warm_up()
    possible = {module: mutations(ROOT, module) for module in modules}
    chosen = sample(possible, options.sample, options.seed)
    outcomes: list[Outcome] = []
    try:
        for module in modules:
            for outcome in judge([mutation for mutation in chosen if mutation.module == module], _rounds(module, options), options):
                outcomes.append(outcome)
    except KeyboardInterrupt:
        print("stopped: what was judged so far; start again to go on", flush=True)
    result = summary(outcomes, options, sum(map(len, possible.values())))
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _rounds(module: str, options: argparse.Namespace) -> list[Round]:
    """The tests that bear a module's name, then, for what survives them, all of the folder."""
    beside = tests_beside(module)
    touches = {file: record(ROOT, options.state / "touch", [file], options.record_seconds) for file in tests_of_folder(module)}
    return [
        Round([touch for file in beside for touch in touches[file]], options.test_seconds),
        Round([touch for inner in touches.values() for touch in inner], options.second_seconds),
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="so many mutants, spread over the modules as they have mutants; all without it")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; a larger sample of a seed holds the smaller one")
    parser.add_argument("--only", nargs="*", default=[], help="modules whose path begins like this")
    parser.add_argument("--test-seconds", type=float, default=10, help="of tests a mutant, as recorded")
    parser.add_argument("--second-seconds", type=float, default=40, help="the same for a mutant that survived, whose whole folder is tried")
    parser.add_argument("--record-seconds", type=float, default=60, help="of processor time a test file while recording")
    parser.add_argument("--state", type=Path, default=ROOT / "runs" / "mutants", help="folder of records and outcomes")
    parser.add_argument("--json", type=Path, help="file of the results")
    return parser.parse_args()


def all_modules() -> list[str]:
    """Paths of the modules below the root."""
    inner = [path for folder in FOLDERS for path in sorted((ROOT / "fcrn_mobile" / folder).rglob("*.py"))]
    return [str(path.relative_to(ROOT)) for path in inner]


def tests_beside(module: str) -> list[str]:
    """The test files that mirror a module, ``test_NAME*.py`` in its folder of the tests; all of that folder's if none bears its name."""
    name = f"test_{Path(module).stem}"
    files = tests_of_folder(module)
    return [file for file in files if Path(file).stem == name or Path(file).stem.startswith(f"{name}_")] or files


def tests_of_folder(module: str) -> list[str]:
    """The test files of the folder that mirrors a module's."""
    folder = ROOT / "tests" / Path(module).relative_to("fcrn_mobile").parent
    return [str(file.relative_to(ROOT)) for file in sorted(folder.glob("test_*.py"))]


def sample(possible: Mapping[str, Sequence[Mutation]], size: int | None, seed: int) -> list[Mutation]:
    """Of each module its share of a number of mutations, all without one; shuffled, so that a smaller sample is part of a larger."""
    share = min(1.0, size / sum(map(len, possible.values()))) if size else 1.0
    chosen: list[Mutation] = []
    for module, items in possible.items():
        shuffled = random.Random(f"{seed} {module}").sample(items, len(items))
        chosen += shuffled[: math.ceil(share * len(items))]
    return chosen


def judge(chosen: Sequence[Mutation], rounds: Sequence[Round], options: argparse.Namespace) -> Iterator[Outcome]:
    """Run the tests of each mutant, round by round until one fails, unless its outcome is known."""
    known_file = options.state / "outcomes.jsonl"
    known = dict(json.loads(line) for line in known_file.read_text().splitlines()) if known_file.exists() else {}
    equivalent = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["equivalent"]
    seen: set[str] = set()
    with known_file.open("a", encoding="utf-8") as log:
        for number, mutation in enumerate(chosen, 1):
            mutant = mutate(ROOT, mutation)
            if mutant is None or mutant.key in seen:
                continue
            seen.add(mutant.key)
            reason = reason_of(mutant, equivalent)
            if reason:
                yield Outcome(mutant, "equivalent", reason)
                continue
            tried = _tests(mutation, rounds)
            tests = [test for names in tried for test in names]
            verdict = known.get(_key(mutant, tests)) or known.get(mutant.key)
            if verdict is None:
                verdict = _verdict(mutant, tried, [each.seconds for each in rounds])
                # A mutant once killed stays so; a survivor is tried again when there are other tests.
                key = mutant.key if verdict in ("killed", "timeout") else _key(mutant, tests)
                log.write(json.dumps([key, verdict]) + "\n")
                log.flush()
                if verdict not in ("killed",):
                    print(
                        f"[{number}/{len(chosen)}] {verdict}: {mutation.module}:{mutation.line} {mutant.before!r} -> {mutant.after!r}",
                        flush=True,
                    )
            yield Outcome(mutant, verdict)


def _tests(mutation: Mutation, rounds: Sequence[Round]) -> list[list[str]]:
    """The tests of each round that none before it has."""
    tried: list[list[str]] = []
    for each in rounds:
        before = {test for names in tried for test in names}
        tests = tests_for(each.touches, mutation.module, mutation.function, each.seconds)
        tried.append([test for test in tests if test not in before])
    return tried


def _verdict(mutant: Mutant, tried: Sequence[Sequence[str]], seconds: Sequence[float]) -> str:
    verdict = "untested"
    for tests, limit in zip(tried, seconds, strict=True):
        if tests and verdict in ("untested", "survived"):
            # Four times the tests' own time and the imports: a mutant that loops takes longer.
            outcome = run_tests(ROOT, tests, 4 * limit + 20, (mutant.mutation.module, mutant.text))
            verdict = {"passed": "survived", "failed": "killed", "timeout": "timeout", "no tests": verdict}[outcome]
    return verdict


def _key(mutant: Mutant, tests: Sequence[str]) -> str:
    files = sorted({test.partition("::")[0] for test in tests})
    texts = b"".join((ROOT / file).read_bytes() for file in files) + "\n".join(tests).encode()
    return f"{mutant.key} {hashlib.sha1(texts).hexdigest()[:12]}"


def reason_of(mutant: Mutant, equivalent: Sequence[dict[str, Any]]) -> str:
    """Why a mutant equals the original, as equivalent.toml says; empty if it doesn't."""
    for entry in equivalent:
        if entry["module"] == mutant.mutation.module and entry["before"] == mutant.before and mutant.after in entry["after"]:
            return str(entry["reason"])
    return ""


def summary(outcomes: Sequence[Outcome], options: argparse.Namespace, total: int) -> dict[str, Any]:
    """The results as they are written."""
    modules: dict[str, dict[str, Any]] = {}
    groups = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.mutant.mutation.module].append(outcome)
    for module, group in sorted(groups.items()):
        modules[module] = _counts(group)
    return {
        "tool": "cosmic-ray operators, benchmarks/mutants",
        "possible": total,
        "sample": options.sample,
        "seed": options.seed,
        "all": _counts(outcomes),
        "modules": modules,
        "survivors": [_row(outcome) for outcome in outcomes if outcome.verdict in ("survived", "untested")],
        "equivalent": [{**_row(outcome), "reason": outcome.reason} for outcome in outcomes if outcome.verdict == "equivalent"],
    }


def _counts(group: Sequence[Outcome]) -> dict[str, Any]:
    counts = {verdict: sum(o.verdict == verdict for o in group) for verdict in ("killed", "timeout", "survived", "untested", "equivalent")}
    judged = len(group) - counts["equivalent"]
    return {"mutants": len(group), **counts, "share": round((counts["killed"] + counts["timeout"]) / judged, 4) if judged else None}


def _row(outcome: Outcome) -> dict[str, Any]:
    mutation = outcome.mutant.mutation
    return {
        "where": f"{mutation.module}:{mutation.line}",
        "function": mutation.function,
        "before": outcome.mutant.before,
        "after": outcome.mutant.after,
    }


def table(result: dict[str, Any]) -> str:
    """For people: a line a module, the sum below."""
    heading = ("mutants", "killed", "timeout", "survived", "untested", "equivalent", "share")
    rows = [f"{'module':48}" + "".join(f"{name:>11}" for name in heading)]
    for name, counts in [*result["modules"].items(), ("all", result["all"])]:
        share = "" if counts["share"] is None else f"{counts['share']:.1%}"
        rows.append(f"{name.removeprefix('fcrn_mobile/'):48}" + "".join(f"{counts[key]:>11}" for key in heading[:-1]) + f"{share:>11}")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
