"""Every layer that the specification has is translated, or refused by its name with a reason."""

from collections.abc import Mapping

import pytest

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layer import Layer
from fcrn_mobile.mil.neural_network.layers import LAYERS, REFUSED
from fcrn_mobile.mil.neural_network.network import translate
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.neural_network.build import builder, load

with quiet_coremltools():
    from coremltools.proto.NeuralNetwork_pb2 import NeuralNetworkLayer

KINDS = {field.name for field in NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields}


def test_every_kind_of_layer_is_translated_or_refused() -> None:
    assert set(LAYERS) | set(REFUSED) == KINDS
    assert not set(LAYERS) & set(REFUSED)


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_a_refused_layer_is_named_with_the_reason(kind: str) -> None:
    built = builder({"x0": (3,)})
    layer = built.spec.neuralNetwork.layers.add(name="odd one", input=["x0"], output=["y"])
    getattr(layer, kind).SetInParent()
    with pytest.raises(MilError) as caught:
        load(built.spec)
    assert f"layer 'odd one' ({kind})" in str(caught.value)
    assert REFUSED[kind] in str(caught.value)


_ELEMENTWISE = ("add", "subtract", "multiply", "divide", "floorDiv", "mod", "pow", "max", "min")
#: How many tensors layers read at least and at most, None for any number, as coremltools' copy of Core ML's validator has it
#: (mlmodel/src/Validation/NeuralNetwork/NeuralNetworkLayerValidator.cpp, ``validateInputCount``); one tensor where nothing is said.
COUNTS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("loopBreak", "loopContinue", "loadConstant", "loadConstantND", "fillStatic", "rangeStatic"), (0, 0)),
    **dict.fromkeys(("randomNormalStatic", "randomUniformStatic", "randomBernoulliStatic"), (0, 0)),
    "loop": (0, 1),
    **dict.fromkeys(("add", "multiply", "average", "max", "min"), (1, None)),
    **dict.fromkeys(("concat", "concatND", "stack"), (2, None)),
    **dict.fromkeys(("convolution", "crop", "gru", "batchedMatmul", "constantPad", "cumSum", "oneHot", "tile", "topK"), (1, 2)),
    **dict.fromkeys(("equal", "notEqual", "lessThan", "lessEqual", "greaterThan", "greaterEqual"), (1, 2)),
    **dict.fromkeys(("uniDirectionalLSTM", "rangeDynamic"), (1, 3)),
    "biDirectionalLSTM": (1, 5),
    **dict.fromkeys((f"{kind}Broadcastable" for kind in _ELEMENTWISE), (2, 2)),
    **dict.fromkeys(("logicalAnd", "logicalOr", "logicalXor", "dot", "cropResize", "simpleRecurrent"), (2, 2)),
    **dict.fromkeys(("broadcastToLike", "broadcastToDynamic", "reshapeLike", "reshapeDynamic", "reverseSeq", "sliceBySize"), (2, 2)),
    **dict.fromkeys(("gather", "gatherND", "gatherAlongAxis"), (2, 2)),
    "NonMaximumSuppression": (2, 5),
    "sliceDynamic": (2, 7),
    **dict.fromkeys(("whereBroadcastable", "scatter", "scatterND", "scatterAlongAxis"), (3, 3)),
}
#: What runs here with fewer: one tensor alone is joined to itself, a state that is left out is zero.
MORE: dict[str, tuple[int, int | None]] = {**dict.fromkeys(("concat", "concatND", "stack"), (1, None)), "simpleRecurrent": (1, 2)}


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_layers_read_as_many_tensors_as_core_ml_s(kind: str) -> None:
    """Fewer or more are refused; a layer of so many is, if at all, for what its fields say."""
    least, most = (dict.fromkeys(LAYERS, (1, 1)) | COUNTS | MORE)[kind]
    for count in range(9):
        built = builder({"x0": (2, 1, 1)}, exact=True)
        layer = built.spec.neuralNetwork.layers.add(name="n", input=["x0"] * count, output=["y"])
        getattr(layer, kind).SetInParent()
        try:
            translate(built.spec, "net")
            message = ""
        except MilError as error:
            message = str(error)
        assert (f"reads {count} tensors, it takes" in message) == (count < least or (most is not None and count > most)), message


def check_counts(layers: Mapping[str, Layer]) -> None:
    """The layers of a module read as many tensors as is said above."""
    numbers = dict.fromkeys(layers, (1, 1)) | {kind: count for kind, count in (COUNTS | MORE).items() if kind in layers}
    assert {kind: (layer.least, layer.most) for kind, layer in layers.items()} == numbers
