"""Files of ``torch.save`` read without running what they hold: weights of a pickled network whose classes aren't here, or a state dict.

A pickle names classes and functions, and reading one normally imports and calls them. Here every name is answered with a class of this
file that only keeps what it is given; tensors are built by hand from the storages. Both of torch's formats are read: the zip archive
(torch 1.6 and later) and the stream of pickles before it.
"""

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.network.foreign_keys import some
from fcrn_mobile.network.foreign_weights import Group
from fcrn_mobile.network.other_models import not_a_network

__all__ = ["ForeignWeights", "read_torch_file"]

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


#: Attributes of an ``nn.Module`` that hold its weights.
_OF_MODULES = ("_parameters", "_buffers", "_modules")


@dataclass(frozen=True)
class ForeignWeights:
    """What a file of ``torch.save`` holds of networks.

    Attributes:
        groups: all tensors in the file, at least one, by the dict or pickled network that they stand in.
        upsampled_to: height and width of a last ``nn.Upsample`` named ``bilinear``, where a network itself was pickled and has one.
    """

    groups: list[Group]
    upsampled_to: tuple[int, int] | None


def read_torch_file(path: Path) -> ForeignWeights:
    """The tensors in a file of ``torch.save`` or ``torch.jit.save``: of networks and state dicts, within whatever dicts, lists and objects.

    Raises:
        InputError: no such file, neither of torch's formats, damaged, or without weights.
    """
    if what := not_a_network(str(path)):
        raise InputError(f"{what}: give a .pth or .pth.tar file")
    if not path.is_file():
        raise InputError(f"no file '{path}': give an existing .pth or .pth.tar file")
    try:
        content, storages, unread = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
        places = list(_places({"tensor": content} if isinstance(content, _StoredTensor) else content, "", set()))
        groups = [Group(place, {key: tensor.view(storages) for key, tensor in tensors.items()}) for place, tensors in places if tensors]
        upsampled_to = next(_enlargements(content, set()), None)
    except InputError:
        raise
    # A damaged or hostile pickle can end in nearly any error of the unpickler, zipfile or as_strided.
    except Exception as error:
        reason = brief(error, 150) or type(error).__name__
        raise InputError(f"'{path}' is not a whole file of torch.save ({reason}): download it again") from error
    if not groups and unread:
        kinds = some(sorted(unread))
        raise InputError(f"'{path}' holds weights in a form that is not read ({kinds}): save the float network's state_dict()")
    if not groups:
        keys = f" (only {some([str(key) for key in content])})" if isinstance(content, dict) and content else ""
        raise InputError(f"'{path}' holds no weights{keys}: give a pickled network or its state dict")
    return ForeignWeights(groups, upsampled_to)


class _StandIn:
    """In place of any class or function that a pickle names: swallows arguments and items, keeps the state."""

    __slots__ = ("state",)

    state: dict[str, Any]

    def __new__(cls, *_: object, **__: object) -> "_StandIn":
        instance = super().__new__(cls)
        instance.state = {}
        return instance

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


