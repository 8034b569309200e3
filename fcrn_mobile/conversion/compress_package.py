"""A float ``.mlpackage`` → a compressed one, without the network that it came from."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import fcrn_mobile
from fcrn_mobile.conversion.artefact import conversion_errors, recipe_of, recipe_text, scale_of
from fcrn_mobile.conversion.calibration import CalibrationImages, measuring_images
from fcrn_mobile.conversion.completed import completed
from fcrn_mobile.conversion.compressed import compressed
from fcrn_mobile.conversion.equalise_program import equalise_program
from fcrn_mobile.conversion.float_package import FloatPackage
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import read_weights, summary
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quantize.scheme import newest
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.whole_file import check_destination, written_whole

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["compress_package", "package_recipe"]


def compress_package(
    package: FloatPackage, recipe: Recipe, out: Path, force: bool = False, on_step: OnStep | None = None, may_stay: bool = False
) -> None:
    """Write a package with what the recipe asks for; it appears there whole or not at all.

    Args:
        package: float.
        recipe: see ``package_recipe``.
        out: destination, ending in .mlpackage.
        force: overwrite.
        on_step: progress of corrections and calibration.
        may_stay: whether a recipe may leave all weights as they are.

    Raises:
        InputError: another suffix; existing destination, or its folder does not; a recipe that does not suit the package or leaves it as it
            is; images that cannot be had; coremltools fails, or does otherwise than it was asked to.
    """
    if out.suffix != ".mlpackage":
        raise InputError(f"'{out}' ends in '{out.suffix}': a package is compressed to an .mlpackage")
    check_destination(out, force)
    images = measuring_images(recipe)
    with written_whole(out, force) as partial, quiet_coremltools():
        with conversion_errors(str(package.path), recipe):
            model = package.prepared(recipe)
            if recipe.equalises:
                model = equalise_program(model, recipe)
            model = compressed(model, recipe, images, on_step)
            if not may_stay:
                _check_changed(package, model, recipe)
        _describe(model, package, recipe, images)
        model.save(str(partial))


def package_recipe(package: FloatPackage, recipe: Recipe, correct: bool = True) -> Recipe:
    """The recipe as ``compress_package`` follows it: complete, with those settings that the package has already.

    Args:
        package: to be compressed.
        recipe: as it was given.
        correct: whether compressed weights are corrected where the recipe has a table for it, on the built-in sample if it names no images.

    Raises:
        InputError: a setting of the network that the package was made with otherwise; images for a package that takes none.
    """
    recipe = _without_pictures(package, recipe)
    if recipe.activations == "int8" and not (recipe.calibration and recipe.calibration.data):
        raise InputError(
            f"recipe '{recipe.name}' asks for int8 activations, whose ranges are measured on images: "
            "give --calibration SPEC#split, or data in its [calibration]"
        )
    recipe = completed(None, recipe, correct)
    settings = recipe_of(package.written, package.path)
    form, scale = settings.get("form", "four"), scale_of(package.written, package.path)
    if recipe.scale not in (None, scale):
        raise InputError(f"recipe '{recipe.name}' has a scale, which only an export can fold in: leave it out")
    if recipe.form not in (form, "four"):
        raise InputError(f"recipe '{recipe.name}' asks for form = \"{recipe.form}\", which only an export can choose: leave it out")
    size = package.picture_size
    if recipe.input_size and recipe.input_size != size:
        takes = f"takes {by(size)}" if size else "is not known to take a picture"
        raise InputError(f"recipe '{recipe.name}' asks for {by(recipe.input_size)} pixels, '{package.path}' {takes}: leave input_size out")
    sizes = package.picture_sizes
    if recipe.input_sizes and set(recipe.input_sizes) != set(sizes):
        raise InputError(f"recipe '{recipe.name}' has input_sizes, which only an export can choose: leave them out")
    is_image = any(feature.kind == "image" for feature in package.outputs)
    target = newest((recipe.target, package.target))
    return replace(
        recipe,
        input_size=None if sizes else size,
        input_sizes=sizes,
        form=form,
        output="image" if is_image else "array",
        target=target,
        scale=scale,
    )


def _without_pictures(package: FloatPackage, recipe: Recipe) -> Recipe:
    """The recipe without what looks at images, for a package that does not take one picture."""
    if package.problem is None:
        return recipe
    correct, images = recipe.correct, recipe.calibration and recipe.calibration.data
    if recipe.activations == "int8" or images or (correct and (correct.rounding or correct.bias)):
        raise InputError(f"nothing can be measured on images: {package.problem}")
    return recipe if correct is None else replace(recipe, correct=replace(correct, rounding=False, bias=False), calibration=None)


def _check_changed(package: FloatPackage, model: "ct.models.MLModel", recipe: Recipe) -> None:
    before, after = summary(package.weights), summary(read_weights(model)[0])
    if before == after and recipe.activations != "int8":
        kinds = ", ".join(before)
        raise InputError(f"'{recipe.precision}' leaves all weights of '{package.path}' as they are ({kinds}): use another --precision")


def _describe(model: "ct.models.MLModel", package: FloatPackage, recipe: Recipe, images: CalibrationImages | None) -> None:
    """Keep what the author wrote, and add what was done. Descriptions that we wrote name the precision."""
    before = recipe_of(package.written, package.path).get("precision")
    text = package.model.short_description
    model.short_description = text.removesuffix(f", {before}).") + f", {recipe.precision})." if text.endswith(f", {before}).") else text
    keys = Metadata(version=fcrn_mobile.__version__, recipe=recipe_text(recipe), source_sha256=package.sha256).to_dict()
    keys |= images.to_metadata() if images else {}
    model.user_defined_metadata.update(dict(package.model.user_defined_metadata) | keys)
