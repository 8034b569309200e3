"""``fcrn-mobile validate``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import EVERY_SIZE, backend_option, json_option, print_table, progress, sizes_option, write_json
from fcrn_mobile.cli.exits import end
from fcrn_mobile.cli.frames import framed_rule, rule_options, skip_bad_option, sound_frames
from fcrn_mobile.cli.gate import Gate, gate_options, print_changes
from fcrn_mobile.cli.model_config import model_config_option, model_configs
from fcrn_mobile.cli.models import open_beside
from fcrn_mobile.cli.page import html_options, write_page
from fcrn_mobile.cli.traits import arithmetic_options, both_option, partings, policies, print_partings
from fcrn_mobile.cli.validate_import import import_option
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.formulas import shown
from fcrn_mobile.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fcrn_mobile.data.phone import PhoneView
    from fcrn_mobile.data.source import Source
    from fcrn_mobile.mil.arithmetic import Arithmetic
    from fcrn_mobile.package.metadata import ModelConfigs
    from fcrn_mobile.report.gate import Outcome
    from fcrn_mobile.runtimes import Runtime
    from fcrn_mobile.validation.result import Drift, Validation

__all__ = ["command", "print_drift"]


@click.command("validate", cls=Command)
@click.argument("reference")
@click.argument("candidates", nargs=-1)
@click.option("--data", metavar="SPEC", help="Such as sample, folder:PATH#val or nyu-mat:FILE#test; images:PATH for fidelity alone.")
@import_option
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="M=X",
    help="What may be lost, such as abs_rel=5% or fidelity=0.05; else what a candidate's recipe says.",
)
@rule_options
@click.option(
    "--align-fidelity",
    is_flag=True,
    help="Bring candidates to the reference before fidelity is taken: for networks that were trained apart.",
)
@click.option(
    "--framing",
    metavar="phone-portrait|phone-landscape|stretch",
    help="Show models what the app would see of the pictures on a phone held so, in the candidates' framing; an emulation.",
)
@skip_bad_option
@backend_option("CANDIDATES")
@arithmetic_options("float16", "the mil backend")
@both_option
@model_config_option(several=True)
@sizes_option
@gate_options
@html_options
@json_option
def command(
    reference: str,
    candidates: tuple[str, ...],
    data: str,
    budgets: tuple[str, ...],
    framing: str | None,
    skip_bad: bool,
    backend: str,
    arithmetic: "Arithmetic",
    model_config: tuple[str, ...],
    size: Any,
    html: Path | None,
    force: bool,
    json_out: str | None,
    **how: Any,
) -> None:
    """Drift of CANDIDATES, such as packages, from REFERENCE, such as their float network; exit code 1 if one breaks its budget.

    Metrics hold all of them against the true depth, fidelity holds each candidate against what the reference gives.
    """
    from fcrn_mobile.data.spec import open_images
    from fcrn_mobile.evaluation.budget import parse_limit
    from fcrn_mobile.report.gate import Outcome
    from fcrn_mobile.validation.drift import validate
    from fcrn_mobile.validation.phone import phone_frames

    gate, both, align_fidelity = Gate.taken_from(how), how.pop("both"), how.pop("align_fidelity")
    baseline, limits = gate.read_baseline(), [parse_limit(text) for text in budgets]
    rule = framed_rule(data, framing, **how)
    source, left_out = sound_frames(open_images(data), rule, skip_bad)
    configs = model_configs((reference, *candidates), model_config)
    opened = partial(open_beside, reference, candidates, backend, policies(arithmetic, both), configs)
    parted = partial(_parted, both, candidates, arithmetic, configs)
    if size == EVERY_SIZE:
        _check_alone(gate, html, framing)
        measured = partial(validate, source=source, rule=rule, limits=limits, data=data, left_out=left_out, align_fidelity=align_fidelity)
        end(_print_sizes(((each, measured(*opened(each)), parted(source, each)) for each in _sizes(candidates, configs)), json_out))
    base, runtimes = opened(size)
    source = (view := phone_frames(source, runtimes, framing) if framing else None) or source
    if baseline:
        baseline.require_same(base, runtimes, data, rule, source.names, view, align_fidelity)
    with progress("validate") as on_frame:
        result = validate(base, runtimes, source, rule, limits, data, on_frame, left_out, align_fidelity=align_fidelity)
    ops = _broken(source, reference, result, arithmetic, configs) if gate.names_operators else {}
    outcome = Outcome(result, ops, baseline.changes(result) if baseline else (), view=view)
    gate.write([outcome])
    if html:
        _write_page(html, force, source, reference, base, runtimes, outcome, arithmetic, configs)
    _tell(outcome, view, html, json_out, parted(source, size))
    end(result.held)


def _parted(
    both: bool,
    candidates: tuple[str, ...],
    arithmetic: "Arithmetic",
    configs: "ModelConfigs",
    source: "Source",
    size: tuple[int, int] | None,
) -> dict[str, Any]:
    """Partings of ``--both`` as the JSON has them; nothing without it."""
    return {"partings": partings(candidates, source, arithmetic, configs, size)} if both else {}


def _tell(outcome: "Outcome", view: "PhoneView | None", html: Path | None, json_out: str | None, parted: dict[str, Any]) -> None:
    if json_out:
        write_json(json_out, outcome.validation.to_json() | ({"framing": view.to_json()} if view else {}) | parted)
    if json_out != "-":
        _print(outcome, view, html)
        print_partings(parted)


def _print(outcome: "Outcome", view: "PhoneView | None", html: Path | None) -> None:
    print_drift(outcome.validation)
    if view:
        print(view)
    print_changes(outcome)
    if html:
        print(f"written: {html}")


def _broken(source: "Source", reference: str, result: "Validation", arithmetic: "Arithmetic", configs: "ModelConfigs") -> Any:
    """Operators of what broke its budget, see ``broken_operators``."""
    from fcrn_mobile.report.gate import broken_operators
    from fcrn_mobile.report.operators import operators

    with progress("operators") as on_image:
        return broken_operators(result, partial(operators, source, reference, arithmetic=arithmetic, on_image=on_image, configs=configs))


def _check_alone(gate: Gate, html: Path | None, framing: str | None) -> None:
    """What shows one validation does not go with several."""
    options = {"--html": html, "--framing": framing, **{f"--{name}": value for name, value in vars(gate).items()}}
    if option := next((option for option, value in options.items() if value), None):
        raise InputError(f"{option} is of one size, and --size {EVERY_SIZE} of several: leave one of them out, or use --json")


def _sizes(candidates: tuple[str, ...], configs: "ModelConfigs") -> list[tuple[int, int]]:
    """The sizes that all candidates take, in the order of the first."""
    from fcrn_mobile.mil.depth_program import DepthProgram
    from fcrn_mobile.package.reading import SUFFIXES

    packages = [path for path in candidates if Path(path).suffix in SUFFIXES]
    listed = [DepthProgram.load(path, model_config=configs.of(path)).picture_sizes for path in packages]
    sizes = [size for size in listed[0] if all(size in others for others in listed)] if listed else []
    if len(sizes) < 2:
        raise InputError(
            f"--size {EVERY_SIZE} is of packages that take several sizes, and {', '.join(candidates)} share {len(sizes)}: leave it out"
        )
    return sizes


def _print_sizes(results: "Iterable[tuple[tuple[int, int], Validation, dict[str, Any]]]", json_out: str | None) -> bool:
    """The table of each size and its partings as it is done, and one JSON of all; returns whether all budgets are held."""
    done: list[tuple[tuple[int, int], Validation, dict[str, Any]]] = []
    for size, result, parted in results:
        if json_out != "-":
            print(f"{'' if not done else chr(10)}pictures of {size[0]}x{size[1]}")
            print_drift(result)
            print_partings(parted)
        done.append((size, result, parted))
    if json_out:
        write_json(json_out, {"sizes": [{"size": size, **result.to_json(), **parted} for size, result, parted in done]})
    return all(result.held for _, result, _ in done)


def _write_page(
    html: Path,
    force: bool,
    source: "Source",
    reference: str,
    base: "Runtime",
    runtimes: "list[Runtime]",
    outcome: "Outcome",
    arithmetic: "Arithmetic",
    configs: "ModelConfigs",
) -> None:
    from fcrn_mobile.report.findings import diagnoses
    from fcrn_mobile.report.html import Page
    from fcrn_mobile.report.operators import operators
    from fcrn_mobile.report.scenes import show

    result = outcome.validation
    with progress("operators") as on_image:
        ops = operators(source, reference, result, arithmetic, on_image, configs)
    hazards = diagnoses((candidate.path for candidate in result.candidates), configs)
    scenes = show(source, base, runtimes, result)
    page = Page(result, scenes, ops=ops, diagnoses=hazards, view=outcome.view, changes=outcome.moved, still=outcome.still)
    write_page(page, html, force)


def print_drift(result: "Validation") -> None:
    """The table of a validation, and one line per budget."""
    from fcrn_mobile.evaluation.align import NONE
    from fcrn_mobile.report.columns import EDGES, OWN, PSNR, SIZE, metric_columns

    images = result.reference_metrics["images"]
    for warning in result.warnings:
        print(f"warning: {warning}")
    how = result.rule.text if result.rule else "fidelity alone: they hold no depth"
    columns = [SIZE, *metric_columns(result, shown()), OWN, EDGES, PSNR]
    rows = [[f"{result.reference_name} (reference)", *(column.of_reference(result) for column in columns), ""]]
    rows += [[drift.name, *(column.of(drift) for column in columns), drift.verdict] for drift in result.candidates]
    heads = ["model", *(column.title for column in columns), "verdict"]
    print_table(f"Drift on {result.data}: {counted(images, 'image')}, {how}", heads, rows)
    print(f"candidates ran on {result.ran_on}")
    work = f"{counted(images, 'image')} through {len(result.candidates) + 1} networks"
    print(f"{work} in {result.seconds:.1f} s: {result.images_per_second:.3g} images per second")
    if result.rule and result.rule.alignment != NONE:
        print(f"metrics are of predictions brought to the truth ({result.rule.alignment}), image by image: they say nothing of metres")
    if note := str(result.focus):
        print(note)
    print(f"fidelity: {result.fidelity_formula}; edges: their boundary_drift; dB: their PSNR")
    for fit_note in result.fit_notes:
        print(fit_note)
    for candidate in result.candidates:
        if candidate.overflow:
            print(f"{candidate.name}: first tensor to overflow: {candidate.overflow}")
        _print_checks(candidate)


def _print_checks(candidate: "Drift") -> None:
    for item in candidate.checks:
        value = f"{item.value:.2%}" if item.limit.relative else f"{item.value:.4f}"
        print(f"{candidate.name}: budget {item.limit.text} {'held' if item.held else 'BROKEN'}, measured {value}")
