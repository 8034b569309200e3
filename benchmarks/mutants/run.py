"""How many small faults the tests beside the code notice: mutants of the folders that decide, see FOLDERS.

    python benchmarks/mutants/run.py [--sample N --seed S] [--only PATH ...] [--json benchmarks/results/mutants.json]

Hours for all of them. An outcome is kept in runs/mutants and not tried again while module and tests stay as they are, so a run
that was stopped goes on, and one after a change does only what changed. README.md says what counts.
"""

import argparse
import hashlib
import json
import math
import os
import random
import string
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from mutations import Mutant, Mutation, mutate, mutations
from touch import Kills, Touch, order, record_file, touches_of
from tries import Anew, Collected, Tries
from warm import fork, in_pytest, warm_up

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
FOLDERS = ("evaluation", "validation", "tuning", "conversion", "quantize", "package", "mil")


@dataclass(frozen=True)
class Outcome:
    """A mutant and what its tests said: ``killed``, ``survived``, ``timeout``, ``untested`` or ``equivalent``."""

    mutant: Mutant
    verdict: str
    reason: str = ""


class Outcomes:
    """What is known of mutants, in a file that grows."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
        self._known = {row[0]: row[1:] for row in rows}
        self.kills = Kills()
        for row in rows:
            if row[1] == "killed" and len(row) == 4 and row[2]:
                self.kills.note(row[3].partition(":")[0], [row[2]], row[2])

    def of(self, mutant: Mutant, candidates: Sequence[Touch], seconds: float) -> str | None:
        """A mutant once killed stays so; a survivor is tried again when there are other tests or more time for them."""
        noticed = self._known.get(mutant.key)
        if noticed:
            return str(noticed[0])
        verdict, tried = [*self._known.get(_key(mutant, candidates), []), None, 0][:2]
        return verdict if tried >= seconds else None

    def add(self, mutant: Mutant, candidates: Sequence[Touch], seconds: float, verdict: str, killer: str | None) -> None:
        """Keep an outcome: of a survivor with the seconds of tests that it survived, of others with the test that noticed."""
        noticed = verdict in ("killed", "timeout")
        row = [mutant.key, verdict, killer] if noticed else [_key(mutant, candidates), verdict, seconds]
        self._known[row[0]] = row[1:]
        with self._file.open("a", encoding="utf-8") as log:
            log.write(json.dumps([*row, f"{mutant.mutation.module}:{mutant.mutation.line}"]) + "\n")


def main() -> None:
    """Run, print a table, write the results."""
    options = _options()
    modules = [module for module in all_modules() if not options.only or any(module.startswith(part) for part in options.only)]
    warm_up()
    possible = {module: mutations(ROOT, module) for module in modules}
    chosen = distinct(sample(possible, options.sample, options.seed))
    try:
        for _, folder in groupby(chosen, lambda mutant: Path(mutant.mutation.module).parent):
            _judge_folder(list(folder), options)
    except KeyboardInterrupt:
        print("stopped: what was judged so far; start again to go on", flush=True)
    result = summary(list(known(chosen, options)), options, sum(map(len, possible.values())))
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _judge_folder(chosen: Sequence[Mutant], options: argparse.Namespace) -> None:
    """Most mutants in forks of a process that has collected the folder's tests; those of what runs at import after them."""
    files = tests_of_folder(chosen[0].mutation.module)

    def work(collected: Collected) -> None:
        judge(chosen, collected, options, collected.changes)

    fork(lambda: in_pytest(ROOT, files, Collected(ROOT, options.state, files, options.record_seconds, work)), math.inf)
    anew = Anew(ROOT, options.state)
    judge(chosen, anew, options, lambda _: True)
    anew.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="so many mutants, spread over the modules as they have mutants; all without it")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; a larger sample of a seed holds the smaller one")
    parser.add_argument("--only", nargs="*", default=[], help="modules whose path begins like this")
    parser.add_argument("--test-seconds", type=float, default=20, help="of tests a mutant, as recorded")
    parser.add_argument("--record-seconds", type=float, default=30, help="of processor time: slower tests are not tried on mutants")
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
    """The test files of the folder that mirrors a module's, or of the next one above it if there is none."""
    folder = ROOT / "tests" / Path(module).relative_to("fcrn_mobile").parent
    folder = next(each for each in (folder, *folder.parents) if each.is_dir())
    return [str(file.relative_to(ROOT)) for file in sorted(folder.glob("test_*.py"))]


