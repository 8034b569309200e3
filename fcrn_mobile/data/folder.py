"""``folder:PATH``: a folder or .zip with rgb/ (pictures) and depth/, paired by their paths."""

from importlib import resources
from pathlib import Path, PurePosixPath

from fcrn_mobile.data.archive import Archive
from fcrn_mobile.data.depth_maps import DEPTH_SUFFIXES, decode_depth
from fcrn_mobile.data.file_pairs import checked_sample
from fcrn_mobile.data.images import decode_photo
from fcrn_mobile.data.inputs import IMAGE_SUFFIXES
from fcrn_mobile.data.listing import list_files
from fcrn_mobile.data.pairing import Kind, Matches, match, tell_left_out
from fcrn_mobile.data.source import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.once import warn_once

__all__ = ["FolderSource", "open_sample"]

_KINDS = Kind("image", ("rgb",), IMAGE_SUFFIXES), Kind("depth map", ("depth",), DEPTH_SUFFIXES)


class FolderSource:
    """Pairs of rgb/NAME and depth/NAME below a folder or inside a .zip.

    Args:
        path: the folder or .zip. Several scenes may lie in it, each with its rgb/ and depth/, or rgb/ and depth/ hold the scenes.
        scale: depth units per metre; None where nobody said them: 16-bit depth is then in millimetres.

    Raises:
        InputError: nothing there, no pair, two files of one frame, or a .zip that cannot be read.
    """

    def __init__(self, path: Path, scale: float | None = None) -> None:
        self.path = path
        self.scale = scale
        self._archive: Archive | None = None
        remarks: list[str] = []
        if path.is_dir():
            listing = list_files(path)
            files, remarks = listing.files, listing.remarks
        elif path.is_file():
            self._archive = Archive(path)
            files = self._archive.files
        else:
            raise InputError(f"no data at '{path}': give an existing folder or .zip with rgb/ and depth/")
        matches = match(files, *_KINDS)
        self._files = matches.pairs
        if not self._files:
            raise InputError(_no_pairs(path, files, matches, remarks))
        self.names = tuple(self._files)
        if self._archive:
            self._check(self._archive)
        tell_left_out(path, [*matches.remarks, *remarks])
        if scale is None and _is_tum(files):
            warn_once(
                f"tum {path}",
                f"'{path}' holds rgb.txt and depth.txt, as sequences of TUM RGB-D do, whose depth is 5000 units a metre: it is read as "
                f"millimetres; give tum:{path}, or ?scale=UNITS_PER_METRE",
            )

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
        depth = decode_depth(self._read(depth_file), f"{self.path}/{depth_file}", self.scale, photo=photo)
        return checked_sample(photo.pixels, depth, name, f"{self.path}/{depth_file}")

    def _check(self, archive: Archive) -> None:
        """Refuse an archive none of whose frames can be unpacked; a few that cannot are named when they are read."""
        reasons = []
        for pair in self._files.values():
            try:
                for file in pair:
                    archive.check(file)
            except InputError as error:
                reasons.append(error)
            else:
                return
        raise reasons[0]

    def _read(self, file: str) -> bytes:
        if self._archive:
            return self._archive.read(file)
        try:
            return (self.path / file).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read '{self.path}/{file}': {error.strerror}") from error


def open_sample() -> FolderSource:
    """The data set in the package."""
    return FolderSource(Path(str(resources.files("fcrn_mobile") / "data" / "sample")))


def _no_pairs(path: Path, files: tuple[str, ...], matches: Matches, remarks: list[str]) -> str:
    notes = "; ".join([*matches.remarks, *remarks])
    hint = f"; a sequence of TUM RGB-D, as this seems to be, is read with tum:{path}" if _is_tum(files) else ""
    needed = "it needs rgb/NAME.jpg (or .png) and depth/NAME.png with equal names"
    return f"no RGB-D pairs in '{path}'{f' ({notes})' if notes else ''}: {needed}{hint}"


def _is_tum(files: tuple[str, ...]) -> bool:
    names = {PurePosixPath(file).name for file in files}
    return {"rgb.txt", "depth.txt"} <= names
