"""A float program → the same program with what a recipe asks for: weights in fewer bits, corrected, activations quantized.

This is the second half of every Core ML export, and all of ``compress``: it asks nothing of where the program comes from.
"""

from typing import TYPE_CHECKING

from fcrn_mobile.conversion.activations import with_int8_activations
from fcrn_mobile.conversion.calibration import CalibrationImages
from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.correct import correct
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.progress import OnStep

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["compressed"]


def compressed(
    model: "ct.models.MLModel", recipe: Recipe, images: CalibrationImages | None, on_step: OnStep | None = None
) -> "ct.models.MLModel":
    """The model as the recipe stores it, corrected as far as it asks and images allow.

    Args:
        model: float, in the arithmetic that the result is to have.
        recipe: how.
        images: to correct and to calibrate on; None if there is nothing to.
        on_step: progress of corrections, operator by operator, then of calibration, image by image.

    Raises:
        InputError: an override that matches nothing, or a scheme that does not fit a weight.
        RuntimeError: coremltools left a weight or an operator otherwise than it was asked to.
    """
    package = compress(model, recipe)
    if recipe.correct:
        package = correct(model, package, recipe.correct, images.images if images else (), on_step)
    if images and recipe.activations == "int8":
        package = with_int8_activations(package, model, recipe, images, on_step)
    return package
