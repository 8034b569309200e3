"""A neural network as a MIL function: its inputs, layer by layer, its outputs."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.mil.interface import CHANNELS, Feature
from fcrn_mobile.mil.neural_network.builder import needed
from fcrn_mobile.mil.neural_network.layer import Network
from fcrn_mobile.mil.neural_network.layers import LAYERS, REFUSED
from fcrn_mobile.mil.neural_network.layers.control import reads, sequence
from fcrn_mobile.mil.neural_network.tensor import Probes, Shape, Tensor, meta, product
from fcrn_mobile.mil.shapes import ShapeRule, by
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function
    from coremltools.proto.Model_pb2 import Model

__all__ = ["NETWORKS", "Translated", "translate"]

#: Kinds of model that hold a network.
NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")

#: Operator set of iOS 15, whose indices may count from the end as those of layers may.
_OPSET = "CoreML5"
#: Of a length without an upper end, what it is tried with besides its least and its default.
_LARGE = 256
#: Of the shapes that an input with ranges is tried with, so many can be the first, see ``_shapes``.
_LEAST = 3


@dataclass(frozen=True)
class Translated:
    """A network as MIL.

    Attributes:
        function, block: its signature and operators.
        arrays: weights that the operators name by their index, see ``Constants``.
    """

    function: "Function"
    block: "Block"
    arrays: list[NDArray[Any]]


class _LayerError(MilError):
    """One that names the layer, maybe of a network in a layer."""


def translate(model: "Model", where: str) -> Translated:
    """The network of a specification.

    Lengths that an input leaves open are inferred from shapes that it may have. Often its least ones are none with which the layers work
    (a range of sizes that begins at 1): then larger ones tell.

    Args:
        model: of a kind in ``NETWORKS``.
        where: names the file in messages.

    Raises:
        MilError: a layer that this runtime lacks or whose parameters do not hang together; inputs that no network has.
    """
    inputs = [Feature.from_description(feature) for feature in model.description.input]
    is_open = any(low != high for feature in inputs for low, high in feature.shapes.ranges)
    problems: list[_LayerError] = []
    for least in range(_LEAST if is_open else 1):
        try:
            return _translated(model, inputs, least, where)
        except _LayerError as error:
            problems.append(error)
    raise problems[0]


def _translated(model: "Model", inputs: list[Feature], least: int, where: str) -> Translated:
    """The network, lengths inferred from the shapes that ``_shapes`` gives from ``least`` on."""
    network = getattr(model, str(model.WhichOneof("Type")))
    outputs = [Feature.from_description(feature) for feature in model.description.output]
    arrays = [feature for feature in inputs if feature.kind == "array"]
    images = [feature for feature in inputs if feature.kind != "array"]
    compact = (not arrays or network.arrayInputShapeMapping == 0) and (not images or network.imageInputShapeMapping == 0)
    net = Network(compact=compact, batch=max((feature.shape[1] for feature in arrays if len(feature.shape) == 5), default=1))
    taken = [_input(net, network, feature, least, where) for feature in inputs]
    net.reads = reads(network.layers) + Counter(feature.name for feature in outputs)
    net.sequence = lambda layers: sequence(net, layers, lambda layer: _translate(net, layer, where))
    net.sequence(network.layers)
    names = _outputs(net, network, str(model.WhichOneof("Type")), outputs, model, where)
    with quiet_coremltools():
        from coremltools.proto import MIL_pb2
    function = MIL_pb2.Function(opset=_OPSET, inputs=[net.named(tensor) for tensor in taken])
    block = function.block_specializations[_OPSET]
    block.operations.extend(needed(net.operations, names))
    block.outputs.extend(names)
    return Translated(function, block, net.arrays)


def _translate(net: Network, layer: Any, where: str) -> None:
    """One layer into operators that bear its name."""
    kind = layer.WhichOneof("layer")
    what = f"layer '{layer.name[:80]}' ({kind or 'unknown kind'}) of '{where}'"
    if kind not in LAYERS:
        raise _LayerError(f"{what} is not known to this runtime: {REFUSED.get(kind, 'run the model on macOS instead')}")
    record = LAYERS[kind]
    if len(layer.input) < record.least or (record.most is not None and len(layer.input) > record.most):
        raise _LayerError(
            f"{what} reads {len(layer.input)} tensors, it takes {record.least} to {record.most or 'any number'}: export the model again"
        )
    for name in layer.input:
        if name not in net.blobs:
            raise _LayerError(f"{what} reads {name[:80]!r}, which no layer before it gives: export the model again")
    scope, since = net.scope, len(net.operations)
    net.scope = layer.name or kind
    try:
        result = record.translate(net, getattr(layer, kind), [net.blobs[name] for name in layer.input])
    except _LayerError:
        raise
    except MilError as error:
        raise _LayerError(f"{what} cannot be translated: {error}") from error
    # A network has no scalars: what is reduced to one number has one axis.
    results = tuple(
        replace(net.reshape(each, (1,)), is_scalar=True) if each.rank == 0 else each
        for each in (result if isinstance(result, tuple) else (result,))
    )
    if len(layer.output) > len(results):
        raise _LayerError(f"{what} names {len(layer.output)} outputs, it has {len(results)}: export the model again")
    for name, tensor in zip(layer.output, results, strict=False):
        own = any(output.name == tensor.name for operation in net.operations[since:] for output in operation.outputs)
        net.assign(name, net.rename(tensor, name, since) if own else tensor)
    net.scope = scope


def _input(net: Network, network: Any, feature: Feature, least: int, where: str) -> Tensor:
    """An input of the function, and the tensor that layers know under its name."""
    what = f"input '{feature.name}' of '{where}'"
    if feature.kind not in ("image", "array") or not feature.shape:
        raise MilError(f"{what} is a {feature.kind} of no shape: a network takes images and arrays")
    lengths = _shapes(feature.shapes, least)
    if feature.kind == "image":
        channels = CHANNELS.get(feature.dtype, 1)
        probes: Probes = tuple(meta((1, channels, *each)) for each in lengths)
        tensor = net.input(feature.name, "FLOAT32", probes)
        net.blobs[feature.name] = _prepared(net, network, feature, tensor, what)
        return tensor
    whole = feature.dtype.startswith("INT")
    dtype, kind = ("INT32", torch.int32) if whole else ("FLOAT32", torch.float32)
    tensor = net.input(feature.name, dtype, tuple(meta(each, kind) for each in lengths))
    net.scope = feature.name
    x = net.floats(tensor) if whole else tensor
    net.blobs[feature.name] = _rank_five(net, x, what) if network.arrayInputShapeMapping == 0 else x
    return tensor


def _shapes(rule: ShapeRule, least: int) -> list[tuple[int, ...]]:
    """Shapes that stand for all that an input may have: of the smallest, the default, one between and the largest the last two or three.

    Args:
        rule: what the input may have.
        least: which of the first three is the first, where lengths are ranges.
    """
    if rule.enumerated:
        ordered = sorted(rule.enumerated, key=lambda shape: (np.prod(shape), shape))
        return list(dict.fromkeys((ordered[0], rule.default, ordered[-1])))
    if all(low == high for low, high in rule.ranges):
        return [rule.default]
    smallest = tuple(max(low, 1) for low, _ in rule.ranges)
    ends = [2 * default + _LARGE for default in rule.default]
    largest = tuple(max(d, min(high or end, end)) for (_, high), end, d in zip(rule.ranges, ends, rule.default, strict=True))
    between = tuple((default + end) // 2 for default, end in zip(rule.default, largest, strict=True))
    return [[smallest, rule.default], [rule.default], [between]][least] + [largest]


def _rank_five(net: Network, x: Tensor, what: str) -> Tensor:
    """An array as sequence × batch × channels × height × width, in the way that ``Network`` holds them.

    Raises:
        MilError: neither channels nor channels × height × width.
    """
    if x.rank not in (1, 3, 5):
        raise MilError(f"{what} has the shape {by(x.shape)}: networks before version 4 take C, C×H×W, or all five axes")
    image = net.emit("expand_dims", x=x, axes=[-2, -1]) if x.rank == 1 else x
    if net.compact:
        return net.images(image)
    return image if image.rank == 5 else net.emit("expand_dims", x=image, axes=[0, 1])


def _prepared(net: Network, network: Any, feature: Feature, tensor: Tensor, what: str) -> Tensor:
    """An image after the network's preprocessing: colours in the order that the input declares."""
    net.scope = feature.name
    x = tensor
    for step in network.preprocessing:
        if step.featureName not in ("", feature.name):
            continue
        if step.WhichOneof("preprocessor") == "meanImage":
            mean = np.array(step.meanImage.meanImage, np.float32)
            if mean.size != np.prod(x.shape):
                raise MilError(f"the mean image of {what} has {mean.size} values, the image {by(x.shape[1:])}: export the model again")
            x = net.emit("sub", x=x, y=net.constant(mean.reshape(x.shape), name="mean"))
        elif step.WhichOneof("preprocessor") == "scaler":
            x = _scaled(net, step.scaler, feature.dtype, x)
    if net.compact or network.imageInputShapeMapping == 1:
        return x
    return net.emit("expand_dims", x=x, axes=[0])


