"""``fcrn-mobile diagnose``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, print_table, progress, write_json
from fcrn_mobile.cli.model_config import model_config_option, model_configs
from fcrn_mobile.cli.outputs import PICTURES, OutputFile
from fcrn_mobile.cli.traits import arithmetic_options
from fcrn_mobile.errors import InputError
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from fcrn_mobile.mil.arithmetic import Arithmetic
    from fcrn_mobile.validation.attribution import Attribution
    from fcrn_mobile.validation.op_drift import OpDrift

__all__ = ["SHOWN", "command", "print_attribution"]

#: Rows of the table; the JSON holds all operators.
SHOWN = 15


@click.command("diagnose", cls=Command)
@click.argument("reference")
@click.argument("candidate")
@click.option("--data", required=True, metavar="SPEC", help="Images, such as sample, folder:PATH#val or images:PATH.")
@click.option("--images", default=5, show_default=True, type=click.IntRange(min=1), help="How many, spread evenly over the data.")
@arithmetic_options("float16", "CANDIDATE")
@model_config_option(several=True)
@click.option("--figure", metavar="FILE.png", type=OutputFile(*PICTURES), help="Draw noise and own drift along the graph.")
@click.option("--force", is_flag=True, help="Overwrite the file of --figure.")
@json_option
def command(
    reference: str,
    candidate: str,
    data: str,
    images: int,
    arithmetic: "Arithmetic",
    model_config: tuple[str, ...],
    figure: Path | None,
    force: bool,
    json_out: str | None,
) -> None:
    """Which operators the drift of CANDIDATE (.mlpackage) from REFERENCE (builtin, a checkpoint or .mlpackage) comes from."""
    from fcrn_mobile.data.grammar import portable
    from fcrn_mobile.data.spec import open_images
    from fcrn_mobile.mil.depth_program import DepthProgram
    from fcrn_mobile.runtimes.runtime import model_name
    from fcrn_mobile.validation.attribution import attribute, spread
    from fcrn_mobile.validation.float_program import float_program

    _check_candidate(candidate)
    source = open_images(data)
    configs = model_configs((reference, candidate), model_config)
    config, of_reference = map(configs.of, (candidate, reference))
    program = DepthProgram.load(candidate, arithmetic, model_config=config)
    with progress("diagnose") as on_image:
        result = attribute(float_program(reference, program, of_reference), program, spread(source, images), on_image)
    images_of = f"{result.images} image{'' if result.images == 1 else 's'} of {portable(data)}"
    title = f"{model_name(Path(candidate))} against {model_name(Path(reference))}: {images_of}"
    if figure:
        from fcrn_mobile.report.attribution import save_attribution

        with written_whole(figure, force) as file:
            save_attribution(result, title, file)
    if json_out:
        write_json(json_out, {"reference": reference, "candidate": candidate, "data": data} | result.to_json())
    if json_out != "-":
        print_attribution(result, title)
        if figure:
            print(f"written: {figure}")


def print_attribution(result: "Attribution", title: str) -> None:
    """The table of the worst operators, where the ratio falls most, and the verdict."""
    from fcrn_mobile.validation.fidelity import FORMULAS

    worst = result.worst[:SHOWN]
    over, clipped = any(op.beyond for op in worst), any(op.clipped for op in worst)
    columns = ["operator", "own drift", "weights dB", "inputs dB", "result dB", *(["over"] * over), *(["clipped"] * clipped)]
    rows = []
    for op in worst:
        ratios = [_db(op.own.weight_snr_db) if op.own else "", _db(op.input_snr_db), _db(op.snr_db)]
        shares = [*([_share(op.beyond)] * over), *([_share(op.clipped)] * clipped)]
        rows.append([_called(op), f"{op.own_drift:.6f}", *ratios, *shares])
    print_table(f"Drift by operator, {title}", columns, rows)
    print("own drift: fidelity of the output with only this operator as in the candidate, float32 arithmetic")
    print(f"fidelity: {FORMULAS[result.fidelity.depth]}")
    print("dB: signal-to-noise ratio against the float program, of its weights, of its worst input, of its result")
    print(f"candidate ran in {result.arithmetic.title}, not on a device; its output drifts {result.fidelity.abs_rel:.6f} in all")
    apart = f"{len(result.ops) - len(result.matched)} of the candidate, {result.reference_only} of the reference"
    print(f"{len(result.matched)} operators compared; without a counterpart: {apart}")
    steepest = result.steepest
    if steepest.fall_db:
        print(f"the ratio falls most at {_called(steepest)}: {_db(steepest.input_snr_db)} → {_db(steepest.snr_db)} dB")
    if result.suspect is None:
        print("verdict: no drift")
    else:
        print(f"verdict: look at {result.suspect.called} first: {result.suspect.reason}: {result.suspect.detail}")
        print(f"remedy to try: {result.suspect.remedy}")


def _called(op: "OpDrift") -> str:
    return op.weights or f"{op.name} ({op.kind})"


def _db(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.1f}" if math.isfinite(ratio) else "equal" if ratio > 0 else "lost"


def _share(share: float) -> str:
    return f"{share:.2%}" if share else ""


def _check_candidate(candidate: str) -> None:
    """Refuse before any work what has no operators."""
    from fcrn_mobile.package.reading import SUFFIXES

    if Path(candidate).suffix not in SUFFIXES:
        raise InputError(f"candidate '{candidate}' is no .mlpackage or .mlmodel: give one that 'fcrn-mobile export' or coremltools wrote")
