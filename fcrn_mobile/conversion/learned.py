"""A quantization that was learned in training, carried into the package as it is: the same integers, tables and ranges."""

from typing import TYPE_CHECKING, Any

from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.conversion.weights import read_weights
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.quantized import Indices, Integers, Quantization

if TYPE_CHECKING:
    import coremltools as ct


def check_learned(checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Refuse a recipe that asks for another quantization than the checkpoint was trained with, or to change it on images.

    What a recipe corrects only where it can is passed over: there is nothing to correct.

    Raises:
        InputError: it does; says what to write instead.
    """
    assert checkpoint.quantization is not None
    settings = checkpoint.quantization.settings
    trained = make_recipe(settings, checkpoint.name)
    same = (recipe.scheme, recipe.activations, recipe.ops) == (trained.scheme, trained.activations, ())
    if not same or recipe.form != "four":
        keys = " ".join(f"{key} = {_toml(value)}" for key, value in settings.items())
        remedy = f"--precision {settings['precision']}" if len(settings) == 1 else f"a recipe with {keys} alone"
        raise InputError(
            f"'{checkpoint.name}' was trained as {settings['precision']}, which recipe '{recipe.name}' ({recipe.precision}) contradicts: "
            f"export it with {remedy}, or export the float checkpoint that it was trained from"
        )
    asked = "calibration" if recipe.calibration else recipe.correct.first_asked() if recipe.correct else None
    if asked:
        raise InputError(f"'{checkpoint.name}' was trained as it is to be stored: leave {asked} out of recipe '{recipe.name}'")


def register_learned(network: FCRN, quantization: Quantization) -> FCRN:
    """Note integers and tables beside the weights, as buffers that coremltools' converter reads (in place); returns the network.

    Their names are its documented way for models that were compressed in torch (coremltools guide, "Converting Compressed Source
    Models").
    """
    from coremltools.optimize.torch._utils.metadata_utils import CompressionMetadata

    for name, weight in quantization.weights.items():
        module, _, parameter = name.rpartition(".")
        metadata = CompressionMetadata(parameter)
        _describe(metadata, weight)
        metadata.register(network.get_submodule(module))
    return network


def check_stored(model: "ct.models.MLModel", quantization: Quantization) -> "ct.models.MLModel":
    """Hold the converted model to what was learned; returns it.

    Raises:
        RuntimeError: coremltools stored a weight otherwise.
    """
    stored = {weight.name: weight.stored for weight in read_weights(model)[0]}
    for name, weight in quantization.weights.items():
        made = stored.get(name.replace(".", "_"), "nothing")
        if made != weight.kind:
            raise RuntimeError(f"coremltools stored '{name}' as {made} instead of {weight.kind}: report this with the checkpoint")
    return model


def _describe(metadata: Any, weight: Integers | Indices) -> None:
    if isinstance(weight, Integers):
        metadata.quantization_n_bits, metadata.quantization_scale = weight.bits, weight.scale
        metadata.compression_type = ["quantization"]
    else:
        metadata.lut = weight.table
        metadata.compression_type = ["palettization"]


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