def _scaled(net: Network, scaler: Any, color: str, x: Tensor) -> Tensor:
    """channelScale·x + the bias of each colour."""
    colors = [scaler.redBias, scaler.greenBias, scaler.blueBias]
    offsets = [scaler.grayBias] if color not in CHANNELS else colors if color == "RGB" else colors[::-1]
    if scaler.channelScale != 1:
        x = net.emit("mul", x=x, y=scaler.channelScale)
    return net.emit("add", x=x, y=net.constant(np.array(offsets, np.float32)[:, None, None], name="bias")) if any(offsets) else x


def _outputs(net: Network, network: Any, kind: str, outputs: list[Feature], model: "Model", where: str) -> list[str]:
    """Results under the names that callers use, of a classifier the label and the probabilities last."""
    names = []
    pictures = any(feature.type.WhichOneof("Type") == "imageType" for feature in model.description.input)
    for feature in outputs:
        if feature.kind in ("image", "array"):
            names.append(_output(net, feature, pictures, where))
    if kind == "neuralNetworkClassifier":
        names += _classes(net, network, model, where)
    missing = {feature.name for feature in outputs} - set(names)
    if missing:
        raise MilError(f"output '{min(missing)}' of '{where}' is nothing that its network gives: export the model again")
    return names


def _output(net: Network, feature: Feature, pictures: bool, where: str) -> str:
    if feature.name not in net.blobs:
        raise MilError(f"output '{feature.name}' of '{where}' is given by no layer: export the model again")
    net.scope = ""
    x = result = net.blobs[feature.name]
    if feature.kind == "array" and net.compact:
        result = _as_declared(net, x, len(feature.shape))
    elif feature.kind == "array" and pictures:
        result = _of_picture(net, x, feature.shape)
    if result.name == feature.name:
        return feature.name
    if result is x:
        result = net.emit("identity", x=x)
    net.free(feature.name)
    return net.rename(result, feature.name).name


