"""``--model-config``: what a model from elsewhere takes and gives, where its file does not say it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.forms import form_of
from fcrn_mobile.package.metadata import ModelConfigs

__all__ = ["config_words", "model_config_option", "model_configs"]

_HELP = "TOML of what a model takes and gives, such as depth, mean, std, output; default: its metadata, else NAME.toml beside it."


def model_config_option(several: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--model-config FILE``; of a command with several models, ``[MODEL=]FILE`` as often as there are such models.

    The command gets ``model_config``: a path or None, or the texts for ``model_configs``.
    """
    if several:
        return click.option("--model-config", "model_config", multiple=True, metavar="[MODEL=]FILE", help=_HELP)
    return click.option("--model-config", type=click.Path(path_type=Path), metavar="FILE", help=_HELP)


def config_words(config: Path | None) -> list[str]:
    """The option as a user would type it, for the next command on the same model; nothing without a file."""
    return ["--model-config", str(config)] if config else []


def model_configs(models: Sequence[str], texts: Sequence[str]) -> ModelConfigs:
    """The model configs of ``[MODEL=]FILE`` texts.

    A file without a model is for all of them that are no checkpoints, which say themselves what they take.

    Raises:
        InputError: two files for one model.
    """
    own: dict[Path, Path] = {}
    common: list[Path] = []
    for text in texts:
        model = next((each for each in models if text.startswith(f"{each}=")), None)
        if model is None:
            common.append(Path(text))
        elif Path(model) in own:
            raise InputError(f"--model-config '{text}': '{model}' has one already, give each model one")
        else:
            own[Path(model)] = Path(text[len(model) + 1 :])
    if len(common) > 1:
        raise InputError(f"--model-config '{common[1]}' is a second one for all models: write MODEL=FILE")
    for model in models:
        form = form_of(model)
        if common and (form is None or "config" in form.options):
            own.setdefault(Path(model), common[0])
    return ModelConfigs(own)
