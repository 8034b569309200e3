"""What an export adds to a recipe that leaves something open: the built-in sample to correct on, and what a checkpoint has learned."""

from dataclasses import replace

from fcrn_mobile.conversion.correct_table import Correct
from fcrn_mobile.conversion.learned import learned_recipe
from fcrn_mobile.conversion.recipe import Calibration, Recipe, make_recipe
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.quantize.scheme import newest

__all__ = ["SAMPLE", "completed", "short_recipe"]

#: Images that weights are corrected on where a recipe names none; the sample's other part is left to validate on.
SAMPLE = Calibration("sample#train", 20)


def short_recipe(precision: str | None, checkpoint: FloatNetwork | None = None) -> Recipe:
    """The recipe of a short name.

    Integers and palettes are corrected as the recipes of ``export/`` are; not sparse and joined weights, which keep their values, and not
    one-bit palettes, which corrections make worse (``export/README.md``).

    Args:
        precision: the name; None for what the checkpoint was trained for, half precision if that is nothing.
        checkpoint: to be exported; None where it is a package that is compressed.

    Raises:
        InputError: an unknown name.
    """
    learned = learned_recipe(checkpoint) if checkpoint else None
    if precision is None:
        return learned or Recipe()
    recipe = make_recipe({"precision": precision}, "--precision")
    palette, linear = recipe.scheme.palette, recipe.scheme.linear
    plain = not learned and recipe.scheme.sparsity is None and (palette is None) != (linear is None) and recipe.activations != "int8"
    return replace(recipe, correct=Correct()) if plain and (palette is None or palette.bits > 1) else recipe


def completed(checkpoint: FloatNetwork | None, recipe: Recipe, correct: bool = True) -> Recipe:
    """The recipe as an export follows it.

    Args:
        checkpoint: to be exported; None where it is a package that is compressed.
        recipe: as it was given.
        correct: whether compressed weights are corrected where the recipe asks for it, on the built-in sample if it names no images.
    """
    if checkpoint and (learned := learned_recipe(checkpoint)):
        # One that names what was learned and no options has those that were trained for.
        names_it = recipe.precision == learned.precision and not recipe.options
        return replace(recipe, options=learned.options, target=newest((recipe.target, learned.target))) if names_it else recipe
    if recipe.correct is None:
        return recipe
    if not correct:
        return replace(recipe, correct=None, calibration=recipe.calibration if recipe.activations == "int8" else None)
    # Ranges of activations are never measured on the sample unasked: they do not carry over from it as corrections do.
    if recipe.activations == "int8" or not recipe.correct.sees_images or (recipe.calibration and recipe.calibration.data):
        return recipe
    # Of a number or a seed alone, the data are still to be named.
    return replace(recipe, calibration=replace(recipe.calibration, data=SAMPLE.data) if recipe.calibration else SAMPLE)