def _as_declared(net: Network, x: Tensor, rank: int) -> Tensor:
    """N×C×H×W as an array: C×H×W of a single image, C alone if it is declared so, else all five axes."""
    number, channels, height, width = x.shape
    if number != 1:
        return net.reshape(x, (number // net.batch, net.batch, channels, height, width))  # an open number, -1, stays so
    if rank == 1 and (height, width) == (1, 1):
        return net.reshape(x, (channels,))
    return net.emit("squeeze", x=x, axes=[0])


def _of_picture(net: Network, x: Tensor, declared: Shape) -> Tensor:
    """What a picture became, in the shape that is declared, or at least without axes of length 1 in front.

    A picture comes as 1×C×H×W, and coremltools makes pictures of inputs that were C×H×W or H×W×C, results declared alike
    (``make_image_input``; its tests of it, ``test_multiarray_to_image_input_util`` and those beside it, want them so).
    """
    if product(x.shape) == math.prod(declared) > 0:
        return net.reshape(x, declared)
    ones = x.rank - len(declared)
    return net.emit("squeeze", x=x, axes=list(range(ones))) if declared and ones > 0 and set(x.shape[:ones]) == {1} else x


def _classes(net: Network, network: Any, model: "Model", where: str) -> list[str]:
    """The label's and the probabilities' names; their scores are the named tensor, or the last layer's."""
    described = model.description
    labels = network.stringClassLabels.vector or network.int64ClassLabels.vector
    name = network.labelProbabilityLayerName or next((output for layer in network.layers[-1:] for output in layer.output), "")
    if not labels or name not in net.blobs:
        raise MilError(f"'{where}' is a classifier without {'labels' if not labels else 'probabilities'}: export the model again")
    names = (described.predictedFeatureName, described.predictedProbabilitiesName)
    net.scope = ""
    pair = tuple(each if each else net.fresh(f"{name}/{what}") for each, what in zip(names, ("label", "probabilities"), strict=True))
    net.free(pair[1])
    net.classify(net.blobs[name], list(labels), (pair[0], pair[1]))
    return [each for each in names if each]
