"""Values of public models from elsewhere than the runtime: an ONNX twin beside the file, torch layer by layer, or NumPy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["independent_values"]

_Values = Mapping[str, Any]


def independent_values(path: Path, model: Any, inputs: _Values) -> tuple[str, dict[str, Any]] | None:
    """Where values of a model come from that this runtime did not compute, and some of its results by name; None if there are none.

    Args:
        path: of the model; an ``.onnx`` file of the same name beside it is its twin.
        model: its specification.
        inputs: by name, as ``Program.predict`` takes them.
    """
    twin = path.with_suffix(".onnx")
    if twin.is_file():
        return f"ONNX Runtime on {twin.name}", _onnx(twin, model, inputs)
    kind = model.WhichOneof("Type")
    try:
        if kind in ("neuralNetwork", "neuralNetworkClassifier"):
            return "its layers in torch", _network(getattr(model, kind), model, inputs)
        if kind in ("pipelineRegressor", "pipelineClassifier"):
            return "its weights in NumPy", _linear([*_stages(getattr(model, kind).pipeline)], model, inputs)
    except (KeyError, NotImplementedError):  # layers or stages that are not computed here
        return None
    return None


def _onnx(twin: Path, model: Any, inputs: _Values) -> dict[str, Any]:
    """Inputs and outputs of the same number belong together, in the order of their names."""
    session = onnxruntime.InferenceSession(str(twin))
    names = sorted(each.name for each in session.get_inputs())
    taken = dict(zip(names, (inputs[name] for name in sorted(inputs)), strict=True))
    outputs = sorted(each.name for each in session.get_outputs())
    return dict(zip(sorted(each.name for each in model.description.output), session.run(outputs, taken), strict=True))


def _stages(pipeline: Any) -> Any:
    for stage in pipeline.models:
        kind = stage.WhichOneof("Type")
        inner = getattr(stage, kind)
        yield from _stages(getattr(inner, "pipeline", inner)) if kind.startswith("pipeline") else [(kind, inner)]


def _linear(stages: list[tuple[str, Any]], model: Any, inputs: _Values) -> dict[str, Any]:
    """w·x + b of numbers in the vectorizer's order, or of words at their places; a classifier's through the logistic function."""
    kinds = [kind for kind, _ in stages]
    if kinds == ["featureVectorizer", "glmRegressor"]:
        x = np.array([inputs[column.inputColumn] for column in stages[0][1].inputList], np.float64)
        return {model.description.predictedFeatureName: float(np.dot(stages[1][1].weights[0].value, x) + stages[1][1].offset[0])}
    if kinds != ["dictVectorizer", "featureVectorizer", "glmClassifier"]:
        raise NotImplementedError(kinds)
    words, last = list(stages[0][1].stringToIndex.vector), stages[2][1]
    (counts,) = inputs.values()
    total = last.offset[0] + sum(last.weights[0].value[words.index(word)] * count for word, count in counts.items() if word in words)
    second = 1 / (1 + np.exp(-total))
    labels = last.stringClassLabels.vector
    return {model.description.predictedProbabilitiesName: {labels[0]: 1 - second, labels[1]: second}}


def _network(network: Any, model: Any, inputs: _Values) -> dict[str, Any]:
    """Layers of version 1, one after the other, on one picture."""
    ((name, picture),) = inputs.items()
    pixels = torch.from_numpy(np.atleast_3d(np.array(picture, np.float32)).transpose(2, 0, 1)[None].copy())
    color = model.description.input[0].type.imageType.ColorSpace.Name(model.description.input[0].type.imageType.colorSpace)
    pixels = pixels.flip(1) if color == "BGR" else pixels
    for step in network.preprocessing:
        scaler, grey = step.scaler, color == "GRAYSCALE"
        biases = [scaler.grayBias] if grey else [scaler.redBias, scaler.greenBias, scaler.blueBias][:: -1 if color == "BGR" else 1]
        pixels = pixels * scaler.channelScale + torch.tensor(biases)[:, None, None]
    blobs = {name: pixels}
    for layer in network.layers:
        kind = layer.WhichOneof("layer")
        blobs[layer.output[0]] = _LAYERS[kind](getattr(layer, kind), *(blobs[each] for each in layer.input))
    if not hasattr(network, "stringClassLabels"):
        return {each.name: _result(blobs[each.name], each) for each in model.description.output}
    labels = list(network.stringClassLabels.vector or network.int64ClassLabels.vector)
    scores = blobs[network.labelProbabilityLayerName or network.layers[-1].output[0]].reshape(-1).tolist()
    return {model.description.predictedProbabilitiesName: dict(zip(labels, scores, strict=True))}


def _result(tensor: Tensor, description: Any) -> NDArray[Any]:
    """Pixels of a picture, or C×H×W."""
    if description.type.WhichOneof("Type") != "imageType":
        return tensor[0].numpy()
    pixels = tensor[0].round().clamp(0, 255)
    bgr = description.type.imageType.ColorSpace.Name(description.type.imageType.colorSpace) == "BGR"
    return (pixels.flip(0) if bgr else pixels).permute(1, 2, 0).numpy()


def _weights(params: Any, *shape: int) -> Tensor:
    if params.HasField("quantization"):
        raise NotImplementedError("quantized")
    half = bool(params.float16Value)
    values = np.frombuffer(params.float16Value, np.float16) if half else np.array(params.floatValue, np.float32)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def _convolution(params: Any, x: Tensor) -> Tensor:
    if params.isDeconvolution:
        raise NotImplementedError("deconvolution")
    kernel, stride = list(params.kernelSize) or [3, 3], list(params.stride) or [1, 1]
    dilation = list(params.dilationFactor) or [1, 1]
    groups = params.nGroups or 1
    weight = _weights(params.weights, params.outputChannels, params.kernelChannels, *kernel)
    bias = _weights(params.bias, params.outputChannels) if params.hasBias else None
    return F.conv2d(F.pad(x, _padding(params, x, kernel, stride, dilation)), weight, bias, stride, 0, dilation, groups)


def _padding(params: Any, x: Tensor, kernel: list[int], stride: list[int], dilation: list[int]) -> list[int]:
    """Left, right, top, bottom."""
    if params.WhichOneof(next(each.name for each in params.DESCRIPTOR.oneofs if "adding" in each.name)) != "same":
        edges = params.valid.paddingAmounts.borderAmounts
        return [edges[1].startEdgeSize, edges[1].endEdgeSize, edges[0].startEdgeSize, edges[0].endEdgeSize] if edges else [0] * 4
    pads = []
    for axis in (1, 0):
        length = x.shape[2 + axis]
        total = max((-(-length // stride[axis]) - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - length, 0)
        pads += [total - total // 2, total // 2] if params.same.asymmetryMode else [total // 2, total - total // 2]
    return pads


def _pooling(params: Any, x: Tensor) -> Tensor:
    kernel, stride = list(params.kernelSize) or [3, 3], list(params.stride) or [1, 1]
    if params.globalPooling:
        return x.amax((2, 3), keepdim=True) if params.type == 0 else x.mean((2, 3), keepdim=True)
    if params.type != 0 or params.WhichOneof("PoolingPaddingType") == "includeLastPixel":
        raise NotImplementedError("pooling")
    return F.max_pool2d(F.pad(x, _padding(params, x, kernel, stride, [1, 1]), value=float("-inf")), kernel, stride)


def _activation(params: Any, x: Tensor) -> Tensor:
    kind = params.WhichOneof("NonlinearityType")
    constants = getattr(params, kind)
    simple = {"ReLU": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
    if kind == "linear":
        return constants.alpha * x + constants.beta
    return F.leaky_relu(x, constants.alpha) if kind == "leakyReLU" else simple[kind](x)


def _batchnorm(params: Any, x: Tensor) -> Tensor:
    if params.computeMeanVar:
        raise NotImplementedError("instance norm")
    gamma, beta, mean, variance = (_weights(each, params.channels) for each in (params.gamma, params.beta, params.mean, params.variance))
    return F.batch_norm(x, mean, variance, gamma, beta, eps=params.epsilon)


def _unary(params: Any, x: Tensor) -> Tensor:
    x = (params.scale or 1.0) * x + params.shift
    limit = params.epsilon or 1e-6
    kind = params.Operation.Name(params.type)
    return {
        "THRESHOLD": lambda: x.clamp(min=params.alpha),
        "ABS": x.abs,
        "SQRT": x.sqrt,
        "INVERSE": lambda: 1 / (x + limit),
        "POWER": lambda: x**params.alpha,
    }[kind]()


def _flatten(params: Any, x: Tensor) -> Tensor:
    return (x.permute(0, 2, 3, 1) if params.mode == 1 else x).reshape(1, -1, 1, 1)


def _upsample(params: Any, x: Tensor) -> Tensor:
    size = [length * factor for length, factor in zip(x.shape[2:], params.scalingFactor, strict=True)]
    if params.mode != 0:
        raise NotImplementedError("bilinear")
    return F.interpolate(x, size=size)


def _inner_product(params: Any, x: Tensor) -> Tensor:
    bias = _weights(params.bias, params.outputChannels) if params.hasBias else None
    return F.linear(x.reshape(1, -1), _weights(params.weights, params.outputChannels, params.inputChannels), bias)[..., None, None]


_LAYERS: dict[str, Any] = {
    "activation": _activation,
    "add": lambda params, *x: sum(x[1:], start=x[0]) + (params.alpha if len(x) == 1 else 0),
    "batchnorm": _batchnorm,
    "concat": lambda params, *x: torch.cat(x, 1),
    "convolution": _convolution,
    "flatten": _flatten,
    "innerProduct": _inner_product,
    "pooling": _pooling,
    "softmax": lambda params, x: torch.softmax(x, 1),
    "unary": _unary,
    "upsample": _upsample,
}
