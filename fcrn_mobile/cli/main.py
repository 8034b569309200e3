"""Entry point: the list of commands, and bad input turned into one line and exit code 2.

Commands are imported when they run, so that ``--help`` does not wait for torch.
"""

import importlib
import keyword
import logging
import os
import sys

import click

import fcrn_mobile
from fcrn_mobile.errors import InputError

#: Command → what it does; its code is ``fcrn_mobile.cli.<command>:command``, with an underscore behind a word of Python's
#: and for a hyphen.
COMMANDS = {
    "demo": "Run the main job on the built-in sample: export, validate, benchmark, picture.",
    "train": "Train a network on RGB-D data.",
    "compare": "Training runs side by side: settings that differ, metrics, curves.",
    "import": "Make a checkpoint of an FCRN that another PyTorch project trained.",
    "evaluate": "Depth metrics of a model on RGB-D data.",
    "export": "Convert a checkpoint to .mlpackage, .onnx or .aimodel.",
    "validate": "Drift of candidates from a reference, held to a budget.",
    "diagnose": "Which operators a package's drift comes from.",
    "tune": "The smallest package that holds a drift budget, a precision for each operator.",
    "bench": "Latency and FPS, measured on this machine.",
    "predict": "Depth maps of pictures and videos, and point clouds.",
    "run": "Run any .mlpackage on files, through the MIL runtime.",
    "inspect": "What is inside a checkpoint or artefact.",
    "ios-install": "Copy an .mlpackage into the iOS app, after checking that the app can show its depth.",
}


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(fcrn_mobile.__version__)
def main(debug: bool) -> None:
    """FCRN depth networks for Core ML: train, export, and prove how far the package drifts, on any machine."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


def run() -> None:
    """Run the command line and exit with its code: 0 fine, 1 a budget broken, 2 bad use or input, 130 interrupted."""
    debug = "--debug" in sys.argv
    try:
        main.main(standalone_mode=False)
    except InputError as error:
        _stop(f"fcrn-mobile: {error}", 2, debug)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.UsageError as error:
        hint = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
        _stop(f"fcrn-mobile: {error.format_message()}{hint}", 2, debug)
    except click.ClickException as error:
        _stop(f"fcrn-mobile: {error.format_message()}", 2, debug)
    except (click.Abort, KeyboardInterrupt):
        _stop("fcrn-mobile: interrupted", 130, debug)
    except BrokenPipeError:
        # The reader of a pipe left (as `| head` does); Python would complain once more while closing the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        _stop(f"fcrn-mobile: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", 2, debug)


def _stop(line: str, code: int, debug: bool) -> None:
    if debug:
        raise
    print(" ".join(line.split()), file=sys.stderr)
    sys.exit(code)
