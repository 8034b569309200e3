"""``fcrn-mobile ios-install``."""

import sys
from pathlib import Path

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, write_json
from fcrn_mobile.cli.exits import BAD_INPUT
from fcrn_mobile.cli.outputs import OutputFolder

__all__ = ["command"]


@click.command("ios-install", cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--models", type=OutputFolder(), default=Path("ios_demo/Models"), show_default=True, help="Folder of the app's models.")
@click.option("--force", is_flag=True, help="Overwrite a package of the same name.")
@json_option
def command(model: Path, models: Path, force: bool, json_out: str | None) -> None:
    """Copy MODEL, an .mlpackage, into the iOS app, once it is sure that the app can show its depth."""
    from fcrn_mobile.conversion.contract import check, install, read_ports
    from fcrn_mobile.conversion.export import artefact_size
    from fcrn_mobile.package.metadata import Metadata

    violations = check(model)
    installed = None if violations else install(model, models, force)
    size, metric = artefact_size(model), Metadata.from_dict(read_ports(model)[2]).is_metric
    if json_out:
        path = str(installed) if installed else None
        write_json(json_out, {"model": str(model), "path": path, "size_bytes": size, "metric": metric, "violations": violations})
    for line in violations:
        print(f"fcrn-mobile: '{model}' doesn't fit the app: {line}", file=sys.stderr)
    if not installed:
        click.get_current_context().exit(BAD_INPUT)
    if json_out != "-":
        print(f"{installed}  {size / 1e6:.1f} MB  fits the app's contract (checked here, not run on a device)")
        if not metric:
            print("its depth is known up to a scale only: the app shows it as relative, never in metres")
        print("next: open ios_demo/DepthDemo.xcodeproj in Xcode and run it on a phone")
