"""``nyu-h5:PATH``: NYU Depth V2 as one HDF5 file a frame, the layout of sparse-to-dense and FastDepth."""

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.file_pairs import checked_sample
from fcrn_mobile.data.hdf5 import dataset, opened, valid_depth
from fcrn_mobile.data.listing import list_files
from fcrn_mobile.data.pairing import collect, tell_left_out
from fcrn_mobile.data.source import Sample, splits_by_part
from fcrn_mobile.errors import InputError

__all__ = ["H5Frames"]


class H5Frames:
    """Files ``train/SCENE/NNNNN.h5`` and ``val/official/NNNNN.h5`` with ``rgb`` (3×H×W uint8) and ``depth`` (H×W metres).

    ``#train`` is everything in train/ and ``#val`` everything in val/; a folder without the two has the fixed split.

    Args:
        path: the folder.

    Raises:
        InputError: no such folder, or no .h5 file in it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError(f"no data at '{path}': give the folder that holds train/ and val/")
        self.path = path
        listing = list_files(path)
        self._files = collect(listing.files, _name, "file")
        self.names = tuple(self._files)
        if not self.names:
            raise InputError(f"no .h5 file in '{path}': it needs train/SCENE/NNNNN.h5 and val/official/NNNNN.h5")
        tell_left_out(path, listing.remarks)

    def splits(self) -> dict[str, tuple[int, ...]]:
        """Indices of the frames in train/ and in val/."""
        folders = [name.split("/")[0] for name in self.names]
        return splits_by_part([folder if folder in ("train", "val") else "" for folder in folders])

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Read one file.

        Raises:
            InputError: damaged file, missing key, wrong shape, or a depth map without one valid pixel.
        """
        name = self.names[index]
        path = self.path / self._files[name]
        with opened(path, "a frame of rgb and depth") as file:
            rgb = dataset(file, path, "rgb", "3×H×W uint8", lambda data: data.ndim == 3 and data.shape[0] == 3 and data.dtype == np.uint8)
            depth = dataset(file, path, "depth", "H×W metres as floats", lambda data: data.ndim == 2 and data.dtype.kind == "f")
            image: NDArray[np.uint8] = np.ascontiguousarray(rgb[...].transpose(1, 2, 0))
            return checked_sample(image, valid_depth(depth[...]), name, str(path))


def _name(file: str) -> str | None:
    path = PurePosixPath(file)
    return path.with_suffix("").as_posix() if path.suffix.lower() == ".h5" else None
