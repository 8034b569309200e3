"""Checkpoint → ``.onnx``: deploy, export, simplify, check by onnxruntime."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from fcrn_mobile.conversion.artefact import conversion_errors, provenance
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.whole_file import written_whole

__all__ = ["INPUT_NAME", "OPSET", "OUTPUT_NAME", "TOLERANCE", "export_onnx"]

OPSET = 17
INPUT_NAME, OUTPUT_NAME = "image", "depth"
#: Largest difference to the float network, relative to its largest output, that the check by onnxruntime accepts.
TOLERANCE = 1e-4


def export_onnx(checkpoint: Checkpoint, recipe: Recipe, out: Path, force: bool = False) -> None:
    """Write an ONNX model with input ``image`` 1×3×H×W (RGB in 0..1) and output ``depth`` 1×1×h×w (metres).

    Args:
        checkpoint: the float network.
        recipe: gives input size and form; its precision must be fp32.
        out: destination, ending in .onnx; appears whole or not at all.
        force: overwrite.

    Raises:
        InputError: ``out`` exists, another precision than fp32, or onnxruntime disagrees with the float network.
    """
    if recipe.precision != "fp32":
        raise InputError(f"precision '{recipe.precision}' is not available for .onnx: use --precision fp32")
    import onnx
    import onnxsim

    size = recipe.input_size or checkpoint.network.config.input_size
    example = torch.rand(1, 3, *size)
    with written_whole(out, force) as partial, conversion_errors(checkpoint, recipe), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        # The tracing exporter: the other one needs onnxscript and gives this network nothing.
        torch.onnx.export(
            deploy(checkpoint.network, recipe.form),
            (example,),
            str(partial),
            dynamo=False,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=OPSET,
        )
        model, equal = onnxsim.simplify(onnx.load(str(partial)))
        if not equal:
            raise RuntimeError("onnxsim changed the network's output: report this with the checkpoint")
        onnx.helper.set_model_props(model, provenance(checkpoint, recipe, coreml=False))
        onnx.checker.check_model(model, full_check=True)
        _check_output(model.SerializeToString(), checkpoint, example)
        partial.write_bytes(model.SerializeToString())


def _check_output(model: bytes, checkpoint: Checkpoint, example: torch.Tensor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    depth = session.run([OUTPUT_NAME], {INPUT_NAME: example.numpy()})[0]
    with torch.no_grad():
        expected = checkpoint.network(example).numpy()
    error = float(np.abs(depth - expected).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise RuntimeError(f"onnxruntime differs from the float network by {error:.1e} (relative): report this with the checkpoint")
