"""What a user names to predict on: pictures, folders of pictures, videos."""

from collections.abc import Iterable
from pathlib import Path

from fcrn_mobile.errors import InputError

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
    """Files as they are; a folder becomes its pictures, sorted by name, those in folders below left out.

    Raises:
        InputError: a folder without a picture, or one that cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        files += _pictures(path) if path.is_dir() else [path]
    return files


def _pictures(folder: Path) -> list[Path]:
    try:
        found = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as error:
        raise InputError(f"cannot read folder '{folder}': {error.strerror}") from error
    # macOS writes `._NAME.jpg` beside the pictures of foreign disks.
    pictures = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
    if not pictures:
        hint = "name the videos themselves" if any(map(is_video, found)) else f"it needs files ending in {', '.join(IMAGE_SUFFIXES)}"
        raise InputError(f"no pictures in folder '{folder}': {hint}")
    return pictures
