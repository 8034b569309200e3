"""``fcrn-mobile run``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import function_option, json_option, print_table, size_option, write_json
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.cli.traits import arithmetic_options
from fcrn_mobile.errors import InputError
from fcrn_mobile.whole_file import make_folder

if TYPE_CHECKING:
    from fcrn_mobile.mil import Program
    from fcrn_mobile.mil.arithmetic import Arithmetic
    from fcrn_mobile.mil.interface import Feature
    from fcrn_mobile.mil.overflow import Overflow

__all__ = ["command"]


@click.command("run", cls=Command)
@click.argument("model")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE",
    help="A picture, an .npy, a number or text itself, or a folder of files, one a step; once per input.",
)
@click.option("--out", required=True, type=OutputFolder(), help="Folder for the outputs; of several steps it has a folder for each.")
@click.option(
    "--steps", type=click.IntRange(1), help="Run so often, states are kept in between; default: once, or once a file of a folder."
)
@size_option
@function_option
@arithmetic_options("float16", "MODEL")
@click.option("--force", is_flag=True, help="Overwrite outputs.")
@json_option
def command(
    model: str,
    inputs: tuple[str, ...],
    out: Path,
    steps: int | None,
    size: tuple[int, int] | None,
    function: str | None,
    arithmetic: "Arithmetic",
    force: bool,
    json_out: str | None,
) -> None:
    """Run any .mlpackage or .mlmodel, not only a depth network; arrays become .npy (images .png too), labels and probabilities .json."""
    from fcrn_mobile.mil import Program
    from fcrn_mobile.mil.files import input_steps, output_files, write_output

    program = Program.load(model, arithmetic, function)
    sequence = input_steps(program.inputs, _named_files(program, inputs), steps)
    folders = [out / f"{number:04d}" for number in range(len(sequence))] if len(sequence) > 1 else [out]
    targets = [output_files(program.outputs, folder) for folder in folders]
    existing = [file for files in targets for group in files.values() for file in group if file.exists()]
    if existing and not force:
        raise InputError(f"'{existing[0]}' exists: choose another --out or overwrite it with --force")
    for files in sequence[1:]:
        _values(program, files, size)  # what is wrong with a later one is said before anything is written
    state, ran = program.make_state(), []
    for files, folder, written in zip(sequence, folders, targets, strict=True):
        results, overflow = program.watch(_values(program, files, size), state)
        make_folder(folder)
        for feature in program.outputs:
            write_output(feature, results[feature.name], written[feature.name])
        facts = [_facts(feature, results[feature.name], written[feature.name]) for feature in program.outputs]
        ran.append({"outputs": facts, "overflow": str(overflow) if overflow else None})
        if json_out != "-":
            _print(program, results, written, folder.name if len(sequence) > 1 else "")
        _warn(results, overflow)
    if json_out:
        of_steps = ran[0] if len(ran) == 1 else {"steps": ran}
        write_json(json_out, {"model": model, "function": program.function, "arithmetic": str(arithmetic), **of_steps})


def _values(program: "Program", files: dict[str, str], size: tuple[int, int] | None) -> dict[str, Any]:
    """A value for every input that is given, once it is sure that the program takes it; ``size``: of its pictures."""
    from fcrn_mobile.mil.files import read_input

    images = [feature.name for feature in program.inputs if feature.kind == "image"]
    if size and all(Path(files.get(name, ".npy")).suffix == ".npy" for name in images):
        raise InputError("--size is of pictures, and no input is one (an .npy goes in as it is): leave --size out")
    values = {feature.name: read_input(feature, files[feature.name], size) for feature in program.inputs if feature.name in files}
    program.start(values, program.make_state())
    return values


def _named_files(program: "Program", inputs: tuple[str, ...]) -> dict[str, str]:
    names = [feature.name for feature in program.inputs]
    files: dict[str, str] = {}
    for text in inputs:
        name, equals, file = text.partition("=")
        if not equals or name not in names:
            raise InputError(f"--input '{text}': write NAME=FILE with one of the package's inputs ({', '.join(names)})")
        if name in files:
            raise InputError(f"--input '{text}': '{name}' is given twice")
        files[name] = file
    missing = next((feature for feature in program.inputs if feature.name not in files and feature.default is None), None)
    if missing:
        value = "VALUE" if missing.kind in ("number", "label") else "FILE"
        raise InputError(f"input '{missing.name}' is missing: add --input {missing.name}={value} (the model takes {', '.join(names)})")
    return files


def _warn(results: dict[str, Any], overflow: "Overflow | None") -> None:
    """Say on standard error what the outputs alone may hide."""
    import numpy as np

    numbers = [list(value.values()) if isinstance(value, dict) else value for value in results.values() if not isinstance(value, str)]
    finite = all(np.isfinite(value).all() for value in numbers)
    if overflow:
        where = "the outputs are finite, what they come from is not" if finite else "not finite"
        print(f"{where}; the first tensor to overflow is {overflow}", file=sys.stderr)
    elif not finite:
        print("not finite, and no operator ran over: an input or a constant of the package is not finite", file=sys.stderr)


def _facts(feature: "Feature", value: Any, files: list[Path]) -> dict[str, Any]:
    facts = {"name": feature.name, "kind": feature.kind, "files": [str(file) for file in files]}
    if feature.kind not in ("image", "array"):
        return {**facts, "value": value}
    return {
        **facts,
        "dtype": feature.dtype,
        "shape": list(value.shape),
        "min": float(value.min()) if value.size else None,
        "mean": float(value.mean()) if value.size else None,
        "max": float(value.max()) if value.size else None,
    }


def _print(program: "Program", results: dict[str, Any], targets: dict[str, list[Path]], step: str) -> None:
    from fcrn_mobile.mil.files import readable
    from fcrn_mobile.mil.shapes import by

    rows = []
    print(f"{program.function}, {program.arithmetic.title}" + (f", step {step}" if step else ""))
    for feature in program.outputs:
        value = results[feature.name]
        facts = _facts(feature, value, targets[feature.name])
        if feature.kind == "scores" or feature.labels:
            best = readable(feature, value)
            listed = ", ".join(
                " ".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in row.values()) for row in best[:5]
            )
            print(f"{feature.name}: {listed or 'none'}{f' and {len(best) - 5} more' if len(best) > 5 else ''}")
        if "value" in facts:
            if feature.kind != "scores":
                print(f"{feature.name}: {value}")
            continue
        numbers = [f"{facts[key]:.4g}" if facts[key] is not None else "" for key in ("min", "mean", "max")]
        rows.append([feature.name, facts["dtype"], by(value.shape), *numbers, "  ".join(facts["files"])])
    if rows:
        print_table("", ["output", "type", "shape", "min", "mean", "max", "files"], rows)
