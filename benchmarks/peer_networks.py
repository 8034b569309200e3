"""The two networks of ``peers.py`` as every engine takes them.

Ours is what this project deploys (``network.deploy``), exported by its own ``export``. The literal network is the paper's, in the form
that is trained: every up-block unpools and convolves 5×5, batch norms stand where they stood, NCHW. It is exported as one would without
this project, and simplified by onnxsim as ours is, so that an engine gets the best it can make of it.
"""

import contextlib
import copy
import io
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.conversion.artefact import INPUT_NAME, OUTPUT_NAME, Conversion
from fcrn_mobile.conversion.coreai import convert, describe, quiet_coreai
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.onnx import OPSET
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.latency.worker import Open
from fcrn_mobile.network.checkpoints import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from fcrn_mobile.network.deploy import taking_pixels
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig, set_form
from fcrn_mobile.network.resnet import BasicBlock, Bottleneck
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.runtimes import Runtime, open_runtime
from fcrn_mobile.runtimes.backends import BACKENDS
from fcrn_mobile.runtimes.openvino_runtime import check_installed
from fcrn_mobile.runtimes.torch_runtime import CompiledTorchRuntime, LiteralTorchRuntime

FORMS = ("literal", "ours")
#: Scale of the last batch norm of each residual branch of a random network.
DAMPING = 0.2


@dataclass(frozen=True)
class Engine:
    """What runs both networks.

    Attributes:
        name: in tables.
        backend: see ``open_runtime``.
        int8: whether weights and activations are quantized; its outputs agree less.
    """

    name: str
    backend: str
    int8: bool = False

    @property
    def threaded(self) -> bool:
        """Whether its number of threads can be set."""
        return BACKENDS[self.backend].threaded


ENGINES = (
    Engine("torch eager", "torch"),
    Engine("torch.compile", "torch-compiled"),
    Engine("ONNX Runtime fp32", "onnxruntime"),
    Engine("ONNX Runtime int8 static", "onnxruntime", int8=True),
    Engine("OpenVINO fp32", "openvino"),
    Engine("Core AI CPU fp32", "coreai"),
)


class CompiledLiteral(CompiledTorchRuntime, LiteralTorchRuntime):
    """The literal network through ``torch.compile``."""


def random_checkpoint(config: FCRNConfig, images: list[NDArray[np.uint8]], path: Path) -> None:
    """Random weights with the batch-norm statistics that images give them, so that no activation is degenerate; two images at least.

    Residual branches are damped as Goyal et al. 2017 (section 5.1) begin training, though not to nothing: undamped, fifty random layers
    magnify int8's rounding until the output is another one.
    """
    torch.manual_seed(0)
    network = FCRN(config)
    for module in network.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
            torch.nn.init.constant_(last.weight, DAMPING)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.stack([image_tensor(fit(image, config.input_size)) for image in images]))
    save_checkpoint(network.eval(), path, TrainingRecord(data="none: random weights"))


def build(model: str, engine: Engine, form: str, folder: Path, images: list[NDArray[np.uint8]]) -> str:
    """The file that ``engine`` runs for a form of a checkpoint; made once.

    Raises:
        InputError: the engine is not installed.
    """
    suffix = BACKENDS[engine.backend].suffix
    if engine.backend == "openvino":
        check_installed()
    path = folder / f"{form}{'-int8' if engine.int8 else ''}{suffix}"
    if path.exists():
        return str(path)
    if suffix == ".safetensors":
        shutil.copyfile(checkpoint_path(model), path)
    elif engine.int8:
        quantize(Path(build(model, Engine("", "onnxruntime"), form, folder, images)), path, images)
    elif form == "ours":
        export(load_checkpoint(model), Recipe(precision="fp32"), path)
    elif suffix == ".onnx":
        literal_onnx(load_checkpoint(model), path)
    else:
        literal_coreai(load_checkpoint(model), path)
    return str(path)


def opener(path: str, engine: Engine, form: str, threads: int | None) -> Open:
    """Opens what ``build`` made, in any process."""
    if form == "literal" and engine.backend.startswith("torch"):
        return partial(open_literal, path, engine.backend, threads)
    return partial(open_runtime, path, engine.backend, "float32", threads)


def open_literal(path: str, backend: str, threads: int | None) -> Runtime:
    """The literal network in torch."""
    if threads:
        torch.set_num_threads(threads)
    return LiteralTorchRuntime(path) if backend == "torch" else CompiledLiteral(path)


def literal_network(checkpoint: Checkpoint) -> FCRN:
    """As it was trained."""
    return set_form(copy.deepcopy(checkpoint.network), "literal")


def literal_onnx(checkpoint: Checkpoint, path: Path) -> None:
    """Traced and simplified."""
    import onnx
    import onnxsim

    network = literal_network(checkpoint)
    example = torch.rand(1, 3, *network.config.input_size)
    with silenced():
        names = {"input_names": [INPUT_NAME], "output_names": [OUTPUT_NAME]}
        torch.onnx.export(network, (example,), str(path), dynamo=False, opset_version=OPSET, **names)
        model, equal = onnxsim.simplify(onnx.load(str(path)))
    if not equal:
        raise RuntimeError("onnxsim changed the literal network's output")
    onnx.save(model, str(path))


def literal_coreai(checkpoint: Checkpoint, path: Path) -> None:
    """Converted with the settings of this project's export."""
    with quiet_coreai():
        network = literal_network(checkpoint)
        program = convert(taking_pixels(network), network.config.input_size)
        program.save_asset(path, metadata=describe(Conversion.of(checkpoint, Recipe(precision="fp32"), coreml=False)))


def quantize(model: Path, out: Path, images: list[NDArray[np.uint8]]) -> None:
    """Onnxruntime's static quantization: int8 weights per channel, uint8 activations with the ranges that ``images`` give (MinMax)."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    size = open_runtime(str(model), "onnxruntime", threads=1).input_size

    class Images(CalibrationDataReader):  # type: ignore[misc] # no types
        def __init__(self) -> None:
            self._left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._left, None)
            return None if image is None else {INPUT_NAME: image_tensor(fit(image, size)).unsqueeze(0).numpy()}

    prepared = out.with_name(f"prepared-{out.name}")
    with silenced():
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        quantize_static(str(prepared), str(out), Images(), per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    prepared.unlink()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Without the notes of exporters, simplifier and quantizers, some of which are native code's."""
    logging.disable(logging.WARNING)
    nothing, errors = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(nothing, 2)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        os.dup2(errors, 2)
        os.close(errors)
        os.close(nothing)


def difference(runtime: Runtime, expected: list[NDArray[np.float32]], images: list[NDArray[np.uint8]]) -> float:
    """Mean |candidate − float| / mean |float| of the outputs: a random network's may be near 0, where abs_rel means nothing."""
    outputs = [runtime.predict(image) for image in images]
    error = np.mean([np.abs(output - right).mean() for output, right in zip(outputs, expected, strict=True)])
    return float(error / np.mean([np.abs(right).mean() for right in expected]))
