"""Options of commands that take a float network from outside."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.forms import form_of, parse_network, size_of

__all__ = ["FORMS_HELP", "named_network", "network_options"]

#: What a command's help says of such networks.
FORMS_HELP = (
    "A network from outside is a .pt2 of torch.export.save, a folder of Hugging Face form (config.json, preprocessor_config.json, "
    "model.safetensors; extra `transformers`), or package.module:factory, your own code, which runs: the factory, called without "
    "arguments, gives a torch.nn.Module. Options may also stand in the name: net:unet?weights=unet.pth&config=unet.toml&size=384x512."
)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--weights``, ``--model-config`` and ``--input-size``, to be given to ``named_network``."""
    options = (
        click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Of a factory's network: .safetensors or .pth."),
        click.option(
            "--model-config", "config", type=click.Path(path_type=Path), metavar="FILE", help="TOML: what a network takes and gives."
        ),
        click.option(
            "--input-size", "size", metavar="HxW", help="Height and width of the pictures that it takes, such as 384x512; else its own."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def named_network(model: str, weights: Path | None, config: Path | None, size: str | None) -> str:
    """A float network's name with options, as ``network.forms`` reads it.

    Raises:
        InputError: an option that this form does not have.
    """
    spec, form = parse_network(model), form_of(model)
    options = {"weights": weights, "config": config, "size": size_of(size, "--input-size") if size else None}
    for name, value in options.items():
        if value is not None and (form is None or name not in form.options):
            flag = {"weights": "--weights", "config": "--model-config", "size": "--input-size"}[name]
            raise InputError(f"{flag} is for networks from outside, '{spec.model}' says it itself: leave it out")
    return str(replace(spec, **{name: value for name, value in options.items() if value is not None}))  # type: ignore[arg-type] # as fields
