"""A .npy file that holds a pickled dict of layers, as Caffe-to-TensorFlow conversions write it, read without running what it holds.

NumPy reads such a file with ``allow_pickle=True`` alone, which runs whatever the pickle names. Here the five names that a dict of
arrays needs are answered with classes of this file, which keep what they are given; any other name refuses the file.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from fcrn_mobile.errors import InputError, brief

__all__ = ["Layers", "is_npy", "read_layers"]

#: Parameter name → values, by layer name.
Layers = dict[str, dict[str, np.ndarray]]

#: Typecodes of NumPy's pickled dtypes that weights can have; "O" (also written O8, O4) stands for the array around the dict.
_FLOATS = ("f2", "f4", "f8")


def is_npy(path: Path) -> bool:
    """Whether the file exists and starts as a .npy does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX


def read_layers(path: Path) -> Layers:
    """The dict of layers in a .npy file, written by Python 2 or 3.

    Raises:
        InputError: not such a file, damaged, or with anything in its pickle that weights don't need.
    """
    try:
        with path.open("rb") as file:
            _read_header(path, file)
            content = _Unpickler(file).load()
        return _layers(path, content)
    except InputError:
        raise
    # A damaged or hostile pickle can end in nearly any error of the unpickler or of NumPy.
    except Exception as error:
        reason = brief(error, 150) or type(error).__name__
        raise InputError(f"'{path}' is not a .npy file of weights alone ({reason}): download it again from its authors") from error


def _read_header(path: Path, file: IO[bytes]) -> None:
    """Leave the file where its data begin."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version}")
    shape, _, dtype = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if dtype != np.dtype(object) or shape != ():
        raise InputError(f"'{path}' holds an array {shape} of {dtype}, not a dict of layers: give NYU_ResNet-UpProj.npy")


def _layers(path: Path, content: Any) -> Layers:
    if isinstance(content, _Array) and isinstance(content.value, list) and len(content.value) == 1:
        content = content.value[0]
    if not isinstance(content, dict) or not content:
        raise InputError(f"'{path}' holds no dict of layers: give NYU_ResNet-UpProj.npy")
    layers: Layers = {}
    for layer, parameters in content.items():
        if not isinstance(layer, str) or not isinstance(parameters, dict):
            raise InputError(f"'{path}' holds more than layers ('{layer}'): give NYU_ResNet-UpProj.npy")
        layers[layer] = {}
        for name, array in parameters.items():
            if not isinstance(name, str) or not isinstance(array, _Array) or not isinstance(array.value, np.ndarray):
                raise InputError(f"'{path}' holds {layer}/{name}, which is no array of numbers: give NYU_ResNet-UpProj.npy")
            layers[layer][name] = array.value
    return layers


class _StandIn:
    """In place of a name in the pickle: swallows arguments.

    Its ``__setstate__`` keeps the pickle's BUILD instruction from setting attributes of the class or of an instance.
    """

    __slots__ = ()

    def __new__(cls, *_: object) -> "_StandIn":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a state where none belongs")


class _Dtype(_StandIn):
    """In place of ``numpy.dtype``."""

    __slots__ = ("code", "order")

    code: str
    order: str

    def __new__(cls, code: object, *_: object) -> "_Dtype":
        dtype = object.__new__(cls)
        dtype.code, dtype.order = str(code), "="
        return dtype

    def __setstate__(self, state: Any) -> None:
        _, self.order, subdtype, names, *_ = state
        if subdtype is not None or names is not None:
            raise pickle.UnpicklingError("an array of records")

    def numpy(self) -> np.dtype[Any]:
        if self.code not in _FLOATS or self.order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"an array of '{self.order}{self.code}', not of floating-point numbers")
        return np.dtype(self.order.replace("|", "=") + self.code)


class _Array(_StandIn):
    """In place of ``numpy.core.multiarray._reconstruct``: a list where the array is one of objects, else the array."""

    __slots__ = ("value",)

    value: list[Any] | np.ndarray | None

    def __new__(cls, *_: object) -> "_Array":
        array = object.__new__(cls)
        array.value = None
        return array

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _Dtype):
            raise pickle.UnpicklingError("an array without a type")
        if dtype.code.startswith("O"):
            self.value = data
            return
        # Python 2 pickled the bytes as a string, which the unpickler decoded.
        values = np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, dtype.numpy())
        self.value = values.reshape(shape, order="F" if is_fortran else "C")


class _Encoded(_StandIn):
    """In place of ``_codecs.encode``, by which Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes encoded as {encoding}")
        return text.encode("latin1")


_NAMES: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _StandIn,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _Encoded,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Unpickler(pickle.Unpickler):
    """Knows the names above alone, so that nothing in the file is imported or called."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which weights have no use for")
        return _NAMES[module, name]
