"""What all artefacts have in common: the network they are made from, and what they say of where they come from."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

import fcrn_mobile
from fcrn_mobile.conversion.calibration import CalibrationImages, measuring_images
from fcrn_mobile.conversion.recipe import COREML_ONLY, Recipe, make_scale
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.depth_contract import IN_UNITS, UNITS
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.deploy import rescaled
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.package.metadata import Metadata

__all__ = [
    "AUTHOR",
    "INPUT_NAME",
    "LICENCE",
    "OUTPUT_NAME",
    "Conversion",
    "conversion_errors",
    "deployed",
    "in_units",
    "provenance",
    "recipe_of",
    "recipe_text",
    "scale_of",
]

AUTHOR = "fcrn-mobile"
LICENCE = "MIT (converter); weights as stated in the training data of the checkpoint"
INPUT_NAME, OUTPUT_NAME = "image", "depth"
#: Of a library's message that is shown: some hold whole graphs.
_LONGEST = 200


@dataclass(frozen=True, eq=False)
class Conversion:
    """What the writer of an artefact is given, of whatever kind.

    Attributes:
        checkpoint, recipe: as they are.
        size: height and width of the input in pixels.
        network: the checkpoint's, rewritten for deployment; the writer's own to change.
        images: to measure and to correct on; None if there is nothing to.
        metadata: the artefact's, see ``provenance``.
        errors: in which libraries run, see ``conversion_errors``.
    """

    checkpoint: FloatNetwork
    recipe: Recipe
    size: tuple[int, int]
    network: nn.Module
    images: CalibrationImages | None
    metadata: dict[str, str]
    errors: AbstractContextManager[None]

    @classmethod
    def of(cls, checkpoint: FloatNetwork, recipe: Recipe, coreml: bool) -> "Conversion":
        """Everything that follows from a checkpoint and a complete recipe; ``coreml``: see ``provenance``.

        Raises:
            InputError: images that cannot be had.
        """
        images = None if checkpoint.quantization else measuring_images(recipe)
        return cls(
            checkpoint,
            recipe,
            recipe.input_sizes[0] if recipe.input_sizes else recipe.input_size or checkpoint.input_size,
            deployed(checkpoint, recipe),
            images,
            provenance(checkpoint, recipe, coreml) | (images.to_metadata() if images else {}),
            conversion_errors(checkpoint.name, recipe),
        )

    @property
    def in_units(self) -> str:
        """What its depth is, see ``in_units``."""
        return in_units(self.checkpoint, self.recipe)


def in_units(network: FloatNetwork, recipe: Recipe) -> str:
    """What the depth of a network's artefact is, as the end of a sentence: a scale makes metres."""
    return IN_UNITS[network.contract.depth if recipe.scale is None else "metres"]


def deployed(checkpoint: FloatNetwork, recipe: Recipe) -> nn.Module:
    """A network as it is converted: in the form that a recipe asks for, its depth times the recipe's scale.

    Raises:
        InputError: a scale for weights that are quantized, or for another network than an FCRN.
    """
    network = checkpoint.deployed(recipe.form)
    if recipe.scale is None:
        return network
    if checkpoint.quantization:
        raise InputError(f"scale = {recipe.scale:g} changes weights, and those of '{checkpoint.name}' are quantized: leave it out")
    return rescaled(network, recipe.scale)


@contextmanager
def conversion_errors(model: str, recipe: Recipe) -> Iterator[None]:
    """Turn whatever a conversion library raises into one line; the exception itself stays as its cause.

    Args:
        model: what is converted, by name.
        recipe: how.

    Raises:
        InputError: instead of any other exception, but those of the system and of memory.
    """
    try:
        yield
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")[:_LONGEST]
        raise InputError(
            f"'{model}' cannot be converted with recipe '{recipe.name}' ({type(error).__name__}: {reason}): "
            "try another --precision; --debug shows where it stopped"
        ) from error


def provenance(checkpoint: FloatNetwork, recipe: Recipe, coreml: bool) -> dict[str, str]:
    """User-defined metadata of an artefact: version, recipe, network, checkpoint, training data, units.

    Args:
        checkpoint: what it was made from.
        recipe: how.
        coreml: whether the settings that only Core ML knows are true of it.
    """
    facts = Metadata.of(checkpoint, fcrn_mobile.__version__)
    if recipe.scale is not None:
        # Metres by a measured scale hold for the camera that it was measured with, of which nothing is known.
        facts = replace(facts, output_units=UNITS["metres"], camera="{}")
    return replace(facts, recipe=recipe_text(recipe, coreml), network=checkpoint.kind).to_dict()


def recipe_text(recipe: Recipe, coreml: bool = True) -> str:
    """A recipe as the metadata of an artefact hold it; ``coreml``: see ``provenance``."""
    settings = {key: value for key, value in recipe.to_json().items() if coreml or key not in COREML_ONLY}
    if "calibration" in settings and "data" in settings["calibration"]:
        # Where images lie on this machine is nobody else's business.
        settings["calibration"] |= {"data": portable(settings["calibration"]["data"])}
    return json.dumps(settings)


def recipe_of(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The recipe in an artefact's metadata; empty if there is none.

    Args:
        metadata: see ``provenance``.
        path: of the artefact, for the message.

    Raises:
        InputError: it is not readable.
    """
    written = Metadata.from_dict(metadata)
    try:
        settings = written.settings()
        if not isinstance(settings.get("budget", {}), dict):
            raise TypeError("its budget is none")
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"'{path}' has a recipe in its metadata that is not readable ('{written.recipe:.40}'): export it again") from error
    return settings


def scale_of(metadata: Mapping[str, str], path: Path) -> float | None:
    """By what an artefact's depth was multiplied when it was made; None for nothing.

    Raises:
        InputError: as of ``recipe_of``, or the scale is none.
    """
    scale = recipe_of(metadata, path).get("scale")
    return None if scale is None else make_scale(scale)