class _Rebuilt(_StandIn):
    """In place of torch's function that rebuilds a tensor of a class of its own: gives the tensor that it is built from."""

    __slots__ = ()

    def __new__(cls, function: object, _: object, arguments: tuple[Any, ...], *__: object) -> _StandIn:  # type: ignore[misc]
        return _StoredTensor(*arguments) if function is _StoredTensor else _StandIn()


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
        #: Names of functions that build arrays of a kind that is not read.
        self.unread: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _StoredTensor
        if (module, name) == ("torch._tensor", "_rebuild_from_type_v2"):
            return _Rebuilt
        if name in ("_rebuild_parameter", "_rebuild_parameter_with_state") or (module, name) == ("torch.nn.parameter", "Parameter"):
            return _Parameter
        if module in ("torch", "torch.cuda", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        if name.startswith("_rebuild_") or name == "_reconstruct":
            self.unread.add(f"{module}.{name}")
        return _StandIn

    def persistent_load(self, pid: Any) -> Any:
        kind, *fields = pid
        if kind == "module":
            # The older format puts the source text beside each class of a network.
            return fields[0]
        if kind == "storage" and fields[0] is _StandIn:
            # Of a type such as quantized numbers: whatever is built from it is not read.
            return _StandIn()
        if kind != "storage" or not isinstance(fields[0], torch.dtype):
            raise pickle.UnpicklingError(f"'{kind}' of an unknown type")
        dtype, key, _, size, *view = fields
        self.element_sizes[str(key)] = dtype.itemsize
        if view and view[0] is not None:
            _, start, size = view[0]
            return _Storage(str(key), dtype, start, size)
        return _Storage(str(key), dtype, 0, size)


def _read_zip(path: Path) -> tuple[Any, dict[str, bytearray], set[str]]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(pickles) != 1:
            raise InputError(f"'{path}' is a zip without torch's data.pkl: give the .pth file itself")
        folder = pickles[0].removesuffix("data.pkl")
        with archive.open(pickles[0]) as file:
            unpickler = _Unpickler(file)
            content = unpickler.load()
        prefix = f"{folder}data/"
        storages = {name.removeprefix(prefix): bytearray(archive.read(name)) for name in names if name.startswith(prefix)}
    return content, storages, unpickler.unread


def _read_stream(path: Path) -> tuple[Any, dict[str, bytearray], set[str]]:
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
    return content, storages, unpickler.unread


def _places(content: Any, place: str, ids: set[int]) -> Iterator[tuple[str, dict[str, _StoredTensor]]]:
    """Every dict, list and object with its tensors, and the place where it stands; a module with those of all modules in it."""
    if isinstance(content, _StoredTensor) or not isinstance(content, Mapping | list | tuple | _StandIn) or id(content) in ids:
        return
    ids.add(id(content))
    if isinstance(content, _StandIn):
        yield place, dict(_members(content, "", frozenset()))
        inside = {key: value for key, value in content.state.items() if key not in _OF_MODULES and not isinstance(value, _StandIn)}
        if "_modules" in content.state:
            inside |= {key: value for key, value in content.state.items() if isinstance(value, _StandIn)}
    else:
        inside = {str(key): value for key, value in (content.items() if isinstance(content, Mapping) else enumerate(content))}
        yield place, {key: value for key, value in inside.items() if isinstance(value, _StoredTensor)}
    for key, value in inside.items():
        yield from _places(value, f"{place}.{key}" if place else key, ids)


def _members(owner: _StandIn, prefix: str, above: frozenset[int]) -> Iterator[tuple[str, _StoredTensor]]:
    """Parameters and buffers by state-dict key, by walking a pickled ``nn.Module``; or the attributes of a scripted one."""
    if isinstance(owner, _StoredTensor) or id(owner) in above:
        return
    state = owner.state
    is_module = "_modules" in state
    members = {**(state.get("_parameters") or {}), **(state.get("_buffers") or {})} if is_module else state
    # What a module lacks, such as the bias of a convolution without one, stands there as None.
    yield from ((f"{prefix}{key}", value) for key, value in members.items() if isinstance(value, _StoredTensor))
    for name, child in (state["_modules"] if is_module else state).items():
        if isinstance(child, _StandIn):
            yield from _members(child, f"{prefix}{name}.", above | {id(owner)})


def _enlargements(content: Any, ids: set[int]) -> Iterator[tuple[int, int]]:
    """Height and width of every ``nn.Upsample`` named ``bilinear`` in a pickled network."""
    if not isinstance(content, Mapping | _StandIn) or isinstance(content, _StoredTensor) or id(content) in ids:
        return
    ids.add(id(content))
    for name, child in (content if isinstance(content, Mapping) else content.state).items():
        size = child.state.get("size") if isinstance(child, _StandIn) and name == "bilinear" else None
        if isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, int) for side in size):
            yield size
        yield from _enlargements(child, ids)
