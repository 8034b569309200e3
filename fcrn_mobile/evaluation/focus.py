"""Metres for the camera that took a picture, not for the one that a network was trained on."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera, focal_ratio
from fcrn_mobile.data.framing import Frame
from fcrn_mobile.data.source import Source, camera_of
from fcrn_mobile.data.spec import recorded_camera
from fcrn_mobile.depth_contract import DepthContract, Framing
from fcrn_mobile.package.metadata import Metadata

__all__ = ["Focus", "focus_of", "focus_on", "model_camera", "network_camera"]


@dataclass(frozen=True)
class Focus:
    """The camera of a network, and that of pictures.

    A network that saw one focal length gives the depth at which that camera would have seen a picture; another camera saw it at
    f / f_network times that, both focal lengths in widths of what the network sees (arXiv 2307.10984, section 3.1, undone).

    Attributes:
        network: the camera that the network's metres hold for.
        pictures: what took the pictures.
        framing, size: how a picture becomes one of the network's, and height and width of that; None where it is not known.
        picture: height and width of the pictures, where they are settled.
    """

    network: TrainingCamera = UNKNOWN
    pictures: TrainingCamera = UNKNOWN
    framing: Framing = "stretch"
    size: tuple[int, int] | None = None
    picture: tuple[int, int] | None = None

    def factor(self, picture: tuple[int, int]) -> float | None:
        """By what depth of a picture of that height and width is multiplied; None where a camera is not known, 1 for the network's own."""
        return self.at(picture)._factor

    def __call__(self, depth: NDArray[np.float32], picture: tuple[int, int]) -> NDArray[np.float32]:
        """Depth h×w of a picture of that size, in metres for its camera; as it is for the network's own, or where one is not known."""
        factor = self.factor(picture)
        return depth if factor in (None, 1) else depth * np.float32(factor)

    def at(self, picture: tuple[int, int]) -> "Focus":
        """For pictures of that height and width, where their camera does not say for which width its focal length holds."""
        return replace(self, pictures=self.pictures.at(picture[1]), picture=picture)

    @property
    def _factor(self) -> float | None:
        ratio = focal_ratio(self.pictures, self.network)
        if ratio is None or self.size is None or self.picture is None:
            return ratio
        return ratio * (self.picture[1] / Frame(self.picture, self.size, self.framing).seen_width)

    def to_json(self) -> dict[str, Any]:
        """What is done to depth, as the command line writes it; empty where a camera is not known."""
        factor = self._factor
        if factor is None:
            return {}
        return {"camera": {"network": asdict(self.network), "pictures": asdict(self.pictures), "depth_scaled_by": factor}}

    def __str__(self) -> str:
        """What is done to depth, in lines; empty for nothing."""
        factor = self._factor
        if factor in (None, 1):
            return ""
        to = f"{self.pictures}" + ("" if self.framing == "stretch" else f", in widths of what the model sees (framing {self.framing})")
        lines = (f"from {self.network}", f"to {to}")
        return "\n  ".join((f"depth is multiplied by {factor:.4f}", *lines))


def focus_on(model: object, source: Source) -> Focus:
    """From a model's camera to that of a source; a model without metadata, such as a baseline, has no camera."""
    return focus_of(model, model_camera(model) or UNKNOWN, camera_of(source))


def focus_of(model: object, network: TrainingCamera, pictures: TrainingCamera) -> Focus:
    """From the camera of a model, as it frames pictures, to another one."""
    contract: DepthContract | None = getattr(model, "contract", None)
    return Focus(network, pictures, contract.framing if contract else "stretch", getattr(model, "input_size", None))


def model_camera(model: object) -> TrainingCamera | None:
    """What a model's metres hold for, by its contract and what it says of itself; None where depth is not in metres."""
    contract: DepthContract | None = getattr(model, "contract", None)
    camera = network_camera(getattr(model, "metadata", {}))
    if contract is None or not contract.is_metric:
        return None if contract else camera
    if contract.camera is None or (camera and (camera.focal_px, camera.width_px) == contract.camera):
        return camera or UNKNOWN
    return TrainingCamera("its model config", *contract.camera)


def network_camera(metadata: dict[str, str]) -> TrainingCamera | None:
    """What a model's metres hold for, by what it says of itself; None where depth is known up to scale only."""
    written = Metadata.from_dict(metadata)
    if not written.is_metric:
        return None
    try:
        record = json.loads(written.camera) if written.camera else None
        return recorded_camera(record, written.training_data or "")
    except (ValueError, TypeError):  # another maker's key of the same name
        return UNKNOWN
