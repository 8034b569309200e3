"""From a float network or package to the cheapest package that holds a budget: make each candidate, measure, choose, assemble, verify."""

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import fcrn_mobile
from fcrn_mobile.conversion.export import artefact_size
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import FIDELITY, Limit, check_half, check_without_truth
from fcrn_mobile.evaluation.meaning import depth_of, settled
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.network.forms import parse_network
from fcrn_mobile.progress import Progress
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.tuning.bound import aim
from fcrn_mobile.tuning.candidates import FLOAT, Candidate, assembled, candidates_for, searchable
from fcrn_mobile.tuning.frames import Frames, choose_frames
from fcrn_mobile.tuning.measured import ALL, NONE, Sensitivities, measure, open_sensitivities
from fcrn_mobile.tuning.objective import OBJECTIVES, estimated_latency, mean_bits, options, worth_measuring
from fcrn_mobile.tuning.origin import Origin, open_origin
from fcrn_mobile.tuning.publish import WORK, outputs
from fcrn_mobile.tuning.result import Attempt, Point, Tuning, counts
from fcrn_mobile.tuning.search import Search
from fcrn_mobile.tuning.variants import Variants, make_variants
from fcrn_mobile.validation.drift import validate

__all__ = ["ATTEMPTS", "MARGIN", "Request", "base_recipe", "tune"]

#: Packages that are exported and verified at most.
ATTEMPTS = 5
#: Share of what the budget's confidence bound leaves that the search aims at: the images searched on are few themselves.
MARGIN = 0.97
#: Fidelity to begin with where the budget bounds other metrics only.
_BEGIN = 0.05
_POINTS = 24
#: Relative spread of drift over images that is taken where a single image was searched on; the built-in network on eight real frames had
#: 0.15 to 0.51, by scheme.
_SPREAD = 0.3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        model: ``builtin``, a .safetensors or a float .mlpackage path.
        data: a data spec, see ``frames.choose_frames``.
        limits: the budget.
        rule: the metrics' protocol; None for pictures without depth.
        objective: one of ``OBJECTIVES``.
        search_images, verify_images: at most.
        seed: chooses frames.
        base: recipe that all else is as in, its precision ``fp16``.
        candidates: schemes to choose from; empty for those that the base's target runs.
        model_config: TOML of a package's contract, where it does not say itself what it takes.
    """

    model: str
    data: str
    limits: tuple[Limit, ...]
    rule: EvaluationProtocol | None
    base: Recipe
    objective: str = "size"
    search_images: int = 8
    verify_images: int = 32
    seed: int = 0
    candidates: tuple[Candidate, ...] = ()
    model_config: Path | None = None


def tune(request: Request, out: Path, force: bool, progress: Progress) -> Tuning:
    """Search; what is found stands in the folder's ``WORK`` until it is published.

    Args:
        request: what is asked.
        out: the folder; what an earlier run on the same inputs measured there is used again.
        force: whether results of an earlier run may be overwritten.
        progress: of each stage.

    Raises:
        InputError: bad request; the folder holds results, or measurements of other inputs.
    """
    _check(request, out, force)
    origin = open_origin(request.model, request.model_config)
    if request.rule:
        request = replace(request, rule=settled(request.rule, depth_of(origin), request.model))
    candidates = request.candidates or candidates_for(request.base.target)
    frames = choose_frames(request.data, request.search_images, request.verify_images, request.seed)
    for note in frames.notes:
        _log.warning(note)
    sensitivities = open_sensitivities(out, _inputs(origin, request.base, candidates, frames))
    work = out / WORK
    work.mkdir(parents=True, exist_ok=True)
    sensitivities.save()
    with progress("export candidates") as on_package:
        variants = make_variants(origin, request.base, candidates, work, on_package)
    with progress("measure sensitivities") as on_step:
        measure(variants, frames, worth_measuring(variants, candidates), sensitivities, on_step)
    search = Search(
        variants, options(variants, candidates, sensitivities, request.objective), frames.images, sensitivities.square(NONE, NONE)
    )
    share = MARGIN * aim(_spread(sensitivities), len(frames.unseen))
    attempts = _attempts(request, origin, candidates, search, frames, work, progress, share)
    return _result(request, candidates, variants, frames, sensitivities, search, attempts)


def _check(request: Request, out: Path, force: bool) -> None:
    searchable(request.base)
    if request.objective not in OBJECTIVES:
        raise InputError(f"objective is '{request.objective}': use one of {', '.join(OBJECTIVES)}")
    if not request.limits:
        raise InputError("no budget: give --budget METRIC=AMOUNT, such as fidelity=0.02")
    for limit in request.limits:
        check_half(limit)
    check_without_truth([] if request.rule else request.limits, request.data)
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"'{there}' is a file: choose another --out")
    if not os.access(there, os.W_OK):
        raise InputError(f"folder '{there}' cannot be written to: choose another --out")
    existing = [path for path in outputs(out, request.base.name) if path.exists()]
    if existing and not force:
        raise InputError(f"'{existing[0]}' exists: choose another --out or overwrite it with --force")


def _inputs(origin: Origin, base: Recipe, candidates: Sequence[Candidate], frames: Frames) -> dict[str, Any]:
    """All that sensitivities depend on."""
    recipe = {key: value for key, value in base.to_json().items() if key not in ("name", "budget", "compute_units")}
    return origin.apart | {
        "checkpoint": origin.sha256,
        "recipe": {key: list(value) if isinstance(value, tuple) else value for key, value in recipe.items()},
        "images": list(frames.hashes),
        "candidates": [asdict(candidate) for candidate in candidates],
        "version": fcrn_mobile.__version__,
    }


def _attempts(
    request: Request,
    origin: Origin,
    candidates: Sequence[Candidate],
    search: Search,
    frames: Frames,
    work: Path,
    progress: Progress,
    share: float,
) -> list[Attempt]:
    """Exported and verified choices; each has a tighter target than the one before, the last holds the budget if any does."""
    bounds = [limit.amount for limit in request.limits if limit.metric == FIDELITY]
    target = share * min(bounds) if bounds else _BEGIN
    budget = {limit.metric: limit.text.partition("=")[2].strip() for limit in request.limits}
    attempts: list[Attempt] = []
    while len(attempts) < ATTEMPTS:
        with progress(f"choose for {target:.4f}") as on_try:
            fit = search.fit(target, on_try)
        if attempts and fit.choice == attempts[-1].fit.choice:
            target *= 0.9
            if fit.exhausted:
                break
            continue
        recipe = replace(assembled(request.base, candidates, fit.choice), budget=budget)
        package = work / f"{recipe.name}.{len(attempts)}.mlpackage"
        origin.write(recipe, package, force=True)
        with progress("verify on unseen frames") as on_frame:
            candidate = open_runtime(str(package), "mil", "float16")
            validation = validate(origin.runtime(), [candidate], frames.unseen, request.rule, request.limits, request.data, on_frame)
        (drift,) = validation.candidates
        attempts.append(Attempt(target, fit, recipe, drift))
        if attempts[-1].held or fit.exhausted:
            break
        target = min(target, fit.measured) * _tightened(attempts[-1])
    return attempts


def _spread(sensitivities: Sensitivities) -> float:
    """Standard deviation over images of a uniform scheme's drift, relative to its mean, of the scheme in the middle."""
    rows = [drifts[ALL] for name, drifts in sensitivities.drifts.items() if name != NONE]
    spreads = [float(np.std(row, ddof=1) / np.mean(row)) for row in rows if len(row) > 1 and np.isfinite(row).all() and np.mean(row) > 0]
    return float(np.median(spreads)) if spreads else _SPREAD


