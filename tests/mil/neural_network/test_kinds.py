"""Every layer that the specification has is translated, or refused by its name with a reason."""

import pytest

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layers import LAYERS, REFUSED
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
