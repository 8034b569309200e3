"""Which inputs of a prediction can be read: all are looked at before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fcrn_mobile.data.images import read_image
from fcrn_mobile.data.inputs import is_video
from fcrn_mobile.data.skipping import sort_out
from fcrn_mobile.data.video import Video, load_av, open_video
from fcrn_mobile.errors import InputError
from fcrn_mobile.progress import OnStep

__all__ = ["Readable", "look_at"]


@dataclass
class Readable:
    """Inputs, sorted by what they are.

    Attributes:
        files: pictures and videos that can be read, in the order given.
        videos: those among them.
        sizes: height and width of the pictures among them.
        skipped: what could not be read, or predicted later, and why.
    """

    files: list[Path] = field(default_factory=list)
    videos: dict[Path, Video] = field(default_factory=dict)
    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)
    skipped: dict[Path, str] = field(default_factory=dict)

    def skip(self, path: Path, reason: str) -> None:
        """Pass over an input after all."""
        self.files.remove(path)
        self.skipped[path] = reason

    def check_any(self) -> None:
        """Refuse to have passed over everything.

        Raises:
            InputError: no input is left.
        """
        if not self.files:
            reason = next(iter(self.skipped.values()))
            raise InputError(
                reason if len(self.skipped) == 1 else f"none of {len(self.skipped)} inputs can be predicted; the first: {reason}"
            )


def look_at(files: Sequence[Path], skip_bad: bool, on_file: OnStep) -> Readable:
    """Decode every picture, and the first frame of every video; pixels are not kept.

    Args:
        files: pictures and videos.
        skip_bad: pass over what cannot be read.
        on_file: is called with the number of files done and their total.

    Raises:
        InputError: PyAV is missing for a video; a file cannot be read; with ``skip_bad``, none can.
    """
    if any(map(is_video, files)):
        load_av()
    readable = Readable()

    def read(path: Path) -> None:
        if is_video(path):
            readable.videos[path] = open_video(path)
        else:
            height, width = read_image(path).shape[:2]
            readable.sizes[path] = height, width

    try:
        readable.files, readable.skipped = sort_out(files, read, on_file, skip_bad)
    except InputError as error:
        raise InputError(f"{error}{', or pass over such files with --skip-bad' if len(files) > 1 else ''}") from error
    readable.check_any()
    return readable
