"""Our FCRN as a neural network in the layout that Apple published FCRN in: an image in, ``depthmap`` 1×height×width of doubles out."""

import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from fcrn_mobile.network.fast_projection import PhaseConvs
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.padding import SamePadMaxPool2d
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

#: Lines that the kernels of a phase look at: top, bottom, left, right (iro-cp/FCRN-DepthPrediction, issue 40).
_PHASE_PADS = ((1, 1, 1, 1), (1, 1, 1, 0), (1, 0, 1, 1), (1, 0, 1, 0))


class _Layers(fx.Tracer):
    """Modules that are layers of their own."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, PhaseConvs | SamePadMaxPool2d) or super().is_leaf_module(module, name)


def as_neural_network(network: FCRN, name: str = "fcrn") -> Any:
    """The specification: pixels of 0..255 in RGB; normalisation is a layer, batch norms stay."""
    network = network.eval()
    height, width = network.config.input_size
    with torch.no_grad():
        shape = network(torch.zeros(1, 3, height, width)).shape
    builder = NeuralNetworkBuilder([("image", datatypes.Array(3, height, width))], [("depthmap", datatypes.Array(*shape[1:]))])
    modules = dict(network.named_modules())
    nodes = list(_Layers().trace(network).nodes)
    names: dict[Any, str] = {}
    for node in nodes:
        sources = [names[each] for each in node.args if isinstance(each, fx.Node) and each in names]
        if node.op == "placeholder":
            names[node] = "image"
        elif node.op == "call_module":
            names[node] = _layer(builder, modules[node.target], node.name, sources[0])
        elif node.target is operator.sub:  # the normalisation: x - mean, in front of the division by std
            names[node] = "image"
        elif node.target is operator.truediv:
            mean, std = (np.asarray(each).reshape(3) for each in (network.mean, network.std))
            builder.add_scale(node.name, 1 / (255 * std), -mean / std, True, "image", node.name, [3], [3])
            names[node] = node.name
        elif node.target is operator.add:
            builder.add_elementwise(node.name, sources, node.name, "ADD")
            names[node] = node.name
        elif node.target is torch.nn.functional.relu:
            builder.add_activation(node.name, "RELU", sources[0], node.name)
            names[node] = node.name
    (result,) = (names[node.args[0]] for node in nodes if node.op == "output")
    builder.spec.neuralNetwork.layers[-1].output[0] = "depthmap"
    assert builder.spec.neuralNetwork.layers[-1].name == result
    builder.set_pre_processing_parameters(image_input_names=["image"])
    builder.spec.description.output[0].type.multiArrayType.dataType = 65600
    builder.spec.description.metadata.shortDescription = name
    return builder.spec


def _layer(builder: Any, module: nn.Module, name: str, source: str) -> str:
    if isinstance(module, nn.Conv2d):
        top, left = module.padding  # type: ignore[misc]
        _conv(builder, module, name, source, (top, top, left, left))  # type: ignore[arg-type]
    elif isinstance(module, nn.BatchNorm2d):
        arrays = [np.asarray(each.detach()) for each in (module.weight, module.bias, module.running_mean, module.running_var)]  # type: ignore[union-attr]
        builder.add_batchnorm(name, module.num_features, *arrays, source, name, epsilon=module.eps)
    elif isinstance(module, nn.ReLU):
        builder.add_activation(name, "RELU", source, name)
    elif isinstance(module, SamePadMaxPool2d):
        builder.add_pooling(name, module.kernel, module.kernel, module.stride, module.stride, "MAX", "SAME", source, name)
    elif isinstance(module, nn.MaxPool2d):
        pads = dict.fromkeys(("padding_top", "padding_bottom", "padding_left", "padding_right"), module.padding)
        builder.add_pooling(name, *[module.kernel_size] * 2, *[module.stride] * 2, "MAX", "VALID", source, name, **pads)
    elif isinstance(module, PhaseConvs):
        parts = [f"{name}_{phase}" for phase in range(4)]
        for conv, part, pads in zip(module.convs, parts, _PHASE_PADS, strict=True):
            _conv(builder, conv, part, source, pads)
        builder.add_elementwise(f"{name}_all", parts, f"{name}_all", "CONCAT")
        builder.add_reorganize_data(name, f"{name}_all", name, mode="DEPTH_TO_SPACE", block_size=2)
    else:
        raise AssertionError(type(module))
    return name


def _conv(builder: Any, conv: nn.Conv2d, name: str, source: str, pads: tuple[int, int, int, int]) -> None:
    weight = conv.weight.detach().permute(2, 3, 1, 0).numpy()
    bias = None if conv.bias is None else conv.bias.detach().numpy()
    borders = dict(zip(("padding_top", "padding_bottom", "padding_left", "padding_right"), pads, strict=True))
    builder.add_convolution(
        name,
        conv.in_channels,
        conv.out_channels,
        *conv.kernel_size,
        *conv.stride,
        "valid",
        1,
        weight,
        bias,
        bias is not None,
        input_name=source,
        output_name=name,
        **borders,
    )
