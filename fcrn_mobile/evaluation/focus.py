"""Metres for the camera that took a picture, not for the one that a network was trained on."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera, focal_ratio
from fcrn_mobile.data.source import Source, camera_of
from fcrn_mobile.data.spec import recorded_camera
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.package.metadata import Metadata

__all__ = ["Focus", "focus_on", "model_camera", "network_camera"]


@dataclass(frozen=True)
class Focus:
    """The camera of a network, and that of pictures.

    A network that saw one focal length gives the depth at which that camera would have seen a picture; another camera saw it at
    f / f_network times that, both focal lengths in widths of the picture (arXiv 2307.10984, section 3.1, undone).
    """

    network: TrainingCamera = UNKNOWN
    pictures: TrainingCamera = UNKNOWN

    def factor(self, width: int) -> float | None:
        """By what depth is multiplied, for a picture ``width`` pixels wide; None where a camera is not known, 1 for the network's own."""
        return focal_ratio(self.pictures.at(width), self.network)

    def __call__(self, depth: NDArray[np.float32], width: int) -> NDArray[np.float32]:
        """Depth h×w of a picture of that width, in metres for its camera; as it is for the network's own, or where one is not known."""
        factor = self.factor(width)
        return depth if factor in (None, 1) else depth * np.float32(factor)

    def at(self, width: int) -> "Focus":
        """For pictures of that width, where their camera does not say one."""
        return replace(self, pictures=self.pictures.at(width))

    def to_json(self) -> dict[str, Any]:
        """What is done to depth, as the command line writes it; empty where a camera is not known."""
        factor = focal_ratio(self.pictures, self.network)
        if factor is None:
            return {}
        return {"camera": {"network": asdict(self.network), "pictures": asdict(self.pictures), "depth_scaled_by": factor}}

    def __str__(self) -> str:
        """What is done to depth, in lines; empty for nothing."""
        factor = focal_ratio(self.pictures, self.network)
        if factor in (None, 1):
            return ""
        lines = (f"{name} {camera}" for name, camera in (("from", self.network), ("to", self.pictures)))
        return "\n  ".join((f"depth is multiplied by {factor:.4f}", *lines))


def focus_on(model: object, source: Source) -> Focus:
    """From a model's camera to that of a source; a model without metadata, such as a baseline, has no camera."""
    return Focus(model_camera(model) or UNKNOWN, camera_of(source))


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
