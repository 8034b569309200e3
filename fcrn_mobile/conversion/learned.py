"""A quantization that was learned in training, carried into the package as it is: the same integers, tables and ranges."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.conversion.weights import read_weights
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import checkpoint_path
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.network.forms import BUILTIN
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.package.pymil import note_compression
from fcrn_mobile.quantize.grids import Integers

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["check_learned", "check_stored", "float_start", "learned_recipe", "register_learned"]


def learned_recipe(checkpoint: FloatNetwork) -> Recipe | None:
    """The recipe that a checkpoint was trained for; None for a float one."""
    return make_recipe(checkpoint.quantization.settings, checkpoint.name) if checkpoint.quantization else None


def check_learned(checkpoint: FloatNetwork, recipe: Recipe) -> None:
    """Refuse a recipe that asks for another quantization than the checkpoint was trained with, or to change it on images.

    What a recipe corrects only where it can is passed over: there is nothing to correct. A float checkpoint passes.

    Raises:
        InputError: it does; says what to write instead.
    """
    trained = learned_recipe(checkpoint)
    if trained is None:
        return
    same = (recipe.scheme, recipe.activations, recipe.ops) == (trained.scheme, trained.activations, ())
    if not same or recipe.form != "four":
        raise InputError(
            f"'{checkpoint.name}' was trained as {trained.precision}, which recipe '{recipe.name}' ({recipe.precision}) contradicts: "
            f"export it with --precision {trained.precision}, or export the float checkpoint that it was trained from"
        )
    setting = "calibration" if recipe.calibration else recipe.correct.first_asked() if recipe.correct else None
    if setting:
        raise InputError(f"'{checkpoint.name}' was trained as it is to be stored: leave {setting} out of recipe '{recipe.name}'")


def register_learned(network: nn.Module, quantization: Quantization) -> nn.Module:
    """Note integers and tables beside the weights, for coremltools' converter (in place); returns the network."""
    for name, weight in quantization.weights.items():
        module, _, parameter = name.rpartition(".")
        owner, grid = network.get_submodule(module), weight.grid
        if isinstance(grid, Integers):
            note_compression(owner, parameter, "quantization", quantization_n_bits=grid.bits, quantization_scale=grid.scale)
        else:
            note_compression(owner, parameter, "palettization", lut=grid.entries)
    return network


def check_stored(model: "ct.models.MLModel", quantization: Quantization) -> "ct.models.MLModel":
    """Hold the converted model to what was learned; returns it.

    Raises:
        RuntimeError: coremltools stored a weight otherwise.
    """
    stored = {weight.name: weight.stored for weight in read_weights(model)[0]}
    for name, weight in quantization.weights.items():
        kind = stored.get(name.replace(".", "_"), "nothing")
        if kind != weight.grid.kind:
            raise RuntimeError(f"coremltools stored '{name}' as {kind} instead of {weight.grid.kind}: report this with the checkpoint")
    return model


def float_start(checkpoint: FloatNetwork, name: str) -> str | None:
    """The float network that a checkpoint's packages are held to: the checkpoint itself, or what a learned quantization started from.

    Args:
        checkpoint: to be exported.
        name: by which it was opened.

    Returns:
        ``builtin`` or a path; None where the checkpoint does not say, or its start is not where it was.
    """
    if checkpoint.quantization is None:
        return name
    start = checkpoint.training.start or ""
    if start == BUILTIN:
        return start
    # The checkpoint has the file's name alone, its run where it was.
    try:
        run = json.loads((checkpoint_path(name).parent / "run.json").read_text(encoding="utf-8"))
        path = Path(run["start"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(path) if path.name == Path(start).name and path.is_file() else None
