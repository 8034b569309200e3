"""The verdict of a validation in sentences: held or broken, which budget, by how much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fcrn_mobile.evaluation.budget import BOUNDARY, FIDELITY, Check
from fcrn_mobile.latency.latency import Latency
from fcrn_mobile.validation.result import Drift, Validation

__all__ = ["WORDS", "Sentence", "amount", "headline", "judged", "not_finite", "of_all", "sentence", "sentences", "shortest", "state"]

#: Verdict → how it is written out.
WORDS = {"held": "HELD", "broken": "BROKEN", "no budget": "NO BUDGET"}


@dataclass(frozen=True)
class Sentence:
    """What is said of one candidate: its name, its verdict as a word, and why."""

    name: str
    word: str
    reasons: tuple[str, ...]


def state(validation: Validation) -> str:
    """``broken`` if a candidate is, ``no budget`` if none has one, else ``held``."""
    verdicts = [candidate.verdict for candidate in validation.candidates]
    return next((verdict for verdict in ("broken", "held") if verdict in verdicts), "no budget")


def of_all(validations: Sequence[Validation]) -> tuple[str, str]:
    """State, see ``state``, and headline of a project: of the candidates of all its models together."""
    candidates = [candidate for validation in validations for candidate in validation.candidates]
    names = {verdict: [each.name for each in candidates if each.verdict == verdict] for verdict in WORDS}
    total = f"{len(candidates)} artefacts of {len(validations)} models"
    if broken := names["broken"]:
        return "broken", f"{_break(broken)} ({len(broken)} of {total})"
    if not names["held"]:
        return "no budget", f"No budget to hold {total} to: drift measured, not judged"
    if apart := len(names["no budget"]):
        return "held", f"{len(names['held'])} of {total} hold their budgets; {apart} without a budget"
    return "held", f"All {total} hold their budgets"


def headline(validation: Validation, names: Sequence[str]) -> str:
    """The verdict on all candidates, by the names they have on the page, in one line; that the reference fails is part of it."""
    judged = _judged_all(validation, names)
    if validation.standing is None or not validation.standing.fails:
        return judged
    return f"{validation.reference_name} fails on these images: no better than their median map; {judged}"


def _judged_all(validation: Validation, names: Sequence[str]) -> str:
    verdicts = [candidate.verdict for candidate in validation.candidates]
    broken = [name for name, verdict in zip(names, verdicts, strict=True) if verdict == "broken"]
    if broken:
        return _break(broken) + (f" ({len(broken)} of {len(names)} candidates)" if len(names) > 1 else "")
    if state(validation) == "no budget":
        return f"No budget to hold {_listed(names)} to: drift measured, not judged"
    holders = [name for name, verdict in zip(names, verdicts, strict=True) if verdict == "held"]
    apart = len(names) - len(holders)
    unjudged = f"; {apart} without a budget" if apart else ""
    return f"{_listed(holders)} {'holds its budget' if len(holders) == 1 else 'hold their budgets'}{unjudged}"


def sentences(validation: Validation, names: Sequence[str]) -> list[Sentence]:
    """One per candidate, the broken ones first."""
    pairs = sorted(zip(validation.candidates, names, strict=True), key=lambda pair: pair[0].verdict != "broken")
    return [sentence(candidate, name) for candidate, name in pairs]


def sentence(drift: Drift, name: str) -> Sentence:
    """Why a candidate has its verdict."""
    reasons = [judged(check) for check in drift.checks]
    if drift.not_finite:
        reasons.insert(0, not_finite(drift))
    if drift.overflow:
        reasons.append(f"first tensor to overflow: {drift.overflow}")
    if drift.verdict == "no budget":
        reasons.append(f"its output differs from the reference's by {amount(drift.fidelity.abs_rel)} on average (fidelity)")
    return Sentence(name, WORDS[drift.verdict], tuple(reasons))


def shortest(latencies: Sequence[Latency]) -> str:
    """The headline of a benchmark: the shortest median; which model is faster only a comparison in turns can say."""
    best = min(latencies, key=lambda latency: latency.median_ms)
    what = f"{best.median_ms:.1f} ms median, {best.fps:.1f} images per second"
    name = f"{best.model} ({best.backend})"
    return f"Shortest median of {len(latencies)}: {name}, {what}" if len(latencies) > 1 else f"{name}: {what}"


def amount(value: float, relative: bool = False) -> str:
    """A measured or allowed amount, with enough digits for a tight budget."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    scaled, unit = (100 * value, "%") if relative else (value, "")
    tight = 0 < abs(scaled) < (0.01 if relative else 0.001)
    return f"{scaled:.2g}{unit}" if tight else f"{scaled:.2f}%" if relative else f"{scaled:.4f}"


def not_finite(drift: Drift) -> str:
    """Which figures of a candidate are not finite, and on how many images."""
    images = sum(not math.isfinite(image.fidelity) for image in drift.per_image)
    where = f" on {images} of {len(drift.per_image)} images" if images else ""
    return f"its output is not finite{where}, so there is no value for {', '.join(drift.not_finite)}"


def judged(check: Check) -> str:
    """What a budget allows, what was measured, and whether that holds."""
    limit, value = check.limit, check.value
    measured = amount(value, limit.relative)
    if limit.metric == FIDELITY:
        measurement = f"the output differs from the reference's by {measured}"
    elif limit.metric == BOUNDARY:
        measurement = f"its edges differ from the reference's by {measured}"
    else:
        better = value < 0
        measurement = f"{limit.metric} got {amount(abs(value), limit.relative)} {'better' if better else 'worse'}"
    if check.held:
        share = f", {max(value, 0.0) / limit.amount:.0%} of what is allowed" if limit.amount else ""
        return f"budget {limit.text} held: {measurement}{share}"
    if not math.isfinite(value):
        return f"budget {limit.text} BROKEN: there is no finite value to hold to it"
    times = f", {value / limit.amount:.3g} times the limit" if limit.amount else ""
    return f"budget {limit.text} BROKEN: {measurement}, {amount(value - limit.amount, limit.relative)} too much{times}"


def _break(names: Sequence[str]) -> str:
    return f"{_listed(names)} {'breaks its budget' if len(names) == 1 else 'break their budgets'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
