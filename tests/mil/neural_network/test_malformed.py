"""Damaged networks: one line that says so, never anything else, whatever was changed in the file."""

import random as chance
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.interface import Feature
from tests.journeys.command import Result, refused
from tests.mil.neural_network.build import builder, random, save

#: What a whole number becomes.
_NUMBERS = (0, 1, 2, 3, 7, 64, 2**31 - 1, 2**40)


def maps() -> Any:
    built = builder({"x": (2, 6, 6)}, ("y",))
    built.add_convolution("c", 2, 4, 3, 3, 2, 2, "same", 1, random(3, 3, 2, 4), random(4), True, input_name="x", output_name="c")
    built.add_batchnorm("n", 4, *[np.ones(4, np.float32)] * 4, "c", "n")
    built.add_pooling("p", 2, 2, 1, 1, "AVERAGE", "INCLUDE_LAST_PIXEL", "n", "p")
    built.add_upsample("u", 2, 2, "p", "u", "BILINEAR")
    built.add_padding("b", 1, 1, 1, 1, 0.0, "u", "b", "reflection")
    built.add_crop("k", 1, 1, 1, 1, [0, 0], ["b"], "k")
    built.add_reshape("r", "k", "r", (2, 4, 8), 1)
    built.add_permute("t", (0, 3, 1, 2), "r", "t")
    built.add_slice("s", "t", "s", "channel", 0, 9, 2)
    built.add_flatten("f", 0, "s", "f")
    built.add_inner_product("i", random(3, 32), random(3), 32, 3, True, "f", "i")
    built.add_unilstm(
        "l", *[[random(3, 3)] * 4] * 2, [random(3)] * 4, hidden_size=3, input_size=3, input_names=["i"], output_names=["l"]
    )  # fmt: skip
    built.add_softmax("y", "l", "y")
    return built.spec


def _tensors() -> Any:
    built = builder({"x": (3, 4)}, ("y",), exact=True)
    built.add_get_shape("s", "x", "s")
    built.add_load_constant_nd("w", "w", random(3, 4), (3, 4))
    built.add_add_broadcastable("a", ["x", "w"], "a")
    built.add_constant_pad("p", ["a"], "p", 0.0, pad_to_given_output_size_mode=True, pad_amounts=[0, 5, 0, 0])
    built.add_slice_static("c", "p", "c", [0, 1], [3, 4], [1, 1], [False, False], [False, False])
    built.add_tile("t", "c", "t", [2, 2])
    built.add_fill_static("f", "f", [6, 6], 1.0)
    built.add_multiply_broadcastable("m", ["t", "f"], "m")
    built.add_topk("k", ["m"], ["k", "i"], 3, 1)
    built.add_gather_along_axis("g", ["m", "i"], "g", 1)
    built.add_reshape_static("r", "g", "r", (3, 6))
    built.add_layer_normalization("l", "r", "l", (6,), random(6), random(6), 1e-3)
    built.add_range_static("q", "q", None, 6, 0, 1)
    built.add_batched_mat_mul("y", ["l"], "y", weight_matrix_rows=6, weight_matrix_columns=2, W=random(6, 2))
    return built.spec


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if not hasattr(value, "DESCRIPTOR") else [value]:
                yield from _messages(each)


def _changed(spec: Any, draw: chance.Random) -> bytes:
    """One field of the specification dropped, or another number, name or length of a list in it; or some bytes of the file."""
    if draw.random() < 0.25:
        content = bytearray(spec.SerializeToString())
        for _ in range(draw.randrange(1, 4)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        return bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
    model = type(spec)()
    model.CopyFrom(spec)
    message = draw.choice([each for each in _messages(model) if each.ListFields()])
    field, value = draw.choice(message.ListFields())
    repeated = not hasattr(value, "DESCRIPTOR") and hasattr(value, "extend")
    if repeated and draw.random() < 0.5:
        value.extend(list(value)) if draw.random() < 0.5 else value.__delitem__(slice(len(value) // 2, None))
    elif isinstance(value, str):
        setattr(message, field.name, draw.choice(["", "nothing", "a\x00b", "x" * 5000]))
    elif isinstance(value, int) and field.enum_type is None:
        number = draw.choice(_NUMBERS)
        setattr(message, field.name, bool(number) if isinstance(value, bool) else number % 2**31)
    elif repeated and field.message_type is None and isinstance(value[0], int):
        value[draw.randrange(len(value))] = draw.choice(_NUMBERS)
    else:
        message.ClearField(field.name)
    return bytes(model.SerializeToString())


def _value(feature: Feature) -> Any:
    return np.zeros((*feature.shape, 3) if feature.dtype == "RGB" else feature.shape, np.uint8 if feature.kind == "image" else np.float32)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("made", [maps, _tensors])
def test_a_damaged_network_is_refused_in_one_line_or_runs(made: Any, seed: int, tmp_path: Path) -> None:
    spec, draw, path = made(), chance.Random(seed), tmp_path / "net.mlmodel"
    count = 0
    for _ in range(80):
        path.write_bytes(_changed(spec, draw))
        try:
            program = Program.load(path)
            program.predict({feature.name: _value(feature) for feature in program.inputs if np.prod(feature.shape) < 1e6})
        except MilError as error:
            count += 1
            assert "\n" not in str(error)
            assert str(error).isprintable()
    assert count > 20


@pytest.mark.parametrize("command", ["inspect", "run", "evaluate"])
def test_commands_answer_a_damaged_network_with_exit_code_2(command: str, call: Callable[..., Result], tmp_path: Path) -> None:
    spec = maps()
    spec.neuralNetwork.layers[0].convolution.kernelChannels = 5
    more = {"run": ["--out", "out"], "evaluate": ["--data", "sample"]}.get(command, [])
    result = call(command, str(save(spec, tmp_path)), *more)
    refused(result, "layer 'c' (convolution)", "weights are 72 values where it takes 4×5×3×3")


def test_a_file_that_is_cut_off_or_something_else_is_refused(tmp_path: Path) -> None:
    content = maps().SerializeToString()
    for part in (content[: len(content) // 2], b"", b"\xff" * 100, b"PK\x03\x04"):
        path = tmp_path / "net.mlmodel"
        path.write_bytes(part)
        with pytest.raises(MilError, match=r"copy or export it again"):
            Program.load(path)
