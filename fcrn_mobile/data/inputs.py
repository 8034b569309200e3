"""What a user names to predict on: pictures, folders of pictures, videos."""

from collections.abc import Iterable
from pathlib import Path

from fcrn_mobile.data.listing import Listing, is_hidden, natural_key
from fcrn_mobile.data.pairing import tell_left_out
from fcrn_mobile.errors import InputError

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "expand", "is_video"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
#: Containers that FFmpeg reads.
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts"),
    *(".ts", ".3gp", ".3g2", ".ogv", ".flv", ".wmv", ".mxf", ".y4m"),
)


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def expand(paths: Iterable[Path]) -> list[Path]:
    """Files as they are; a folder becomes its pictures in natural order (2 before 10), those in folders below left out.

    Raises:
        InputError: a folder without a picture, or one that cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        files += _pictures(path) if path.is_dir() else [path]
    return files


def _pictures(folder: Path) -> list[Path]:
    try:
        # macOS writes `._NAME.jpg` beside the pictures of foreign disks.
        files = sorted((file for file in folder.iterdir() if not is_hidden(file.name)), key=lambda file: natural_key(file.name))
    except OSError as error:
        raise InputError(f"cannot read folder '{folder}': {error.strerror}") from error
    candidates = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    pictures = [file for file in candidates if file.is_file()]
    remarks = Listing((), tuple(file.name for file in candidates if file.is_symlink() and not file.exists())).remarks
    if not pictures:
        remark = f" ({remarks[0]})" if remarks else ""
        hint = "name the videos themselves" if any(map(is_video, files)) else f"it needs files ending in {', '.join(IMAGE_SUFFIXES)}"
        raise InputError(f"no pictures in folder '{folder}'{remark}: {hint}")
    tell_left_out(folder, remarks)
    return pictures
