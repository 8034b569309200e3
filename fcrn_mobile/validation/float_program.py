"""The float program that a package is held against: another package, or a float network prepared as the package's was."""

from dataclasses import replace
from pathlib import Path

from fcrn_mobile.conversion.activations import as_program
from fcrn_mobile.conversion.artefact import deployed
from fcrn_mobile.conversion.coreml import equalised, float_model, prepared
from fcrn_mobile.conversion.equalise_program import equalise_program
from fcrn_mobile.conversion.float_package import open_float_package
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.network.forms import form_of, open_network
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.reading import SUFFIXES
from fcrn_mobile.quiet import quiet_coremltools

__all__ = ["float_program"]


def float_program(reference: str, candidate: Program, model_config: Path | None = None) -> Program:
    """Load a package, or convert a float network in single precision with the form, target and input size of the candidate.

    A candidate that was equalised holds other values inside than the checkpoint, and gives the same depth: its float network is
    equalised in the same way, so that only what compression did to it is a difference.

    Args:
        reference: a float network, see ``network.forms``, or an .mlpackage path.
        candidate: a depth program; the same settings give operators the same names.
        model_config: of a package, where it does not say itself what it takes.

    Raises:
        InputError: no such model, or of another kind; a candidate that is no depth model or whose recipe cannot be read; a checkpoint
            of a quantized network; a package against one that was equalised otherwise.
    """
    if Path(reference).suffix in SUFFIXES:
        return _package(DepthProgram.load(reference, model_config=model_config), reference, candidate, model_config)
    if form_of(reference) is None:
        raise InputError(
            f"operators of reference '{reference}' cannot be compared: give 'builtin', a .safetensors, another network or an .mlpackage"
        )
    size = DepthProgram.of(candidate, "the candidate").input_size
    if _recipe(candidate).equalises and Metadata.from_dict(candidate.metadata).source_sha256:
        raise InputError(f"the candidate was equalised as a package, not as '{reference}': give the .mlpackage that it was compressed from")
    checkpoint = open_network(reference)
    if checkpoint.quantization:
        trained = checkpoint.quantization.settings["precision"]
        raise InputError(f"reference '{reference}' was trained as {trained}: give the float checkpoint that it was trained from")
    return _converted(checkpoint, _recipe(candidate), size)


def _package(program: Program, reference: str, candidate: Program, model_config: Path | None) -> Program:
    balanced = [_recipe(each).equalises for each in (candidate, program)]
    if balanced == [True, False] and Metadata.from_dict(candidate.metadata).source_sha256:
        with quiet_coremltools():
            return as_program(equalise_program(open_float_package(Path(reference), model_config).model, _recipe(candidate)))
    if balanced[0] != balanced[1]:
        raise InputError(
            f"of reference '{reference}' and the candidate only one was equalised, so that their operators give different values: "
            "give the checkpoint that both come from as the reference"
        )
    return program


def _converted(checkpoint: FloatNetwork, recipe: Recipe, size: tuple[int, ...]) -> Program:
    # An array: a Float16 image would round the reference's depth.
    plain = Recipe(precision="fp32", output="array", target=recipe.target)
    height, width = size
    with quiet_coremltools():
        network = prepared(deployed(checkpoint, recipe), recipe)
        program = as_program(equalised(float_model(network, (height, width), plain)[0], network, recipe))
    return replace(program, contract=DepthContract(depth=checkpoint.contract.depth, framing=checkpoint.contract.framing))


def _recipe(program: Program) -> Recipe:
    """What the metadata say that a package was made with; the defaults for a package of other makers."""
    try:
        return make_recipe(Metadata.from_dict(program.metadata).settings(), "the package's metadata")
    except (ValueError, TypeError) as error:
        raise InputError(f"the recipe in the package's metadata cannot be read ({error}): export it again") from error