def sample(possible: Mapping[str, Sequence[Mutation]], size: int | None, seed: int) -> list[Mutation]:
    """Of each module its share of a number of mutations, all without one.

    A smaller sample is part of a larger one, and so is the beginning of a folder's: a run that is stopped has judged a sample of it.
    """
    share = min(1.0, size / sum(map(len, possible.values()))) if size else 1.0
    ranks = []
    for module, items in possible.items():
        shuffled = random.Random(f"{seed} {module}").sample(items, len(items))
        ranks += [
            (str(Path(module).parent), rank / len(items), item) for rank, item in enumerate(shuffled[: math.ceil(share * len(items))])
        ]
    return [item for _, _, item in sorted(ranks, key=lambda row: row[:2])]


def judge(chosen: Sequence[Mutant], tries: Tries, options: argparse.Namespace, takes: Callable[[Mutant], bool]) -> None:
    """Run the tests of each mutant whose outcome is not known, until one fails; keep the outcomes."""
    outcomes = Outcomes(options.state / "outcomes.jsonl")
    equivalent = _equivalent()
    touches = [touch for file in tests_of_folder(chosen[0].mutation.module) for touch in touches_of(record_file(ROOT, options.state, file))]
    for number, mutant in enumerate(chosen, 1):
        mutation = mutant.mutation
        candidates, beside = tests_for(mutation, touches), tests_beside(mutation.module)
        if reason_of(mutant, equivalent) or outcomes.of(mutant, candidates, options.test_seconds) or not takes(mutant):
            continue
        tests, complete = order(candidates, mutation.module, beside, outcomes.kills, options.test_seconds)
        began = time.process_time(), os.times().children_user
        verdict, killer = tries.verdict(tests, mutant)
        outcomes.kills.note(mutation.module, [touch.test for touch in tests], killer)
        outcomes.add(mutant, candidates, math.inf if complete else options.test_seconds, verdict, killer)
        spent = time.process_time() - began[0] + os.times().children_user - began[1]
        what = f"{mutation.module}:{mutation.line} {mutant.before!r} -> {mutant.after!r}" if verdict != "killed" else mutation.module
        print(f"[{number}/{len(chosen)}] {spent:.1f} s {verdict}: {what}", flush=True)


def known(chosen: Sequence[Mutant], options: argparse.Namespace) -> Iterator[Outcome]:
    """The outcomes of mutants as far as there are any, those that are named as equivalent included."""
    outcomes, equivalent = Outcomes(options.state / "outcomes.jsonl"), _equivalent()
    for module, inner in groupby(sorted(chosen, key=_module), _module):
        touches = [touch for file in tests_of_folder(module) for touch in touches_of(record_file(ROOT, options.state, file))]
        for mutant in inner:
            reason = reason_of(mutant, equivalent)
            verdict = "equivalent" if reason else outcomes.of(mutant, tests_for(mutant.mutation, touches), 0)
            if verdict:
                yield Outcome(mutant, verdict, reason)


def _module(mutant: Mutant) -> str:
    return mutant.mutation.module


def tests_for(mutation: Mutation, touches: Sequence[Touch]) -> list[Touch]:
    """The tests that run a mutant's lines; of what runs at import also all that bear the module's name or run any of its lines."""
    lines = set(range(mutation.first, mutation.last + 1))
    if mutation.function.rpartition(".")[2].lstrip("_")[:1] in ("", *string.ascii_uppercase):
        beside = tests_beside(mutation.module)
        return [touch for touch in touches if mutation.module in touch.lines or touch.file in beside]
    return [touch for touch in touches if lines & touch.lines.get(mutation.module, frozenset())]


def distinct(chosen: Sequence[Mutation]) -> list[Mutant]:
    """Those that can be carried out, one of each kind."""
    mutants = (mutate(ROOT, mutation) for mutation in chosen)
    return list({mutant.key: mutant for mutant in mutants if mutant is not None}.values())


def _key(mutant: Mutant, candidates: Sequence[Touch]) -> str:
    texts = b"".join((ROOT / file).read_bytes() for file in sorted({touch.file for touch in candidates}))
    return f"{mutant.key} {hashlib.sha1(texts).hexdigest()[:12]}"


def _equivalent() -> list[dict[str, Any]]:
    return list(tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["equivalent"])


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
