"""A neural network's specification without its large weights, which stay in the file until a layer asks for them.

protobuf copies what it parses, and hands a list of floats out as yet another copy: a network of 2017 would be in memory three times before
its first layer is known. So the wire format (protobuf.dev/programming-guides/encoding) is gone through before: tags, lengths and what lies
between. Where a weight has many bytes, a field of a number that no schema has takes their place and says where they lie; protobuf keeps
fields that it does not know. What is written in an unusual way (a field of a weight in two pieces, a group) is left to protobuf as it is.
"""

import mmap
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.NeuralNetwork_pb2 import WeightParams
    from google.protobuf.descriptor import Descriptor

__all__ = ["LARGE", "VALUES", "apart", "stored"]

#: Bytes of a weight from which on it is left in the file.
LARGE = 2**16
#: The largest number that a field can have: that of what says where a weight lies.
_PLACE = 2**29 - 1
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_WEIGHTS = "CoreML.Specification.WeightParams"
#: Fields of weights that hold values → their numbers.
VALUES = {"floatValue": 1, "float16Value": 2, "rawValue": 30, "int8RawValue": 31}
_FLOATS = VALUES["floatValue"]
#: Schemas whose messages may hold weights, by file; messages of others are passed over as they are.
_SCHEMAS = ("Model.proto", "NeuralNetwork.proto")
#: Levels of messages that protobuf reads.
_DEEPEST = 100
#: Behind the key of the file: number of the field, where it begins in the file, its length.
_FORM = struct.Struct("<IQQ")
#: Files that are open, by the key that the places in their weights bear.
_FILES: dict[bytes, BufferedReader] = {}


class _UnusualError(Exception):
    """Something that is left to protobuf."""


@contextmanager
def apart(path: Path, schema: "Descriptor") -> Iterator[bytes]:
    """The content of a specification without its large weights; within the context ``stored`` reads them.

    Args:
        path: of a file that can be read.
        schema: of ``CoreML.Specification.Model``.

    Raises:
        OSError: it cannot be read.
    """
    key = secrets.token_bytes(16)  # no file can hold a place of its own
    with path.open("rb") as file:
        with _mapped(file) as content:
            try:
                short = b"".join(_without(content, schema, 0, len(content), key))
            except (_UnusualError, IndexError):
                short = bytes(content)
        _FILES[key] = file
        try:
            yield short
        finally:
            del _FILES[key]


def stored(params: "WeightParams") -> dict[int, NDArray[np.uint8]]:
    """What of a weight stands in the file, by the number of its field, as bytes that nothing else holds; empty for small ones.

    Raises:
        MilError: the file became shorter meanwhile.
    """
    if not _FILES:
        return {}
    from google.protobuf.unknown_fields import UnknownFieldSet

    fields: dict[int, NDArray[np.uint8]] = {}
    for field in UnknownFieldSet(params):
        if field.field_number == _PLACE and field.wire_type == _LENGTH and (file := _FILES.get(field.data[:16])):
            number, offset, length = _FORM.unpack(field.data[16:])
            fields[number] = np.empty(length, np.uint8)
            file.seek(offset)
            if file.readinto(fields[number].data) != length:
                raise MilError(f"'{file.name}' became shorter while it was read: copy it again")
    return fields


@contextmanager
def _mapped(file: BufferedReader) -> Iterator[Any]:
    """The bytes of a file, of which those that are looked at are read."""
    if not os.fstat(file.fileno()).st_size:
        yield b""
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
        yield view


def _without(data: memoryview, schema: "Descriptor", at: int, end: int, key: bytes, depth: int = 0) -> list[bytes]:
    """Pieces of a message that hold all of it but large weights.

    Args:
        data: the file.
        schema: of the message.
        at, end: where the message lies.
        key: of the file.
        depth: of messages around it.
    """
    if depth > _DEEPEST:
        raise _UnusualError
    weights = schema.full_name == _WEIGHTS
    pieces: list[bytes] = []
    copied, numbers, cut = at, [], set()
    for number, kind, start, content, stop in _fields(data, at, end):
        numbers.append(number)
        field = schema.fields_by_number.get(number)
        if weights and number == _FLOATS and (kind != _LENGTH or (stop - content) % 4):
            raise _UnusualError  # one by one, or broken off
        if kind != _LENGTH or stop - content < LARGE or field is None:
            continue
        if weights and number in VALUES.values():
            pieces += [bytes(data[copied:start]), _field(_PLACE, key + _FORM.pack(number, content, stop - content))]
        elif field.message_type is not None and field.message_type.file.name in _SCHEMAS:
            inside = _without(data, field.message_type, content, stop, key, depth + 1)
            if len(inside) == 1:
                continue
            pieces += [bytes(data[copied:start]), _field(number, b"".join(inside))]
        else:
            continue
        copied = stop
        if weights or not field.is_repeated:
            cut.add(number)
    if any(numbers.count(number) > 1 for number in cut):
        raise _UnusualError  # protobuf joins them, or takes the last
    return [*pieces, bytes(data[copied:end])]


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The fields of a message: number, kind, and where each, its content and the next one begin."""
    while at < end:
        start = at
        tag, at = _varint(data, at)
        content, kind = at, tag & 7
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _LENGTH:
            length, content = _varint(data, at)
            at = content + length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise _UnusualError
        if at > end:
            raise _UnusualError
        yield tag >> 3, kind, start, content, at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number in seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _UnusualError


def _field(number: int, content: bytes) -> bytes:
    """A field with its tag and length."""
    return _number(number << 3 | _LENGTH) + _number(len(content)) + content


def _number(value: int) -> bytes:
    """A varint."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes([*result, value])
