"""Entry point: the list of commands, and whatever goes wrong turned into one line and an exit code.

Commands are imported when they run, so that ``--help`` does not wait for torch.
"""

import difflib
import importlib
import io
import keyword
import logging
import os
import sys
import traceback
from typing import Any

import click

import fcrn_mobile
from fcrn_mobile.cli.exits import outcome, told_apart

__all__ = ["COMMANDS", "LazyGroup", "main", "run", "without_debug"]

#: Command → what it does; its code is ``fcrn_mobile.cli.<command>:command``, with an underscore behind a word of Python's
#: and for a hyphen.
COMMANDS = {
    "demo": "Run the main job on the built-in sample: export, validate, benchmark, picture.",
    "data": "What a data spec holds: frames, what is left out, depth, and whether its unit is likely.",
    "train": "Train a network on RGB-D data.",
    "compare": "Training runs side by side: settings that differ, metrics, curves.",
    "import": "Make a checkpoint of an FCRN that another PyTorch project trained.",
    "evaluate": "Depth metrics of a model on RGB-D data.",
    "export": "Convert a checkpoint to .mlpackage, .onnx or .aimodel.",
    "compress": "Store a float .mlpackage of any maker in fewer bits, calibrated and corrected.",
    "validate": "Drift of candidates from a reference, held to a budget.",
    "init": "Write a project file, depth.toml, from what lies in a folder.",
    "check": "Export, validate and report all that depth.toml names: the gate of a repository.",
    "recipes": "List the recipes that come along, or check your own.",
    "diagnose": "Which operators a package's drift comes from.",
    "tune": "The smallest package that holds a drift budget, a precision for each operator.",
    "bench": "Latency and FPS, measured on this machine.",
    "predict": "Depth maps of pictures and videos, and point clouds.",
    "view": "Look at what models see, on a page of this machine: pictures, webcam, difference, point cloud, operators.",
    "run": "Run any .mlpackage or .mlmodel on files, on any machine, without Core ML.",
    "inspect": "What is inside a checkpoint or artefact.",
    "doctor": "What an .mlpackage or .mlmodel will meet on a device: published hazards, looked for without running it.",
    "ios-install": "Copy an .mlpackage into the iOS app, after checking that the app can show its depth.",
}


#: Set by a shell that asks for completions, or for its script; click's name for it.
_COMPLETION = "_FCRN_MOBILE_COMPLETE"


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        file = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        module = importlib.import_module(f"fcrn_mobile.cli.{file}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"no command '{args[0]}'{f': did you mean {near[0]}?' if near else ''}")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the line; --help writes here."""
        with told_apart():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with told_apart():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, every budget held; 1 a measured budget is broken, or an error of doctor --strict; 2 bad use or input; "
    "3 unexpected; 130 interrupted.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks; anywhere on the line.")
@click.version_option(fcrn_mobile.__version__)
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """FCRN depth networks for Core ML: train, export, and prove how far the package drifts, on any machine.

    'fcrn-mobile demo' shows all of it on a built-in sample. MODEL is builtin (the network that comes along), a checkpoint
    (.safetensors), a network from outside (export --help), or what was exported: .mlpackage, .mlmodel, .onnx, .aimodel.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


def run() -> None:
    """Run the command line and exit with its code.

    0: fine, every budget held. 1: a measured budget is broken, or ``doctor --strict`` found an error; nothing else. 2: bad use or
    input. 3: an exception that nobody expected. 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may hold what the terminal's encoding, or any, has no character for.
            stream.reconfigure(errors="backslashreplace")
    if _COMPLETION in os.environ:
        main.main([], "fcrn-mobile")  # answers the shell, and ends the process
    words, debug = without_debug(sys.argv[1:])
    try:
        # Not as it was called: completion goes by the name, and python -m has none of its own.
        code = main.main(words, "fcrn-mobile", standalone_mode=False) or 0
        sys.stdout.flush()
    except BaseException as error:  # a library's own kinds, SystemExit among them, must not decide the exit code
        code = _failed(error, debug)
    if code:
        sys.exit(code)


def without_debug(words: list[str]) -> tuple[list[str], bool]:
    """The command line without ``--debug``, wherever it stands before ``--``, and whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[:end] if word != "--debug"]
    return [*rest, *words[end:]], len(rest) < end


def _failed(error: BaseException, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    code, line = outcome(error)
    if line and sys.stderr:
        print("fcrn-mobile:", " ".join(line.split()), file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try once more while closing the stream, complain, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
