"""Constants at the ends of their types, in every field that may hold them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.values import LARGEST, Constants, check_size, shape_of, to_torch, type_name
from tests.mil.protobuf import tensor_type

READER = Constants(Path("nowhere"))


def value(name: str, shape: tuple[int, ...], **fields: Any) -> Any:
    """A constant whose elements stand in one field of the specification."""
    made = MIL_pb2.Value()
    made.type.CopyFrom(tensor_type(shape, name))
    made.immediateValue.tensor.SetInParent()
    for field, held in fields.items():
        if field == "bytes":
            made.immediateValue.tensor.bytes.values = held
        else:
            getattr(made.immediateValue.tensor, field).values.extend(held)
    return made


@pytest.mark.parametrize(
    ("name", "least", "greatest", "dtype"),
    [
        ("INT8", -128, 127, torch.int8),
        ("UINT8", 0, 255, torch.uint8),
        ("INT16", -(2**15), 2**15 - 1, torch.int16),
        ("UINT16", 0, 2**16 - 1, torch.int32),
        ("INT32", -(2**31), 2**31 - 1, torch.int32),
        ("UINT32", 0, 2**32 - 1, torch.int64),
        ("INT64", -(2**63), 2**63 - 1, torch.int64),
    ],
)
def test_integers_fill_their_type_and_no_more(name: str, least: int, greatest: int, dtype: torch.dtype) -> None:
    field = "longInts" if "64" in name or name == "UINT32" else "ints"
    read = READER.read(value(name, (2,), **{field: [least, greatest]}))
    assert (read.dtype, read.tolist()) == (dtype, [least, greatest])
    packed = READER.read(value(name, (2,), bytes=np.array([least, greatest], name.lower()).tobytes()))
    assert (packed.dtype, packed.tolist()) == (dtype, [least, greatest])
    if "64" not in name:
        for beyond in ([least - 1, 0], [0, greatest + 1]):
            with pytest.raises(MilError, match=f"the weight has values from {beyond[0]} to {beyond[1]}, which {name} cannot hold"):
                READER.read(value(name, (2,), longInts=beyond), "the weight")
    assert READER.read(value(name, (0,), **{field: []})).shape == (0,)


def test_floats_of_every_width_are_single() -> None:
    for name, fields in (("FLOAT32", {"floats": [0.5]}), ("FLOAT64", {"doubles": [0.5]}), ("FLOAT16", {"floats": [0.5]})):
        read = READER.read(value(name, (1,), **fields))
        assert (read.dtype, read.tolist()) == (torch.float32, [0.5])
    assert READER.read(value("FLOAT16", (1,), bytes=np.array([1.5], np.float16).tobytes())).tolist() == [1.5]
    assert READER.read(value("FLOAT16", (1,), floats=[1e6])).tolist() == [torch.inf]


def test_bits_are_read_out_of_their_bytes() -> None:
    assert READER.read(value("UINT3", (3,), bytes=bytes([0b10001010, 0b1]))).tolist() == [2, 1, 6]
    assert READER.read(value("INT4", (2,), bytes=bytes([0b10000111]))).tolist() == [7, -8]
    with pytest.raises(MilError, match="holds 1 bytes where its shape takes 2"):
        READER.read(value("UINT3", (3,), bytes=b"\0"))
    with pytest.raises(MilError, match="holds 3 bytes where its shape takes 2"):
        READER.read(value("UINT3", (3,), bytes=b"\0\0\0"))
    with pytest.raises(MilError, match="holds 3 bytes where its shape takes 4"):
        READER.read(value("FLOAT16", (2,), bytes=b"\0\0\0"))


def test_a_single_boolean_is_pythons_and_several_are_a_tensor() -> None:
    assert READER.read(value("BOOL", (), bools=[True])) is True
    assert READER.read(value("BOOL", (), bools=[False])) is False
    assert READER.read(value("BOOL", (2,), bools=[True, False])).tolist() == [True, False]
    assert READER.read(value("BOOL", (1,), bools=[True])).shape == (1,)


def test_a_single_text_is_pythons_and_several_are_a_tuple() -> None:
    assert READER.read(value("STRING", (), strings=["same"])) == "same"
    assert READER.read(value("STRING", (2,), strings=["a", "b"])) == ("a", "b")
    with pytest.raises(MilError, match="holds 1 elements where its shape takes 2"):
        READER.read(value("STRING", (2,), strings=["a"]))


@pytest.mark.parametrize(("name", "fields"), [("INT32", {"floats": [1.0]}), ("FLOAT32", {"ints": [1]}), ("BOOL", {"ints": [1]})])
def test_a_field_of_another_kind_is_refused(name: str, fields: dict[str, list[Any]]) -> None:
    with pytest.raises(MilError, match=f"w is declared as {name} but holds {next(iter(fields))}"):
        READER.read(value(name, (1,), **fields), "w")


@pytest.mark.parametrize("held", [0, 1, 3])
def test_as_many_elements_as_the_shape_takes(held: int) -> None:
    fields = {"floats": [1.0] * held} if held else {}
    with pytest.raises(MilError, match=f"w holds {held} elements where its shape takes 2"):
        READER.read(value("FLOAT32", (2,), **fields), "w")
    assert READER.read(value("FLOAT32", (2, 0))).shape == (2, 0)
    assert READER.read(value("FLOAT32", (2, 3), floats=range(6))).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_has_no_value_no_length_or_no_known_type_is_refused() -> None:
    with pytest.raises(MilError, match="a constant has no value: export"):
        READER.read(MIL_pb2.Value())
    with pytest.raises(MilError, match="w has an unknown dimension"):
        READER.read(value("FLOAT32", (-1,), floats=[1.0]), "w")
    with pytest.raises(MilError, match="w has data type BFLOAT16, which this runtime cannot read"):
        READER.read(value("BFLOAT16", (1,), bytes=b"\0\0"), "w")
    with pytest.raises(MilError, match="w is of kind 'dictionary', which is not supported"):
        held = MIL_pb2.Value()
        held.immediateValue.dictionary.SetInParent()
        READER.read(held, "w")
    with pytest.raises(MilError, match="w is of kind 'none'"):
        held = MIL_pb2.Value()
        held.immediateValue.SetInParent()
        READER.read(held, "w")


def test_tuples_and_lists_hold_their_items_in_order() -> None:
    for kind in ("tuple", "list"):
        made = MIL_pb2.Value()
        getattr(made.immediateValue, kind).values.extend([value("STRING", (), strings=["a"]), value("INT32", (1,), ints=[3])])
        first, second = READER.read(made)
        assert (first, second.tolist()) == ("a", [3])


def test_the_limit_of_elements_counts_unknown_and_empty_axes_as_one() -> None:
    check_size((LARGEST,), "w")
    check_size((-1, 2**15, 2**15, 0), "w")
    for shape in ((LARGEST + 1,), (2, 2**15, 2**15), (-1, LARGEST, 2)):
        shown = "×".join(map(str, shape))
        with pytest.raises(MilError, match=f"w has the shape {shown}, the limit is 1073741824 elements"):
            check_size(shape, "w")
    with pytest.raises(MilError, match="the shape -1×-9223372036854775808×9223372036854775807,"):
        check_size((2**64 - 1, 2**63, 2**63 - 1), "w")


def test_types_by_name_and_shapes_with_unknown_axes() -> None:
    assert type_name(tensor_type((1,), "FLOAT16")) == "FLOAT16"
    assert shape_of(tensor_type((2, -1, 3))) == (2, -1, 3)
    listed = MIL_pb2.ValueType()
    listed.listType.SetInParent()
    assert type_name(listed) == "listType"
    strange = tensor_type((1,))
    strange.tensorType.dataType = 999
    assert type_name(strange) == "number 999"


def test_a_tensor_shares_memory_unless_torch_lacks_its_type() -> None:
    numbers = np.zeros(2, np.float32)
    to_torch(numbers)[0] = 1
    assert numbers.tolist() == [1, 0]
    for dtype, computed in ((np.float16, torch.float32), (np.float64, torch.float32), (np.uint16, torch.int32), (np.uint32, torch.int64)):
        assert to_torch(np.ones(1, dtype)).dtype == computed
