"""Several models that look at the same picture."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan, degrees
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.focus import Focus, focus_on
from fcrn_mobile.evaluation.meaning import check_whole
from fcrn_mobile.report.pointcloud import Camera, back_project, ply_bytes
from fcrn_mobile.report.scenes import Scene, comparable_maps
from fcrn_mobile.runtimes import Runtime
from fcrn_mobile.validation.comparable import common_depth, relative_scale
from fcrn_mobile.validation.fidelity import Fidelity
from fcrn_mobile.validation.phone import common_view, phone_frames

__all__ = ["Lineup", "OnePicture", "Sight", "point_cloud"]


@dataclass(frozen=True)
class OnePicture:
    """A source of one sample, and what took it."""

    sample: Sample
    camera: TrainingCamera = UNKNOWN

    @property
    def names(self) -> tuple[str, ...]:
        return (self.sample.name,)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return (self.sample,)[index]


@dataclass(frozen=True)
class Sight:
    """What the models of a lineup gave of one picture.

    Attributes:
        scene: the picture with the reference's map, and the candidates' in its unit.
        times_ms: of each model's prediction, the reference's first; resizing included, decoding not.
        focus: from the reference's camera to the picture's.
        field_of_view: of the picture, horizontally, in degrees; None where its focal length is not known.
    """

    scene: Scene
    times_ms: tuple[float, ...]
    focus: Focus
    field_of_view: float | None

    @property
    def maps(self) -> tuple[NDArray[np.float32], ...]:
        """Depth by each model, h×w, the reference's first."""
        return (self.scene.expected, *self.scene.predictions)


@dataclass(frozen=True)
class Lineup:
    """A reference and candidates, which may be none.

    Attributes:
        models: the reference first.
        depth: what all of their depth means.
        scales: of each candidate's depth over the reference's.
        framing: what they get of pictures, one of ``data.phone.VIEWS``; None for the pictures themselves.
    """

    models: tuple[Runtime, ...]
    depth: Depth
    scales: tuple[float, ...]
    framing: str | None = None

    @classmethod
    def of(cls, models: Sequence[Runtime], framing: str | None = None) -> Self:
        """Models that can be held against one another.

        Raises:
            InputError: depth of different meanings; without a framing, of a part of pictures alone; an unknown framing, or one that the
                models do not share.
        """
        reference, *candidates = models
        if framing is not None:
            common_view(models, framing)
        for model in models if framing is None else ():
            check_whole(model)
        scales = tuple(relative_scale(candidate, reference) for candidate in candidates)
        return cls(tuple(models), common_depth(reference, candidates), scales, framing)

    @property
    def is_metric(self) -> bool:
        """Whether what is shown is in metres."""
        return self.depth == "metres"

    def look(self, sample: Sample, camera: TrainingCamera = UNKNOWN) -> Sight:
        """Let all of them see a picture.

        Args:
            sample: of any size; its depth is shown where it is known.
            camera: what took it; metres become those for it.

        Raises:
            InputError: a framing that the models or the picture do not allow.
        """
        source: Source = OnePicture(sample, camera.at(sample.image.shape[1]))
        if self.framing is not None:
            source = phone_frames(source, self.models, self.framing)
        sample = source[0]
        outputs, times = zip(*(_timed(model, sample.image) for model in self.models), strict=True)
        focus, size = focus_on(self.models[0], source), sample.image.shape[:2]
        expected, *predictions = comparable_maps(outputs, self.scales, focus, size)
        drifts = tuple(Fidelity(self.depth).update(each, expected).abs_rel for each in predictions)
        scene = Scene("", sample.name, sample.image, sample.depth, expected, tuple(predictions), drifts)
        focal = focus.at(size).pictures.relative_focal
        return Sight(scene, times, focus.at(size), None if focal is None else degrees(2 * atan(0.5 / focal)))


def point_cloud(sight: Sight, model: int, field_of_view: float, lineup: Lineup) -> bytes:
    """One model's depth as coloured points, a PLY file.

    Args:
        sight: what was seen.
        model: which, by its place in the lineup.
        field_of_view: of the picture, horizontally, in degrees.
        lineup: who saw it.

    Raises:
        InputError: inverse depth up to scale and shift, which has no place in space; an angle that no camera has.
    """
    if lineup.depth == "inverse":
        raise InputError(f"'{lineup.models[0].name}' gives {lineup.models[0].contract.units}: it has no place in space")
    if not 0 < field_of_view < 180:
        raise InputError(f"the field of view is {field_of_view:g} degrees: give one between 0 and 180")
    image = sight.scene.image
    camera = Camera(fov=field_of_view).intrinsics(image.shape[:2])
    return ply_bytes(back_project(sight.maps[model], image, camera), lineup.is_metric)


def _timed(model: Runtime, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """What a model gives, and after how many ms."""
    start = time.perf_counter()
    output = model.predict(image)
    return output, 1000 * (time.perf_counter() - start)
