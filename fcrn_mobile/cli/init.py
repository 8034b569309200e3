"""``fcrn-mobile init``."""

import shlex
import tomllib
from pathlib import Path

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, write_json
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.whole_file import write_whole

__all__ = ["command"]


@click.command("init", cls=Command)
@json_option
@click.option("--out", type=OutputFile(".toml"), default=Path("depth.toml"), show_default=True, help="The project file.")
@click.option("--force", is_flag=True, help="Overwrite what is at --out.")
def command(out: Path, force: bool, json_out: str | None) -> None:
    """Write a project file from what lies in its folder: checkpoints, their packages, recipes, frames with depth."""
    from fcrn_mobile.project.starter import starter

    write_whole(out, text := starter(out.parent), force)
    if json_out:
        write_json(json_out, {"path": str(out), "project": tomllib.loads(text)})
    if json_out != "-":
        print(text, end="")
        words = ["fcrn-mobile", "check", *([] if out == Path("depth.toml") else [str(out)])]
        print(f"written: {out}\nnext: {shlex.join(words)}")
