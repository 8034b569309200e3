"""Arrays from .npy files."""

from io import BytesIO
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError

__all__ = ["MAGIC", "decode_npy"]

MAGIC = b"\x93NUMPY"


def decode_npy(data: bytes, name: str) -> NDArray[Any]:
    """The one array of an .npy file; nothing is unpickled.

    Raises:
        InputError: another kind of file, damaged, or several arrays.
    """
    if data.startswith(b"PK"):
        raise InputError(f"'{name}' is a zip, as an .npz is, of several arrays: give an .npy with one")
    try:
        array: NDArray[Any] = np.lib.format.read_array(BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, MemoryError, OverflowError, TokenError) as error:
        raise InputError(f"'{name}' is not an .npy file that NumPy reads ({' '.join(str(error).split())[:120]}): write it again") from error
    return array
