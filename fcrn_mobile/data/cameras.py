"""The cameras behind training data: a network that saw one focal length predicts metres for that one alone."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs


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


#: By a word of the data spec. Sources: the toolbox of NYU Depth V2; KITTI's calibration of 26 September 2011 (its other days lie within
#: 2 %); the TUM benchmark's own advice for all of its cameras; ATTRIBUTION.md of the built-in sample.
_KNOWN = {
    "nyu": TrainingCamera("NYU Depth V2", 518.9, 640),
    "kitti": TrainingCamera("KITTI", 721.5, 1242),
    "tum": TrainingCamera("the TUM RGB-D benchmark", 525.0, 640),
    "sample": TrainingCamera("the built-in sample", 259.4, 320),
}


def training_camera(spec: str) -> TrainingCamera:
    """The camera of a data spec as checkpoints record it: ``?fx=`` where the spec says it, else that of a known data set by its name."""
    location, _, query = spec.partition("#")[0].partition("?")
    try:
        focal = float(parse_qs(query)["fx"][0])
    except (KeyError, ValueError):
        focal = 0.0
    if focal > 0:
        return TrainingCamera(location, focal)
    # A word begins at no letter: ``nyu2_train`` and ``my-nyu``, not ``sunyu``.
    words = (word for word in _KNOWN if re.search(rf"(?<![a-z]){word}", location.casefold()))
    return _KNOWN.get(next(words, ""), TrainingCamera())
