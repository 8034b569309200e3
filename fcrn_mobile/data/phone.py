"""What a model gets of a scene on a phone: a part of pictures as wide as the phone's camera sees, framed as the model asks.

The app takes 16:9 video of 1280×720, upright however the phone is held. Apple's specifications give the main camera of iPhone 11 to 14 as
26 mm in 35 mm equivalents, of 4:3 pictures by their diagonal: 26 / (0.8 · 43.27) = 0.751 of the long side, which video of 16:9 has whole.
Apple's ``videoFieldOfView`` of single formats differs by a few per cent from that. It is an emulation: no phone took part.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.canonical import resolved_camera
from fcrn_mobile.data.exif_focal import equivalent_focal_px
from fcrn_mobile.data.framing import Frame
from fcrn_mobile.data.source import Sample, Source, Wrapped
from fcrn_mobile.depth_contract import Framing
from fcrn_mobile.errors import InputError

__all__ = ["VIEWS", "PhoneView", "View", "phone_view"]

#: How pictures are seen: by a phone held upright or sideways, or whole and stretched.
View = Literal["phone-portrait", "phone-landscape", "stretch"]
VIEWS: tuple[View, ...] = get_args(View)

#: Height and width of the app's video.
_VIDEO = {"phone-portrait": (1280, 720), "phone-landscape": (720, 1280)}
#: Focal length in long sides of a 4:3 picture.
_FOCAL = equivalent_focal_px(26, 4, 3) / 4
#: Relative focal lengths of pictures that differ by less are one camera's: parts have whole pixels.
_ROUNDING = 0.02


@dataclass(frozen=True)
class PhoneView(Wrapped):
    """Another source's pictures as a model gets them on a phone: every image of the model's size, with its depth behind it.

    Attributes:
        source: pictures of one camera, whose focal length is known.
        model: height and width that the model takes.
        framing: of the model.
        view: how the phone is held.
        camera: of the images.
        zoom: by how much pictures show less than the phone's camera would, in both directions; 1 where they are wide enough.
    """

    source: Source
    model: tuple[int, int]
    framing: Framing
    view: View
    camera: TrainingCamera
    zoom: float

    @property
    def framed_for(self) -> tuple[int, int]:
        """Height and width of every image: a model of that size sees all of them, whatever its own framing."""
        return self.model

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        return {"view": self.view, "framing": self.framing, "narrower_by": self.zoom, "emulated": True}

    def __str__(self) -> str:
        """What was done to pictures, in a line."""
        if self.view == "stretch":
            return "pictures were stretched to the model's shape"
        narrow = f"; they show {self.zoom:.2f} times less of both sides than a phone would" if self.zoom > 1 else ""
        return f"pictures were cut to {self.view} video and framed by {self.framing}: an emulation, not run on a phone{narrow}"

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        part, camera, _ = _seen(sample, resolved_camera(self.source), self.model, self.framing, self.view)
        if abs((camera.relative_focal or 0) / (self.camera.relative_focal or 1) - 1) > _ROUNDING:
            raise InputError(f"'{sample.name}' has another field of view than the first picture: give pictures of one size with --framing")
        return part


def phone_view(source: Source, model: tuple[int, int], framing: Framing, view: View) -> PhoneView:
    """What a model gets of a source's pictures on a phone.

    Raises:
        InputError: no picture, or the focal length of their camera is not known.
    """
    if not len(source):
        raise InputError("no picture to look at as a phone would: the data is empty")
    camera = resolved_camera(source)
    if camera.relative_focal is None:
        raise InputError(f"--framing {view} needs the focal length of the data's camera: add ?fx=PIXELS, in pixels of its pictures")
    _, own, zoom = _seen(source[0], camera, model, framing, view)
    return PhoneView(source, model, framing, view, own, zoom)


def _seen(
    sample: Sample, camera: TrainingCamera, model: tuple[int, int], framing: Framing, view: View
) -> tuple[Sample, TrainingCamera, float]:
    """A picture as the model gets it, its camera, and how much less it shows than the phone's."""
    height, width = sample.image.shape[:2]
    focal = (camera.relative_focal or 0) * width
    rows, columns, zoom = slice(0, height), slice(0, width), 1.0
    if view != "stretch":
        tall, wide = (side * focal / (_FOCAL * max(_VIDEO[view])) for side in _wanted(view, model, framing))
        zoom = max(1.0, tall / height, wide / width)
        rows, columns = _middle(height, tall / zoom), _middle(width, wide / zoom)
    image, depth = np.ascontiguousarray(sample.image[rows, columns]), sample.depth[rows, columns]
    # What is cropped was cut here; what rounding leaves of another aspect is stretched away.
    frame = Frame((image.shape[0], image.shape[1]), model, "letterbox" if framing == "letterbox" and view != "stretch" else "stretch")
    own = TrainingCamera(camera.data if view == "stretch" else f"{camera.data} as {view}", focal * model[1] / frame.seen_width, model[1])
    return replace(sample, image=frame.fill(image), depth=_between_bars(depth, frame)), own, zoom


def _wanted(view: View, model: tuple[int, int], framing: Framing) -> tuple[float, float]:
    """Height and width of what has to be in a picture, in pixels of the video: of a crop, what the model sees alone."""
    tall, wide = _VIDEO[view]
    if framing != "crop":
        return tall, wide
    scale = min(tall / model[0], wide / model[1])
    return model[0] * scale, model[1] * scale


def _middle(side: int, length: float) -> slice:
    """The middle ``length`` of ``side`` pixels, rounded to whole ones."""
    part = min(max(round(length), 1), side)
    return slice((side - part) // 2, (side - part) // 2 + part)


def _between_bars(depth: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Depth of a picture with as much around it as a letterbox puts there, where none is known."""
    if frame.framing != "letterbox":
        return depth
    height, width = depth.shape
    whole = max(height, ceil(width * frame.model[0] / frame.model[1])), max(width, ceil(height * frame.model[1] / frame.model[0]))
    top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
    return np.pad(depth, ((top, whole[0] - height - top), (left, whole[1] - width - left)))
