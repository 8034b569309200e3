"""Files of ``torch.save`` read without running what they hold: weights of a pickled network whose classes aren't here, or a state dict.

A pickle names classes and functions, and reading one normally imports and calls them. Here every name is answered with a class of this
file that only keeps what it is given; tensors are built by hand from the storages. Both of torch's formats are read: the zip archive
(torch 1.6 and later) and the stream of pickles before it.
"""

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from fcrn_mobile.errors import InputError

#: First pickle of the older format (torch/serialization.py, MAGIC_NUMBER).
_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(frozen=True)
class ForeignWeights:
    """What a file of ``torch.save`` holds of a network.

    Attributes:
        tensors: by state-dict key, without ``module.`` in front.
        upsampled_to: height and width of a last ``nn.Upsample`` named ``bilinear``, where the network itself was pickled and has one.
    """

    tensors: dict[str, Tensor]
    upsampled_to: tuple[int, int] | None


def read_torch_file(path: Path) -> ForeignWeights:
    """The weights in a file of ``torch.save``: a network, a state dict, or a dict with either under ``model`` or ``state_dict``.

    Raises:
        InputError: no such file, neither of torch's formats, damaged, or without weights.
    """
    if not path.is_file():
        raise InputError(f"no file '{path}': give an existing .pth or .pth.tar file")
    try:
        content, storages = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
        network = _network(content)
        tensors = {key: tensor.view(storages) for key, tensor in _tensors(network)}
        upsampled_to = _upsampled_to(network)
    except InputError:
        raise
    # A damaged or hostile pickle can end in nearly any error of the unpickler, zipfile or as_strided.
    except Exception as error:
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(f"'{path}' is not a whole file of torch.save ({reason}): download it again") from error
    if not tensors:
        raise InputError(f"'{path}' holds no weights: give a pickled network or its state dict")
    return ForeignWeights({key.removeprefix("module."): value for key, value in tensors.items()}, upsampled_to)


class _StandIn:
    """In place of any class or function that a pickle names: swallows arguments and items, keeps the state."""

    __slots__ = ("state",)

    state: dict[str, Any]

    def __new__(cls, *_: object, **__: object) -> "_StandIn":
        made = super().__new__(cls)
        made.state = {}
        return made

    def __call__(self, *_: object, **__: object) -> "_StandIn":
        # Methods are pickled as a call of getattr, whose result is called in turn.
        return _StandIn()

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def extend(self, items: object) -> None:
        pass

    def add(self, item: object) -> None:
        pass


@dataclass(frozen=True)
class _Storage:
    """A run of ``size`` elements from ``start`` on in the storage ``key``."""

    key: str
    dtype: torch.dtype
    start: int
    size: int


class _StoredTensor(_StandIn):
    """In place of torch's functions that rebuild a tensor: keeps their arguments until the storages are known."""

    __slots__ = ("offset", "shape", "storage", "stride")

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def view(self, storages: dict[str, bytearray]) -> Tensor:
        """The tensor, as a view of its storage; torch checks that it lies within."""
        storage = self.storage
        elements = torch.frombuffer(storages[storage.key], dtype=storage.dtype)[storage.start : storage.start + storage.size]
        if elements.numel() != storage.size:
            raise ValueError(f"storage {storage.key} holds {elements.numel()} elements, not {storage.size}")
        tensor = elements.as_strided(self.shape, self.stride, storage.start + self.offset)
        if tensor.numel() > storage.size:
            # A stride of zero would make any size out of a few bytes.
            raise ValueError(f"tensor of shape {self.shape} from {storage.size} elements")
        return tensor


class _Parameter(_StandIn):
    """In place of torch's functions that wrap a tensor into a parameter: gives the tensor itself."""

    __slots__ = ()

    def __new__(cls, tensor: _StandIn, *_: object) -> _StandIn:  # type: ignore[misc]
        return tensor


