"""Weights cut out of the wire format, against protobuf's own parse of the whole file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.proto.Model_pb2 import Model
from coremltools.proto.NeuralNetwork_pb2 import LoopLayerParams, NeuralNetwork, NeuralNetworkLayer, WeightParams
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import Program
from fcrn_mobile.package import wire
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.wire import apart, stored

LARGE = wire.LARGE
NUMBERS = {1: "floatValue", 2: "float16Value", 30: "rawValue", 31: "int8RawValue"}


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of 24 bytes are left in the file, so that examples stay small."""
    monkeypatch.setattr(wire, "LARGE", 24)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wire") / "net.mlmodel"


def restored(message: Any) -> Any:
    """The message with the weights that the file holds, and without unknown fields in them."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                if hasattr(each, "ListFields"):
                    restored(each)
    if isinstance(message, WeightParams):
        for number, content in stored(message).items():
            value = content.view(np.float32).tolist() if number == 1 else content.tobytes()
            message.MergeFrom(WeightParams(**{NUMBERS[number]: value}))
        message.DiscardUnknownFields()
    return message


def read(path: Path, content: bytes) -> tuple[bytes, int]:
    """What a file means, as protobuf writes it, and how many bytes of it were left out; b"damaged" if it means nothing."""
    path.write_bytes(content)
    with apart(path, Model.DESCRIPTOR) as short:
        try:
            return restored(Model.FromString(short)).SerializeToString(deterministic=True), len(content) - len(short)
        except DecodeError:
            return b"damaged", 0


def meant(content: bytes) -> bytes:
    """What protobuf reads in a file by itself."""
    try:
        return restored(Model.FromString(content)).SerializeToString(deterministic=True)
    except DecodeError:
        return b"damaged"


def weights(generator: np.random.Generator) -> WeightParams:
    count = int(generator.choice([0, 3, 8, 40, 300]))
    kind = generator.choice(["floatValue", "float16Value", "rawValue", "int8RawValue"])
    value = generator.standard_normal(count).astype(np.float32) if kind == "floatValue" else generator.bytes(count)
    result = WeightParams(**{kind: value})
    if generator.random() < 0.3:
        result.quantization.numberOfBits = 8
        result.quantization.linearQuantization.scale.extend([0.5] * int(generator.choice([1, 20])))
    return result


def network(generator: np.random.Generator, depth: int = 0) -> NeuralNetwork:
    result = NeuralNetwork()
    for index in range(generator.integers(1, 4)):
        layer = result.layers.add(name=f"layer{index}" * int(generator.choice([1, 9])), input=["x"], output=["y"])
        kind = generator.integers(0, 4)
        if kind == 0:
            layer.convolution.weights.CopyFrom(weights(generator))
            layer.convolution.bias.CopyFrom(weights(generator))
        elif kind == 1:
            layer.biDirectionalLSTM.weightParams.add().inputGateWeightMatrix.CopyFrom(weights(generator))
            layer.biDirectionalLSTM.weightParams.add().forgetGateBiasVector.CopyFrom(weights(generator))
        elif kind == 2 and depth < 2:
            layer.loop.bodyNetwork.CopyFrom(network(generator, depth + 1))
        else:
            layer.activation.PReLU.alpha.CopyFrom(weights(generator))
    return result


def model(seed: int) -> Model:
    generator = np.random.default_rng(seed)
    inside = Model(specificationVersion=4)
    kind = generator.integers(0, 3)
    if kind == 0:
        inside.neuralNetwork.CopyFrom(network(generator))
    else:
        inside.neuralNetworkClassifier.layers.extend(network(generator).layers)
        inside.neuralNetworkClassifier.stringClassLabels.vector.extend(["label"] * 9)
    inside.description.metadata.userDefined["a long text"] = "word " * 20
    if kind < 2:
        return inside
    outside = Model(specificationVersion=4)
    outside.pipeline.models.extend([inside, inside])
    return outside


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_a_file_means_what_protobuf_reads_in_it(file: Path, seed: int) -> None:
    content = model(seed).SerializeToString()
    assert read(file, content)[0] == meant(content)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 300), data=st.data())
def test_a_damaged_file_is_as_damaged_as_protobuf_finds_it(file: Path, seed: int, data: st.DataObject) -> None:
    content = bytearray(model(seed).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) // 2, len(content) - 1]))]
    assert read(file, bytes(content))[0] == meant(bytes(content))


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


FLOATS = np.arange(20, dtype=np.float32).tobytes()
UNUSUAL = {
    "floats in two pieces": field(1, FLOATS) + field(1, FLOATS),
    "floats, and one more by itself": field(1, FLOATS) + b"\x0d" + FLOATS[:4],
    "bytes twice: the last counts": field(30, b"a" * 50) + field(30, b"b" * 3),
    "floats that break off": field(1, FLOATS[:-1]),
    "a group": field(1, FLOATS) + b"\x2b\x2c",
    "a length beyond the end": varint(1 << 3 | 2) + varint(500) + FLOATS,
    "a place that the file itself holds": field(2**29 - 1, b"k" * 36),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_written_in_an_unusual_way_is_left_to_protobuf(file: Path, case: str) -> None:
    params = UNUSUAL[case]
    convolution = field(90, params)
    content = field(500, field(1, field(100, convolution)))
    assert read(file, content) == (meant(content), 0)


def test_parts_that_protobuf_joins_are_left_to_it(file: Path) -> None:
    """Weights of one layer in two messages: their floats follow each other."""
    halves = field(90, field(1, FLOATS)) + field(90, field(1, FLOATS[:8]))
    content = field(500, field(1, field(100, halves)))
    assert read(file, content) == (meant(content), 0)
    assert len(Model.FromString(content).neuralNetwork.layers[0].convolution.weights.floatValue) == 22


def test_large_weights_are_not_parsed(file: Path) -> None:
    content = field(500, field(1, field(100, field(90, field(1, 100 * FLOATS)))))
    assert read(file, content) == (meant(content), pytest.approx(100 * len(FLOATS), abs=60))
    file.write_bytes(content)
    with apart(file, Model.DESCRIPTOR) as short:
        params = Model.FromString(short).neuralNetwork.layers[0].convolution.weights
        assert len(params.floatValue) == 0
        values = stored(params)[1]
        assert values.flags.writeable and values.flags.owndata
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(MilError, match="became shorter while it was read"):
            stored(params)
    assert stored(params) == {}, "outside of the context nothing is read"


@pytest.mark.parametrize("large", [8, 2**30])
def test_a_program_is_the_same_either_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    from load import save_network

    monkeypatch.setattr(wire, "LARGE", large)
    save_network(tmp_path / "net.mlmodel", 0.01)
    x = np.random.default_rng(1).standard_normal(20).astype(np.float32)
    expected = x.astype(np.float64)
    for layer in Model.FromString((tmp_path / "net.mlmodel").read_bytes()).neuralNetwork.layers:
        expected = np.array(layer.innerProduct.weights.floatValue).reshape(20, 20) @ expected
    np.testing.assert_allclose(Program.load(tmp_path / "net.mlmodel").predict({"x0": x})["x6"], expected, rtol=1e-4)


def nested(loops: int) -> bytes:
    """Weights in a convolution within so many loops: 3 · loops + 4 levels below the model."""
    layer, loop = NeuralNetworkLayer.DESCRIPTOR.fields_by_name, LoopLayerParams.DESCRIPTOR.fields_by_name
    content = field(layer["convolution"].number, field(90, field(1, 100 * FLOATS)))
    for _ in range(loops):
        content = field(layer["loop"].number, field(loop["bodyNetwork"].number, field(1, content)))
    return field(500, field(1, content))


@pytest.mark.parametrize("loops", [0, 1, 2, 31, 32])
def test_weights_are_cut_out_of_as_many_levels_as_protobuf_reads(file: Path, loops: int) -> None:
    content = nested(loops)
    assert meant(content) != b"damaged"
    kept, left_out = read(file, content)
    assert kept == meant(content)
    assert 100 * len(FLOATS) - 36 - 9 * (loops + 2) * 3 < left_out < 100 * len(FLOATS)


def test_deeper_than_that_nothing_is_cut(file: Path) -> None:
    content = nested(33)
    assert meant(content) == b"damaged"
    assert read(file, content)[0] == b"damaged"
    file.write_bytes(content)
    with apart(file, Model.DESCRIPTOR) as short:
        assert short == content


@pytest.mark.parametrize("other", [b"\x08\x96\x01", b"\x09" + b"\xff" * 8, b"\x0d" + b"\xff" * 4, field(1, b"z" * 40)])
def test_fields_of_every_kind_are_passed_over(file: Path, other: bytes) -> None:
    """Of a number that no schema has, before and behind the weights of a layer."""
    number = varint(999 << 3 | other[0] & 7)
    unknown = number + other[1:]
    content = field(500, field(1, unknown + field(100, unknown + field(90, field(1, 100 * FLOATS)) + unknown) + unknown))
    kept, left_out = read(file, content)
    assert kept == meant(content) != b"damaged"
    assert left_out == pytest.approx(100 * len(FLOATS), abs=60)


def layer_of(params: bytes, name: int = 0) -> bytes:
    """A network of one convolution, its name of so many letters."""
    return field(500, field(1, (field(1, b"n" * name) if name else b"") + field(100, field(90, params))))


@pytest.mark.parametrize(("floats", "left_out"), [(5, False), (6, True), (7, True), (8, True)])
@pytest.mark.parametrize("number", [1, 30])
def test_a_weight_of_so_many_bytes_is_left_out(file: Path, floats: int, left_out: bool, number: int) -> None:
    content = layer_of(field(number, FLOATS[: 4 * floats]))
    assert read(file, content)[0] == meant(content)
    with apart(file, Model.DESCRIPTOR) as short:
        places = [each.field_number for each in UnknownFieldSet(Model.FromString(short).neuralNetwork.layers[0].convolution.weights)]
    assert places == ([2**29 - 1] if left_out else []), "the largest number that a field can have"


def test_64_kibibytes_are_many(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGE", LARGE)
    for size, left_out in ((65532, 0), (65536, 65536), (65540, 65540)):
        content = layer_of(field(1, bytes(size)))
        assert read(file, content) == (meant(content), pytest.approx(left_out, abs=60))


@pytest.mark.parametrize("letters", [*range(45, 90), *range(16240, 16300)])
def test_lengths_are_written_as_protobuf_reads_them(file: Path, letters: int) -> None:
    """What is left of messages has from 127 to 129 bytes in some of these, and 16383 to 16385."""
    content = layer_of(field(1, 9 * FLOATS), letters)
    kept, left_out = read(file, content)
    assert kept == meant(content) and left_out > 8 * len(FLOATS)


@pytest.mark.parametrize(("count", "cut"), [(1, True), (9, True), (10, True), (11, False)])
def test_numbers_have_ten_bytes_at_most(file: Path, count: int, cut: bool) -> None:
    number = b"\x08" + (count - 1) * b"\xff" + b"\x01"
    content = field(500, number + field(1, field(100, field(90, field(1, 9 * FLOATS)))))
    kept, left_out = read(file, content)
    assert kept == meant(content)
    assert (kept != b"damaged") == (left_out > 0) == cut


def test_a_file_of_nothing_says_nothing(file: Path) -> None:
    assert read(file, b"") == (b"", 0)


def test_a_number_in_the_place_of_a_place_says_nothing(file: Path) -> None:
    content = layer_of(field(1, 9 * FLOATS) + varint(2**29 - 1 << 3) + b"\x07")
    assert read(file, content) == (meant(content), pytest.approx(9 * len(FLOATS), abs=60))