def _tightened(attempt: Attempt) -> float:
    """Share of the target that should hold the budget next time."""
    excess = _excess(attempt)
    return float(np.clip(MARGIN / excess, 0.5, 0.95)) if excess > 0 else 0.5


def _result(
    request: Request,
    candidates: Sequence[Candidate],
    variants: Variants,
    frames: Frames,
    sensitivities: Sensitivities,
    search: Search,
    attempts: Sequence[Attempt],
) -> Tuning:
    holders = [attempt for attempt in attempts if attempt.held]
    best = holders[-1] if holders else min(attempts, key=_excess)
    choice = best.fit.choice
    return Tuning(
        attempts=tuple(attempts),
        chosen=best,
        package=Path(best.drift.path) if holders else None,
        points=tuple(_points(variants, sensitivities, search, best)),
        objective=request.objective,
        cost=best.fit.cost,
        mean_bits=mean_bits(variants, candidates, choice),
        latency_ms=estimated_latency(variants, choice),
        float_bytes=artefact_size(variants.half_package.with_name("fp32.mlpackage")),
        factor=search.factor,
        base=sensitivities.square(NONE, NONE),
        data=request.data,
        seed=request.seed,
        searched=frames.names,
        verified=len(frames.unseen),
        notes=frames.notes,
        rule=request.rule,
    )


def _excess(attempt: Attempt) -> float:
    """How many times the limit the worst bound is; infinite where one is not finite."""
    ratios = [promise.worst / promise.check.limit.amount for promise in attempt.promises]
    return max((ratio if math.isfinite(ratio) else math.inf for ratio in ratios), default=math.inf)


def _points(variants: Variants, sensitivities: Sensitivities, search: Search, best: Attempt) -> list[Point]:
    half = artefact_size(variants.half_package)

    def size(choice: dict[str, str]) -> int:
        saved = (variants.stored[FLOAT][w].stored_bytes - variants.stored[name][w].stored_bytes for w, name in choice.items())
        return half - sum(saved)

    low, high = search.span()
    ends = max(low, 1e-6), max(high, 2e-6)
    targets = [1.0001 * target for target in np.geomspace(*ends, _POINTS).tolist()]
    points = [Point("front", "", size(c), drift, False, False, "search", counts(c)) for c, drift in search.front(targets)]
    points.append(
        Point(
            "float",
            FLOAT,
            half,
            math.sqrt(sensitivities.square(NONE, NONE)),
            True,
            True,
            "search",
            counts(dict.fromkeys(variants.readers, FLOAT)),
        )
    )
    for name in variants.stored:
        if name != FLOAT:
            choice = variants.uniform(name)
            drift = float(np.mean(sensitivities.drifts[name][ALL]))
            points.append(Point("uniform", name, size(choice), drift, False, True, "search", counts(choice)))
    verified = best.drift
    points.append(Point("chosen", "", verified.size_bytes, verified.fidelity.abs_rel, True, True, "verification", counts(best.fit.choice)))
    return points


def base_recipe(model: str, path: Path | None) -> Recipe:
    """The recipe to start from: a file's, else one for iOS 18, which runs every candidate, named after the model."""
    if path:
        return read_recipe(path)
    name = Path(parse_network(model).model.rpartition(":")[2]).stem  # of package.module:factory, the factory
    return Recipe(name=f"{name}-tuned", target="iOS18")
