"""``fcrn-mobile view``."""

import sys
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import backend_option, json_option, size_option, write_json
from fcrn_mobile.cli.model_config import model_config_option, model_configs
from fcrn_mobile.cli.models import open_beside
from fcrn_mobile.cli.traits import arithmetic_options

if TYPE_CHECKING:
    from fcrn_mobile.mil.arithmetic import Arithmetic
    from fcrn_mobile.package.metadata import ModelConfigs
    from fcrn_mobile.view.lineup import Lineup

__all__ = ["command"]


@click.command("view", cls=Command)
@click.argument("models", nargs=-1, required=True)
@click.option("--data", default="sample", show_default=True, metavar="SPEC", help="Frames to choose from, such as images:PATH.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Of the page; 0 for any that is free.")
@click.option("--no-browser", is_flag=True, help="Print the address of the page, and open nothing.")
@click.option(
    "--framing",
    metavar="phone-portrait|phone-landscape|stretch",
    help="Show models what the app would see of the pictures on a phone held so; an emulation.",
)
@backend_option("MODELS after the first")
@arithmetic_options("float16", "the mil backend")
@model_config_option(several=True)
@size_option
@json_option
def command(
    models: tuple[str, ...],
    data: str,
    port: int,
    no_browser: bool,
    framing: str | None,
    backend: str,
    arithmetic: "Arithmetic",
    model_config: tuple[str, ...],
    size: tuple[int, int] | None,
    json_out: str | None,
) -> None:
    """Look at what MODELS see, on a page of this machine alone: the first is the reference, the others are laid over it.

    Drop a picture, choose a frame of the data or use the webcam: depth under one range, differences, metres under the pointer, a point
    cloud, times; of packages their operators with drift, published hazards and placement. Ctrl-C ends it. Needs the extra `view`.
    """
    from fcrn_mobile.data.spec import open_images
    from fcrn_mobile.view.server import HOST, listen, serve
    from fcrn_mobile.view.session import Session

    configs = model_configs(models, model_config)
    with listen(port) as listener:
        source = open_images(data)
        lineup = _lineup(models, framing, backend, arithmetic, configs, size)
        session = Session(lineup, source, data, models, configs, arithmetic, size)
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        if json_out:
            write_json(json_out, {"address": address, "models": session.names, "data": data})
            sys.stdout.flush()  # whoever reads it waits for the address, and the command goes on
        if json_out != "-":
            print(f"{address} shows {', '.join(session.names)}; Ctrl-C ends it", flush=True)
        serve(session, listener, not no_browser)


def _lineup(
    models: tuple[str, ...],
    framing: str | None,
    backend: str,
    arithmetic: "Arithmetic",
    configs: "ModelConfigs",
    size: tuple[int, int] | None,
) -> "Lineup":
    """The reference in float32 where there are candidates; a model alone as a candidate would be."""
    from fcrn_mobile.runtimes import open_runtime
    from fcrn_mobile.view.lineup import Lineup

    if len(models) == 1:
        alone = open_runtime(models[0], backend, arithmetic, model_config=configs.of(models[0]), size=size)
        return Lineup.of([alone], framing)
    reference, candidates = open_beside(models[0], models[1:], backend, (arithmetic,), configs, size)
    return Lineup.of([reference, *candidates], framing)
