"""``nyu-mat:PATH``: the official ``nyu_depth_v2_labeled.mat`` (Silberman et al. 2012) with its official split."""

from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
from scipy.io import loadmat

from fcrn_mobile.data.file_pairs import checked_sample
from fcrn_mobile.data.hdf5 import dataset, opened, valid_depth
from fcrn_mobile.data.source import Sample, split_indices
from fcrn_mobile.errors import InputError

__all__ = ["NyuMat"]

_WHAT = "the official nyu_depth_v2_labeled.mat (HDF5, 2.8 GB)"


class NyuMat:
    """The labelled frames, read one by one from the file; ``depths`` is the hole-filled depth.

    MATLAB's column-major arrays appear transposed in HDF5: ``images`` is N×3×W×H, ``depths`` N×W×H. ``#test`` is the official 654
    frames. The official 795 training frames are divided by the fixed split into ``#train`` (676) and ``#val`` (119), so that
    the three never overlap.

    Args:
        path: the .mat file.
        splits: MATLAB v5 file with 1-based ``trainNdxs`` and ``testNdxs``; None for splits.mat beside it. Only a split needs it.

    Raises:
        InputError: missing or damaged file, missing key or wrong shape.
    """

    def __init__(self, path: Path, splits: Path | None = None) -> None:
        self.path = path
        self.splits_path = splits or path.parent / "splits.mat"
        with opened(path, _WHAT) as file:
            count = len(self._arrays(file)[0])
        self.names = tuple(f"{index:04d}" for index in range(count))

    def splits(self) -> dict[str, tuple[int, ...]]:
        """0-based frame indices of train, val and test.

        Raises:
            InputError: splits.mat is missing, damaged, or names frames that the file doesn't have.
        """
        official = self._official_splits()
        fixed = split_indices(len(official["trainNdxs"]))
        parts = {name: tuple(official["trainNdxs"][i] for i in fixed[name]) for name in ("train", "val")}
        return parts | {"test": official["testNdxs"]}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Read one frame.

        Raises:
            InputError: damaged file, or a depth map without one valid pixel.
        """
        name = self.names[index]
        with opened(self.path, _WHAT) as file:
            images, depths = self._arrays(file)
            position = int(name)
            image = np.ascontiguousarray(images[position].transpose(2, 1, 0))  # 3×W×H → H×W×3
            depth = valid_depth(depths[position].T)  # W×H → H×W
        return checked_sample(image, depth, name, f"frame {name} of {self.path}")

    def _arrays(self, file: h5py.File) -> tuple[h5py.Dataset, h5py.Dataset]:
        images = dataset(
            file,
            self.path,
            "images",
            "N×3×W×H uint8 (1449×3×640×480)",
            lambda data: data.ndim == 4 and data.shape[1] == 3 and data.dtype == np.uint8,
        )
        count, _, width, height = images.shape
        depths = dataset(
            file,
            self.path,
            "depths",
            f"{count}×{width}×{height} floats in metres, as its images are",
            lambda data: data.shape == (count, width, height) and data.dtype.kind == "f",
        )
        return images, depths

    def _official_splits(self) -> dict[str, tuple[int, ...]]:
        path = self.splits_path
        if not path.is_file():
            raise InputError(f"no file '{path}': a split of nyu-mat needs the official splits.mat beside the data or named by ?splits=FILE")
        try:
            content = loadmat(path)
        except Exception as error:  # on a damaged file SciPy's parser raises whatever it stumbles over
            raise InputError(f"'{path}' is not a MATLAB v5 file that SciPy can read ({error}): give the official splits.mat") from error
        parts = {}
        for key in ("trainNdxs", "testNdxs"):
            if key not in content:
                raise InputError(f"'{path}' has no '{key}': give the official splits.mat")
            values = np.unique(content[key]) if np.asarray(content[key]).dtype.kind in "uif" else np.array([])
            if not len(values) or values[0] < 1 or values[-1] > len(self) or np.any(values % 1):
                raise InputError(
                    f"'{key}' of '{path}' must be frame numbers from 1 to {len(self)}, "
                    f"the frames of '{self.path}': give the splits.mat of this file"
                )
            numbers = [int(value) for value in values]
            parts[key] = tuple(number - 1 for number in numbers)
        if shared := set(parts["trainNdxs"]) & set(parts["testNdxs"]):
            raise InputError(f"'{path}' has frame {min(shared) + 1} in train and test: give the official splits.mat")
        return parts
