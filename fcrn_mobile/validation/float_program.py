"""The float program that a package is held against: another package, or a checkpoint exported as the package was."""

import json
import tempfile
from pathlib import Path
from typing import Any

from fcrn_mobile.conversion.coreml import export_coreml
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import BUILTIN, load_checkpoint
from fcrn_mobile.validation.sensitivity import check_depth_program


def float_program(reference: str, candidate: Program) -> Program:
    """Load a package, or export a checkpoint in single precision with the form, target and input size of the candidate.

    Args:
        reference: ``builtin``, a .safetensors or an .mlpackage path.
        candidate: a depth program; the same export settings give operators the same names.

    Raises:
        InputError: no such model, or of another kind; a candidate that is no depth model or whose recipe cannot be read.
    """
    if Path(reference).suffix == ".mlpackage":
        return Program.load(reference)
    if reference != BUILTIN and Path(reference).suffix != ".safetensors":
        raise InputError(
            f"reference '{reference}' is neither '{BUILTIN}' nor a .safetensors or .mlpackage: its operators cannot be compared"
        )
    check_depth_program(candidate, "the candidate")
    checkpoint = load_checkpoint(reference)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.mlpackage"
        export_coreml(checkpoint, _float_recipe(candidate), path)
        return Program.load(path)


def _float_recipe(candidate: Program) -> Recipe:
    try:
        told: dict[str, Any] = json.loads(candidate.metadata.get("fcrn_mobile.recipe", "{}"))
        kept = {key: told[key] for key in ("form", "target") if key in told}
    except (ValueError, TypeError) as error:
        raise InputError(f"the recipe in the candidate's metadata cannot be read ({error}): export it again") from error
    # An array: a Float16 image would round the reference's depth.
    plain = {"precision": "fp32", "output": "array", "input_size": list(candidate.inputs[0].shape)}
    return make_recipe(kept | plain, "the candidate's metadata")
