"""The cameras behind training data: a network that saw one focal length predicts metres for that one alone."""

from dataclasses import dataclass

__all__ = ["KITTI", "NYU", "SAMPLE", "TUM", "DataSet", "TrainingCamera"]


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

    def __str__(self) -> str:
        """As in "metres hold for …"."""
        if self.focal_px is None:
            return "the camera of its training data"
        size = "in its pictures" if self.width_px is None else f"at {self.width_px} px width"
        return f"the camera of {self.data} (focal length {self.focal_px:g} px {size})"


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
SAMPLE = DataSet("sample", TrainingCamera("the built-in sample", 259.4, 320))
