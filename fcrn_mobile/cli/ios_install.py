"""``fcrn-mobile ios-install``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.exits import BAD_INPUT
from fcrn_mobile.cli.model_config import model_config_option
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.depth_contract import IN_UNITS
from fcrn_mobile.errors import InputError
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from fcrn_mobile.validation.host_outputs import HostOutputs

__all__ = ["command"]

#: The recipe of the starter: half the size of fp16, and runs from iOS 16 on.
_STARTER_RECIPE = Path("int8")


@click.command("ios-install", cls=Command)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--starter", is_flag=True, help="The built-in network as int8 in place of MODEL: a first launch shows depth.")
@click.option("--new", type=OutputFolder(), metavar="DIR", help="Write the app's project into DIR, which is new, with MODEL in it.")
@click.option("--models", type=OutputFolder(), default=Path("ios_demo/Models"), show_default=True, help="Folder of the app's models.")
@model_config_option()
@click.option(
    "--framing",
    metavar="stretch|crop|letterbox",
    help="How the app brings pictures to the model.  [default: as the model says, but crop instead of stretch]",
)
@click.option(
    "--fidelity/--no-fidelity",
    default=True,
    show_default=True,
    help="Put frames of the sample and MODEL's outputs for them here beside it, for the app to compare its own with.",
)
@click.option("--force", is_flag=True, help="Overwrite a package of the same name.")
@json_option
def command(
    model: Path | None,
    starter: bool,
    **how: Any,
) -> None:
    """Copy MODEL, an .mlpackage of any maker, into the iOS app, once it is sure that the app can show its depth.

    That is one picture in colour in, one depth map out, and metadata that say what its depth means, or a model config that does.
    """
    with _package(model, starter) as package:
        _install(package, "builtin" if starter else str(model), **how)


@contextmanager
def _package(model: Path | None, starter: bool) -> Iterator[Path]:
    """The package to install; the starter is exported, and lies there no longer than it is needed.

    Raises:
        InputError: none is named, or two are.
    """
    if starter == (model is not None):
        raise InputError("give either MODEL, an .mlpackage, or --starter for the built-in network")
    if model is not None:
        yield model
        return
    from fcrn_mobile.conversion.export import export
    from fcrn_mobile.conversion.recipe import read_recipe
    from fcrn_mobile.network.forms import open_network

    with TemporaryDirectory() as folder:
        package = Path(folder) / "fcrn-starter.mlpackage"
        with progress("export") as on_image:
            export(open_network("builtin"), read_recipe(_STARTER_RECIPE), package, False, on_image)
        yield package


def _install(
    model: Path,
    name: str,
    *,
    models: Path,
    new: Path | None,
    model_config: Path | None,
    framing: str | None,
    fidelity: bool,
    force: bool,
    json_out: str | None,
) -> None:
    """Check a package, copy it, and tell what became of it under the name that the user gave."""
    from fcrn_mobile.conversion.contract import check, check_place, framing_named, read_ports, told
    from fcrn_mobile.conversion.export import artefact_size
    from fcrn_mobile.package.metadata import Metadata

    added = told(model, model_config, framing_named(framing)) if model.suffix == ".mlpackage" else {}
    violations = check(model, added)
    installed = None
    if not violations:
        if not new:
            check_place(model, models, force)
        outputs = _host_outputs(model, model_config, added) if fidelity else None
        installed = _new(new, model, added, outputs) if new else _copy(model, models, force, added, outputs)
    size, metric = artefact_size(model), Metadata.from_dict(read_ports(model)[2] | added).is_metric
    if json_out:
        path = str(installed) if installed else None
        write_json(json_out, {"model": name, "path": path, "size_bytes": size, "metric": metric, "violations": violations})
    for line in violations:
        print(f"fcrn-mobile: '{name}' doesn't fit the app: {line}", file=sys.stderr)
    if not installed:
        click.get_current_context().exit(BAD_INPUT)
    if json_out != "-":
        print(f"{installed}  {size / 1e6:.1f} MB  fits the app's contract (checked here, not run on a device)")
        if fidelity:
            print("beside it: frames of the sample and its outputs for them here, which the app compares its own with")
        if contract := Metadata.from_dict(added).depth_contract():
            print(f"pictures are brought to its size by {contract.framing}: --framing says another way")
        if not metric:
            print(f"its depth is known {IN_UNITS['scale']} only: the app shows it as relative, never in metres")
        print(f"next: open {(new or Path('ios_demo')) / 'DepthDemo.xcodeproj'} in Xcode and run it on a phone")


def _host_outputs(model: Path, model_config: Path | None, added: dict[str, str]) -> "HostOutputs":
    """What the app compares its own outputs with."""
    from fcrn_mobile.package.metadata import Metadata
    from fcrn_mobile.validation.host_outputs import host_outputs

    contract = Metadata.from_dict(added).depth_contract()
    try:
        return host_outputs(model, contract.framing if contract else None, model_config)
    except InputError as error:
        raise InputError(f"{error}; --no-fidelity installs it without its outputs here") from error


def _new(folder: Path, model: Path, added: dict[str, str], outputs: "HostOutputs | None") -> Path:
    """Write the app's project with a model in it, whole or not at all."""
    from fcrn_mobile.shipped import copy_app

    if folder.exists():
        raise InputError(
            f"'{folder}' exists: name a folder with --new that does not, or --models {folder / 'Models'} to add to an app there"
        )
    with written_whole(folder, force=False) as partial:
        copy_app(partial)
        installed = _copy(model, partial / "Models", False, added, outputs)
    return folder / "Models" / installed.name


def _copy(model: Path, models: Path, force: bool, added: dict[str, str], outputs: "HostOutputs | None") -> Path:
    """Copy a model with its outputs; those of another model of its name don't stay."""
    from fcrn_mobile.conversion.contract import install
    from fcrn_mobile.validation.host_outputs import host_outputs_beside

    installed = install(model, models, force, added)
    if outputs:
        outputs.write(installed, model)
    else:
        host_outputs_beside(installed).unlink(missing_ok=True)
    return installed
