"""``fcrn-mobile import``."""

import shlex
from pathlib import Path

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, write_json
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.errors import InputError

__all__ = ["command"]


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=OutputFile(), help="Destination, ending in .safetensors.")
@click.option("--format", "layout", metavar="fcrn-pytorch|sparse-to-dense|iro-cp", help="Where FILE comes from, instead of recognising it.")
@click.option("--force", is_flag=True, help="Overwrite what is at --out.")
@json_option
def command(file: Path, out: Path, layout: str | None, force: bool, json_out: str | None) -> None:
    """Make a checkpoint of FILE, an FCRN that another project trained (.pth, .npy); its pickle is read, never executed."""
    from dataclasses import asdict

    from fcrn_mobile.network.checkpoints import save_checkpoint
    from fcrn_mobile.network.importers import import_network
    from fcrn_mobile.network.macs import count_parameters

    if out.suffix != ".safetensors":
        raise InputError(f"'{out}' is no name of a checkpoint: end --out in .safetensors")
    imported = import_network(file, layout)
    save_checkpoint(imported.network, out, imported.training)
    config = imported.network.config
    parameters = count_parameters(imported.network)
    if json_out:
        write_json(
            json_out, {"checkpoint": str(out), "parameters": parameters, "network": asdict(config), "training": imported.training.to_json()}
        )
    if json_out != "-":
        height, width = config.input_size
        print(f"{out}  {config.encoder} with {config.decoder}  {height}x{width}  {parameters / 1e6:.2f} M parameters")
        if imported.others:
            others = ", ".join(f"'{place or 'the file itself'}'" for place in imported.others)
            print(f"weights: of '{imported.training.place or 'the file itself'}'; passed over: {others}")
        print(f"next: {shlex.join(['fcrn-mobile', 'evaluate', str(out), '--data', 'sample'])}")