class _Unpickler(pickle.Unpickler):
    """Resolves names to stand-ins alone, so that nothing in the file is imported or called.

    What it hands out cannot be altered from the file either: torch's dtypes and OrderedDict are immutable, and the stand-ins have a
    ``__setstate__``, which keeps the pickle's BUILD instruction from setting attributes of the classes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        # Files written by Python 2 hold their strings as bytes.
        super().__init__(file, encoding="latin1")
        #: Bytes per element of every storage that was named, which the older format does not repeat beside the data.
        self.element_sizes: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _StoredTensor
        if name in ("_rebuild_parameter", "_rebuild_parameter_with_state") or (module, name) == ("torch.nn.parameter", "Parameter"):
            return _Parameter
        if module in ("torch", "torch.cuda", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        return _StandIn

    def persistent_load(self, pid: Any) -> Any:
        kind, *fields = pid
        if kind == "module":
            # The older format puts the source text beside each class of a network.
            return fields[0]
        if kind != "storage" or not isinstance(fields[0], torch.dtype):
            raise pickle.UnpicklingError(f"'{kind}' of an unknown type")
        dtype, key, _, size, *view = fields
        self.element_sizes[str(key)] = dtype.itemsize
        if view and view[0] is not None:
            _, start, size = view[0]
            return _Storage(str(key), dtype, start, size)
        return _Storage(str(key), dtype, 0, size)


def _read_zip(path: Path) -> tuple[Any, dict[str, bytearray]]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(pickles) != 1:
            raise InputError(f"'{path}' is a zip without torch's data.pkl: give the .pth file itself")
        folder = pickles[0].removesuffix("data.pkl")
        with archive.open(pickles[0]) as file:
            content = _Unpickler(file).load()
        prefix = f"{folder}data/"
        storages = {name.removeprefix(prefix): bytearray(archive.read(name)) for name in names if name.startswith(prefix)}
    return content, storages


def _read_stream(path: Path) -> tuple[Any, dict[str, bytearray]]:
    with path.open("rb") as file:
        if file.read(1) != b"\x80" or file.seek(0) or _Unpickler(file).load() != _MAGIC:
            raise InputError(f"'{path}' is not a file of torch.save: give a .pth or .pth.tar file")
        _Unpickler(file).load()  # version of the format
        _Unpickler(file).load()  # byte order and word sizes of the machine
        unpickler = _Unpickler(file)
        content = unpickler.load()
        storages = {}
        for key in map(str, _Unpickler(file).load()):
            (count,) = struct.unpack("<q", file.read(8))
            size = count * unpickler.element_sizes[key]
            if not 0 <= size <= path.stat().st_size:
                raise ValueError(f"storage {key} of {count} elements")
            storages[key] = bytearray(file.read(size))
    return content, storages


def _network(content: Any) -> Any:
    """The network or state dict itself, which training scripts save among other things."""
    if isinstance(content, dict):
        for key in ("model", "state_dict"):
            if isinstance(content.get(key), dict | _StandIn):
                return content[key]
    return content


def _tensors(network: Any, prefix: str = "") -> Iterator[tuple[str, _StoredTensor]]:
    """Parameters and buffers by state-dict key, of a state dict or by walking a pickled ``nn.Module``."""
    if isinstance(network, dict):
        yield from ((str(key), value) for key, value in network.items() if isinstance(value, _StoredTensor))
    elif isinstance(network, _StandIn):
        for kind in ("_parameters", "_buffers"):
            members = network.state.get(kind, {})
            # What a module lacks, such as the bias of a convolution without one, stands there as None.
            yield from ((prefix + key, value) for key, value in members.items() if isinstance(value, _StoredTensor))
        for name, child in network.state.get("_modules", {}).items():
            yield from _tensors(child, f"{prefix}{name}.")


def _upsampled_to(network: Any) -> tuple[int, int] | None:
    for name in ("module", "bilinear"):
        if isinstance(network, _StandIn) and name in network.state.get("_modules", {}):
            network = network.state["_modules"][name]
    size = network.state.get("size") if isinstance(network, _StandIn) else None
    if isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, int) for side in size):
        return size
    return None
