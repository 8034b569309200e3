"""``folder:PATH``: a folder or .zip with rgb/ (JPEG or PNG) and depth/ (16-bit PNG), paired by file stem."""

import os
import zipfile
from pathlib import Path, PurePosixPath

from fcrn_mobile.data.depth_maps import decode_depth
from fcrn_mobile.data.file_pairs import checked_sample
from fcrn_mobile.data.images import decode_photo
from fcrn_mobile.data.source import Sample
from fcrn_mobile.errors import InputError

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class FolderSource:
    """Pairs of rgb/NAME.{jpg,png} and depth/NAME.png below a folder or inside a .zip.

    Args:
        path: the folder or .zip; rgb/ and depth/ may lie one level deeper in it.
        depth_scale: depth units per metre; None where nobody said them: 16-bit depth is then in millimetres.

    Raises:
        InputError: nothing there, or no pair.
    """

    def __init__(self, path: Path, depth_scale: float | None = None) -> None:
        self.path = path
        self.depth_scale = depth_scale
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        if path.is_dir():
            files = [p.relative_to(path).as_posix() for p in sorted(path.glob("**/*")) if p.is_file()]
        elif path.is_file():
            files = self._zip_members()
        else:
            raise InputError(f"no data at '{path}': give an existing folder or .zip with rgb/ and depth/")
        self._files = _pair(files)
        if not self._files:
            raise InputError(f"no RGB-D pairs in '{path}': it needs rgb/NAME.jpg (or .png) and depth/NAME.png with equal names")
        self.names = tuple(self._files)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Decode one pair.

        Raises:
            InputError: damaged file, sizes of unequal shape, or a depth map without one valid pixel.
        """
        name = self.names[index]
        image_file, depth_file = self._files[name]
        photo = decode_photo(self._read(image_file), f"{self.path}/{image_file}")
        depth = decode_depth(self._read(depth_file), f"{self.path}/{depth_file}", self.depth_scale, photo=photo)
        return checked_sample(photo.pixels, depth, name, f"{self.path}/{depth_file}")

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_opened": None}

    @property
    def _zip(self) -> zipfile.ZipFile:
        # An open zip cannot be pickled, and a forked worker shares its read position with every other: each process opens its own.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]

    def _zip_members(self) -> list[str]:
        try:
            return sorted(name for name in self._zip.namelist() if not name.endswith("/"))
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"'{self.path}' is not a readable .zip ({error}): give a folder or .zip") from error

    def _read(self, file: str) -> bytes:
        try:
            return (self.path / file).read_bytes() if self.path.is_dir() else self._zip.read(file)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"cannot read '{self.path}/{file}': {error}") from error


def _pair(files: list[str]) -> dict[str, tuple[str, str]]:
    """Names in sorted order → (image file, depth file) of those that have both."""
    images: dict[str, str] = {}
    depths: dict[str, str] = {}
    for file in files:
        path = PurePosixPath(file)
        if path.name.startswith("."):
            continue
        if path.parent.name == "rgb" and path.suffix.lower() in _IMAGE_SUFFIXES:
            images[path.stem] = file
        elif path.parent.name == "depth" and path.suffix.lower() == ".png":
            depths[path.stem] = file
    return {name: (images[name], depths[name]) for name in sorted(images.keys() & depths.keys())}
