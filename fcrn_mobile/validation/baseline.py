"""The last run's JSON, held beside this run: what changed, where both measured the same thing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcrn_mobile.data.phone import PhoneView
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import FIDELITY
from fcrn_mobile.evaluation.formulas import shown
from fcrn_mobile.evaluation.meaning import depth_of, settled
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.json_text import plain
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.runtimes import Runtime
from fcrn_mobile.runtimes.runtime import engine_of
from fcrn_mobile.validation.result import Validation

__all__ = ["Baseline", "Change", "read_baseline"]


#: What a term is called that says how a run ran.
_SIZE, _ENGINE, _ALIGNED = "size of the reference's pictures", "engine of '{}'", "--align-fidelity"


@dataclass(frozen=True)
class Change:
    """One figure of one candidate, then and now."""

    model: str
    figure: str
    before: float
    now: float

    @property
    def is_seen(self) -> bool:
        """Whether it shows in the digits that reports have."""
        return f"{self.before:.4f}" != f"{self.now:.4f}"


@dataclass(frozen=True)
class Baseline:
    """What ``validate --json`` or ``check --json`` wrote.

    Attributes:
        path: of the file.
        runs: validations as JSON, by their reference's name.
    """

    path: Path
    runs: Mapping[str, dict[str, Any]]

    def require_same(
        self,
        reference: Runtime,
        candidates: Sequence[Runtime],
        data: str,
        rule: EvaluationProtocol | None,
        images: Sequence[str],
        view: PhoneView | None = None,
        align_fidelity: bool = False,
    ) -> None:
        """Pass if the run of a reference measured what is to be measured now; before any of that is done.

        Args:
            reference: whose depth says how it is aligned, where the rule leaves that open.
            candidates: what is held against it.
            data: the source's spec.
            rule: the protocol; None for pictures without depth.
            images: names of the frames.
            view: how they are framed; None for as they are.
            align_fidelity: as of ``drift.validate``.

        Raises:
            InputError: there is no such run, or its data, frames, protocol, range, alignments, framing or size of pictures are others,
                or a candidate of the same name ran on another engine or under another arithmetic. What the JSON of an earlier version
                does not say is not compared.
        """
        name = reference.name
        if name not in self.runs:
            raise InputError(f"'{self.path}' has no run against '{name}' but against {', '.join(self.runs)}: give that one's JSON")
        run = self.runs[name]
        own = settled(rule, depth_of(reference), name).to_json() if rule else {}
        terms = {"data": data, **_terms(own), "framing": _framing({} if view is None else view.to_json()), "frames": list(images)}
        former = {"data": run["data"], **_terms(run.get("rule") or {}), "framing": _framing(run.get("framing", {})), "frames": _frames(run)}
        terms[_ALIGNED], former[_ALIGNED] = ("on" if is_on else "off" for is_on in (align_fidelity, "fidelity_alignment" in run))
        how, formerly = _how(reference, candidates), _how_formerly(run)
        for what in how.keys() & formerly.keys():
            terms[what], former[what] = how[what], formerly[what]
        for what in terms | former:
            before, now = (each.get(what, "none") for each in (former, terms))
            if before != now:
                change = f"are others ({len(before)} then, {len(now)} now)" if what == "frames" else f"was {before} and is {now} now"
                remedy = "measure both alike, or leave --baseline out"
                raise InputError(f"'{self.path}' does not compare with this run, {what} {change}: {remedy}")

    def changes(self, validation: Validation) -> tuple[Change, ...]:
        """The figures of every candidate that both runs have, in the order of this one."""
        former = {candidate["name"]: candidate for candidate in self.runs.get(validation.reference_name, {}).get("candidates", [])}
        changes: list[Change] = []
        for candidate in validation.candidates:
            if before := former.get(candidate.name):
                metrics = [key for key in shown() if candidate.metrics]
                values = {FIDELITY: (before["fidelity"]["abs_rel"], candidate.fidelity.abs_rel)}
                values |= {key: (before["metrics"].get(key), candidate.metrics[key]) for key in metrics}
                values["MB"] = before["size_bytes"] / 1e6, candidate.size_bytes / 1e6
                # JSON has null for what was not finite.
                changes += [Change(candidate.name, key, float("nan") if then is None else then, now) for key, (then, now) in values.items()]
        return tuple(changes)


def read_baseline(path: Path) -> Baseline:
    """Read the JSON of a ``validate`` or a ``check``.

    Raises:
        InputError: unreadable, or JSON of something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        runs = {run["reference"]["name"]: run for run in content.get("validations", [content])}
        for run in runs.values():
            _check(run)
        return Baseline(path, runs)
    except OSError as error:
        raise InputError(f"cannot read baseline '{path}' ({error.strerror}): give what validate --json or check --json wrote") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"'{path}' is no baseline: give what validate --json or check --json wrote") from error


def _terms(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol as JSON, under the words that people know its parts by."""
    return {"protocol" if key == "name" else key: value for key, value in plain(dict(rule)).items()}


def _framing(view: Mapping[str, Any]) -> str:
    return f"{view['view']} by {view['framing']}" if view else "none"


def _how(reference: Runtime, candidates: Sequence[Runtime]) -> dict[str, str]:
    """The size of the reference's pictures, and what runs each candidate."""
    return {_SIZE: by(reference.input_size)} | {_ENGINE.format(candidate.name): engine_of(candidate) for candidate in candidates}


def _how_formerly(run: Mapping[str, Any]) -> dict[str, str]:
    """The same of a former run, as far as its version of this tool wrote it down."""
    size = run["reference"].get("input_size")
    engines = {_ENGINE.format(candidate["name"]): str(candidate.get("engine", "")) for candidate in run["candidates"]}
    return ({_SIZE: by(size)} if size else {}) | {what: engine for what, engine in engines.items() if engine}


def _frames(run: Mapping[str, Any]) -> list[str]:
    return [image["name"] for image in run["candidates"][0]["per_image"]]


def _check(run: Mapping[str, Any]) -> None:
    """Look at all that ``Baseline`` reads.

    Raises:
        LookupError, TypeError, AttributeError, ValueError: something is not there, or of another kind.
    """
    _ = run["data"], dict(run.get("rule") or {}), _framing(run.get("framing", {})), _frames(run), _how_formerly(run)
    for candidate in run["candidates"]:
        _ = candidate["name"], candidate["metrics"].get, candidate["size_bytes"] + 0, candidate["fidelity"]["abs_rel"]
