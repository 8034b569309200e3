"""What a benchmark measures: every model on every backend asked for, checked before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.latency.turns import BLOCK, LEAST_PAIRS
from fcrn_mobile.latency.worker import Open
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.package.metadata import COMPUTE_UNITS, NO_CONFIGS, ModelConfigs
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.runtimes.backends import BACKENDS, Backend
from fcrn_mobile.runtimes.opening import backend_named, check_threads, choose_backend, model_suffix, require_model
from fcrn_mobile.text import enumerated

__all__ = ["Subject", "check", "subjects"]


@dataclass(frozen=True)
class Subject:
    """One model on one backend and one choice of compute units, with the settings of ``open_runtime``."""

    model: str
    backend: str
    arithmetic: Arithmetic
    threads: int | None
    compute_units: str
    model_config: Path | None = None
    size: tuple[int, int] | None = None

    @property
    def runs_on(self) -> Backend:
        """What runs it."""
        return BACKENDS[self.backend]

    def opener(self) -> Open:
        """Opens it, in any process."""
        settings = (self.arithmetic, self.threads, self.compute_units, self.model_config, self.size)
        return partial(open_runtime, self.model, self.backend, *settings)


def subjects(
    models: Sequence[str],
    backends: Sequence[str],
    arithmetic: Arithmetic,
    threads: int | None,
    units: Sequence[str],
    device: str | None = None,
    configs: ModelConfigs = NO_CONFIGS,
    size: tuple[int, int] | None = None,
) -> list[Subject]:
    """Every model on those of the backends that run its kind; ``size``: of the pictures, where it is not to be each model's own.

    Raises:
        InputError: a model that does not exist or that no backend given runs, a backend without a model, or a setting
            that is unknown or that no backend chosen has.
    """
    records = {name: backend_named(name) for name in backends if name != "auto"}
    for unit in units:
        require_known("--compute-units", unit, COMPUTE_UNITS)
    plan = []
    for model in models:
        require_model(model)
        fitting = [name for name in backends if name == "auto" or records[name].suffix == model_suffix(model)]
        for name in fitting or backends[:1]:
            backend = choose_backend(model, name)
            choices = (tuple(units) or tuple(COMPUTE_UNITS)) if backend.on_device else ("cpuOnly",)
            plan += [Subject(model, backend.name, arithmetic, threads, choice, configs.of(model), size) for choice in choices]
    for name, backend in records.items():
        if not any(subject.backend == name for subject in plan):
            raise InputError(f"--backend {name} runs {backend.suffix}, and no model given is one: leave it out, or give one")
    for option, value in (("--compute-units", units[0] if units else None), ("--device", device)):
        if value and not any(subject.runs_on.on_device for subject in plan):
            names = enumerated([backend.name for backend in BACKENDS.values() if backend.on_device], "or")
            raise InputError(f"{option} '{value}' is for the {names} backend, which nothing here runs on: leave it out")
    return plan


def check(plan: Sequence[Subject], runs: int, threads: int | None, compared: bool = False, elsewhere: bool = False) -> None:
    """Refuse settings that cannot be measured.

    Raises:
        InputError: too few runs or threads, threads for a backend that has no such setting, not two to compare, or
            something that is measured on this machine only was asked of another device (``elsewhere``).
    """
    if runs < 1:
        raise InputError(f"--runs is {runs}: give at least 1")
    if threads is not None and threads < 1:
        raise InputError(f"--threads is {threads}: give at least 1")
    for subject in plan:
        if threads:
            check_threads(subject.runs_on)
    if elsewhere:
        raise InputError("--compare and --end-to-end measure this machine only: leave --device out")
    if not compared:
        return
    if len(plan) != 2:
        names = ", ".join(f"{subject.model} ({subject.backend})" for subject in plan)
        raise InputError(f"--compare takes two, not {len(plan)} ({names}): give two models, or one and --backend twice")
    if runs < LEAST_PAIRS * BLOCK:
        raise InputError(f"--runs is {runs}: --compare needs at least {LEAST_PAIRS * BLOCK} ({LEAST_PAIRS} pairs of {BLOCK})")
