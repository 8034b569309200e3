"""The cameras behind training data: a network that saw one focal length predicts metres for that one alone."""

from dataclasses import dataclass, replace

__all__ = ["KITTI", "NYU", "SAMPLE", "TUM", "UNKNOWN", "DataSet", "TrainingCamera", "focal_ratio"]

#: Relative focal lengths that differ by less are one camera's, written with other numbers of digits: 518.9 px at 640, 259.4 px at 320.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class TrainingCamera:
    """What took the pictures that a network learned from.

    Attributes:
        data: the data set, in words; empty where it is not known.
        focal_px: focal length in pixels; None where it is not known.
        width_px: width of the pictures that it holds for; None for those of the data itself.
    """

    data: str = ""
    focal_px: float | None = None
    width_px: int | None = None

    @property
    def relative_focal(self) -> float | None:
        """Focal length in widths of the picture, which no resizing changes; None where it is not known."""
        return None if self.focal_px is None or self.width_px is None else self.focal_px / self.width_px

    def at(self, width: int) -> "TrainingCamera":
        """With the width of its pictures, in pixels, where it does not say one."""
        return self if self.focal_px is None else replace(self, width_px=self.width_px or width)

    def __str__(self) -> str:
        """As in "metres hold for …"."""
        if self.focal_px is None:
            return "the camera of its training data"
        size = "in its pictures" if self.width_px is None else f"at {self.width_px} px width"
        return f"the camera of {self.data} (focal length {self.focal_px:g} px {size})"


#: A camera of which nothing is known.
UNKNOWN = TrainingCamera()


def focal_ratio(camera: TrainingCamera, other: TrainingCamera) -> float | None:
    """The relative focal length of one camera over another's; None where one is not known, exactly 1 where only rounding tells them apart.

    Two cameras that see the same picture saw it at depths of this ratio: u = f·x/z (Yin et al. 2023, arXiv 2307.10984, section 3.1).
    """
    if camera.relative_focal is None or other.relative_focal is None:
        return None
    ratio = camera.relative_focal / other.relative_focal
    return 1.0 if abs(ratio - 1) < _ROUNDING else ratio


@dataclass(frozen=True)
class DataSet:
    """A published data set: the word by which names of its files tell it, and what took its pictures."""

    word: str
    camera: TrainingCamera


#: Sources: the toolbox of NYU Depth V2; KITTI's calibration of 26 September 2011 (its other days lie within 2 %); the TUM benchmark's own
#: advice for all of its cameras; ATTRIBUTION.md of the built-in sample.
NYU = DataSet("nyu", TrainingCamera("NYU Depth V2", 518.9, 640))
KITTI = DataSet("kitti", TrainingCamera("KITTI", 721.5, 1242))
TUM = DataSet("tum", TrainingCamera("the TUM RGB-D benchmark", 525.0, 640))
SAMPLE = DataSet("sample", TrainingCamera("the built-in sample", 259.4, 304))
