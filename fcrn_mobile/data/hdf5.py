"""Reading HDF5 files with one clear error where a file is not what it should be.

Files are opened for one frame and closed again: an open HDF5 handle can neither be pickled nor be shared with a forked worker.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.source import valid_pixels
from fcrn_mobile.errors import InputError

__all__ = ["dataset", "opened", "valid_depth"]


@contextmanager
def opened(path: Path, what: str) -> Iterator[h5py.File]:
    """An HDF5 file, open for reading.

    Args:
        path: the file.
        what: what it should be, for an error.

    Raises:
        InputError: missing, not HDF5, truncated, or damaged where the block reads it.
    """
    if not path.is_file():
        raise InputError(f"no file '{path}': give {what}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        reason = "truncated: download it again" if "truncated" in str(error) else f"damaged or not HDF5 ({error}): replace it"
        raise InputError(f"'{path}' should be {what} but is {reason}") from error


def dataset(file: h5py.File, path: Path, key: str, layout: str, fits: Callable[[h5py.Dataset], bool]) -> h5py.Dataset:
    """A data set of the file, not yet read.

    Raises:
        InputError: the file has no such key, or it doesn't fit its layout.
    """
    data = file.get(key)
    if not isinstance(data, h5py.Dataset):
        raise InputError(f"'{path}' has no '{key}' but {', '.join(sorted(file)) or 'nothing'}: it needs '{key}', {layout}")
    if not fits(data):
        raise InputError(f"'{key}' of '{path}' is {'×'.join(map(str, data.shape)) or 'a scalar'} {data.dtype}: it needs {layout}")
    return data


def valid_depth(metres: NDArray[np.floating]) -> NDArray[np.float32]:
    """Depth as contiguous float32 with 0 for all that isn't a positive finite number."""
    depth = np.ascontiguousarray(metres, np.float32)
    return np.where(valid_pixels(depth), depth, np.float32(0))
