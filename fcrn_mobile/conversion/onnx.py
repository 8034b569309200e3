"""Checkpoint → ``.onnx``: deploy, export, simplify, check by onnxruntime."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fcrn_mobile.conversion.artefact import INPUT_NAME, OUTPUT_NAME, Conversion

__all__ = ["OPSET", "TOLERANCE", "write_onnx"]

OPSET = 17
#: Largest difference to the float network, relative to its largest output, that the check by onnxruntime accepts.
TOLERANCE = 1e-4


def write_onnx(conversion: Conversion, path: Path) -> None:
    """Write an ONNX model with input ``image`` 1×3×H×W (RGB in 0..1) and output ``depth`` 1×1×h×w (metres), in float32.

    Raises:
        InputError: onnxruntime disagrees with the float network, or a library fails.
    """
    import onnx
    import onnxsim

    example = torch.rand(1, 3, *conversion.size)
    with conversion.errors, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        # The tracing exporter: the other one needs onnxscript and gives this network nothing.
        torch.onnx.export(
            conversion.network,
            (example,),
            str(path),
            dynamo=False,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=OPSET,
        )
        model, equal = onnxsim.simplify(onnx.load(str(path)))
        if not equal:
            raise RuntimeError("onnxsim changed the network's output: report this with the checkpoint")
        onnx.helper.set_model_props(model, conversion.metadata)
        onnx.checker.check_model(model, full_check=True)
        _check_output(model.SerializeToString(), conversion.checkpoint.network, example)
        path.write_bytes(model.SerializeToString())


def _check_output(model: bytes, network: nn.Module, example: torch.Tensor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    depth = session.run([OUTPUT_NAME], {INPUT_NAME: example.numpy()})[0]
    with torch.no_grad():
        expected = network(example).numpy()
    error = float(np.abs(depth - expected).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise RuntimeError(f"onnxruntime differs from the float network by {error:.1e} (relative): report this with the checkpoint")
