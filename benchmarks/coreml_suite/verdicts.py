"""What the journal of a test says about this runtime."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: Verdict → what it means, in the order of tables. Those in DECIDED hang on the runtime.
MEANINGS = {
    "passed": "asked for predictions, and what it expects came",
    "operator": "an operator, layer or kind of model that the runtime lacks",
    "refused": "the runtime refused a model or an input for another reason",
    "value": "predictions came, and the test expects others",
    "conversion": "coremltools itself could not convert or change the model",
    "environment": "a package, a device or time was missing",
    "independent": "passed without a prediction",
    "skipped": "left out, or expected to fail, by coremltools",
}
DECIDED = ("passed", "operator", "refused", "value")
EXPLAINED = Path(__file__).with_name("explained.toml")

_LACKING = ("not known to this runtime", "does not run here")
_MISSING = ("ImportError", "ModuleNotFoundError", "TimeLimit", "FileNotFoundError", "ConnectionError", "URLError", "OSError")
_DEVICE = "facts of a Mac"
#: Where a test keeps its model is different in each run.
_PATH = re.compile(r"'/[^']*'")


def verdict(line: Mapping[str, Any]) -> str:
    """One of ``MEANINGS`` for a line of the journal, by what the test asked and how it ended."""
    asked = bool(line["predictions"] or line["refusals"])
    if line["outcome"] == "passed":
        return "passed" if asked else "independent"
    if line["outcome"] == "skipped":
        return "skipped"
    if line.get("error") in _MISSING or _DEVICE in line["reason"] or line.get("ended"):
        return "environment"
    refusal = refusal_of(line)
    if refusal:
        return "operator" if any(words in refusal for words in _LACKING) else "refused"
    if "/converters/" in line.get("place", "") or "/optimize/" in line.get("place", ""):
        return "conversion"
    return "value" if line["predictions"] else "environment"


def refusal_of(line: Mapping[str, Any]) -> str:
    """What the runtime said when a test failed on that; empty if it failed on something else."""
    if line.get("refused"):
        return str((line["refusals"] or [line["reason"]])[-1])
    return str(line["refusals"][-1]) if line["refusals"] and not line["predictions"] else ""


def explanation(test: str, entries: Iterable[Mapping[str, Any]]) -> str:
    """Why a test fails although the runtime follows Apple's documentation, as explained.toml says; empty if it says nothing."""
    return next((str(entry["reason"]) for entry in entries if test.partition("#")[0] in entry["tests"]), "")


def summary(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, the share of the tests that hang on the runtime, and every failure with its reason."""
    entries = tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get("explained", [])
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[verdict(line)].append(line)
    every = [line for group in groups.values() for line in group]
    counts = {name: len(groups[name]) for name in MEANINGS}
    decided = sum(counts[name] for name in DECIDED)
    failures = [_row(name, line, entries) for name in DECIDED[1:] for line in sorted(groups[name], key=lambda line: str(line["test"]))]
    apart = [
        _row(name, line, ()) for name in ("conversion", "environment") for line in sorted(groups[name], key=lambda line: str(line["test"]))
    ]
    return {
        "tests": len(every),
        "functions": len({str(line["test"]).partition("#")[0] for line in every}),
        "models": sum(line["models"] for line in every),
        "predictions": sum(line["predictions"] for line in every),
        "verdicts": counts,
        "decided": decided,
        "share": round(counts["passed"] / decided, 4) if decided else None,
        "explained": sum(bool(row["explanation"]) for row in failures),
        "failures": failures,
        "apart": apart,
    }


def _row(name: str, line: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    reason = refusal_of(line) or ": ".join(filter(None, (line.get("error", ""), line["reason"])))
    return {
        "test": line["test"],
        "id": line["id"],
        "verdict": name,
        "reason": _PATH.sub("the model", reason),
        "explanation": explanation(line["test"], entries),
    }


def table(result: Mapping[str, Any]) -> str:
    """For people: a line a verdict, the share, and the reasons of failures with their numbers."""
    rows = [f"{result['tests']} tests of {result['functions']} functions, {result['predictions']} predictions of {result['models']} models"]
    rows += [f"{name:12} {count:6}  {MEANINGS[name]}" for name, count in result["verdicts"].items()]
    if result["decided"]:
        rows.append(f"{result['share']:.2%} of the {result['decided']} tests that hang on the runtime pass")
    causes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in result["failures"]:
        causes[row["verdict"], row["explanation"] or row["reason"]].append(row["test"])
    for (name, reason), tests in sorted(causes.items(), key=lambda item: -len(item[1])):
        rows += [f"{len(tests):5} {name}: {reason}", f"      {tests[0]}"]
    return "\n".join(rows)
