"""Trained networks whose depth is learned beside the truth, or where there is none (distillation: Hinton et al. 2015, arXiv 1503.02531)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.data.cameras import TrainingCamera, focal_ratio
from fcrn_mobile.data.spec import recorded_camera
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.training_record import METRES
from fcrn_mobile.once import warn_once

__all__ = ["Teacher", "join_teachers", "load_teachers", "scaled_size", "teacher_names"]

_SEPARATOR = " + "


def join_teachers(names: Sequence[str]) -> str:
    """Several checkpoints as one setting, as ``data.mixture`` writes several sources."""
    return _SEPARATOR.join(names)


def teacher_names(setting: str | None) -> tuple[str, ...]:
    """The inverse of ``join_teachers``; none for None."""
    return tuple(name.strip() for name in setting.split(_SEPARATOR)) if setting else ()


def load_teachers(names: Sequence[str], hashes: Sequence[str] = ()) -> list[Checkpoint]:
    """Read checkpoints to learn from.

    Args:
        names: ``builtin`` or paths.
        hashes: that the files have to have, where a run goes on; none at its start.

    Raises:
        InputError: no checkpoint, depth up to scale, or another file than before.
    """
    teachers = [load_checkpoint(name) for name in names]
    for name, teacher in zip(names, teachers, strict=True):
        if teacher.units != METRES:
            raise InputError(f"teacher '{name}' gives depth {teacher.units}: give a network in metres")
    for name, teacher, digest in zip(names, teachers, hashes, strict=False):
        if teacher.sha256 != digest:
            raise InputError(f"teacher '{name}' is another file than when the run began (SHA-256 {digest[:12]}…): put that one back")
    return teachers


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """A network's input size times a factor, to the next multiples of 32, where its maps end with the picture; itself for 1."""
    height, width = (max(32, 32 * round(side * scale / 32)) for side in size)
    return size if scale == 1 else (height, width)


@dataclass(frozen=True)
class _Member:
    network: FCRN
    ratio: float


class Teacher:
    """The mean prediction of one or several networks; no module, so that it is no part of what learns from it.

    Each network sees the picture at its own input size. A picture that is s times as large is one of a lens s times as long, of which it
    predicts 1/s of the depth; so its prediction counts times s.

    Args:
        checkpoints: the networks, in metres for the cameras that they were trained for.
        camera: for which the metres are to hold.
        flip: whether each predicts the mirror image too.
        scales: of the networks' input sizes at which each predicts, see ``scaled_size``.
        device: to run on.
    """

    def __init__(
        self, checkpoints: Sequence[Checkpoint], camera: TrainingCamera, flip: bool, scales: Sequence[float], device: torch.device
    ) -> None:
        self.flip, self.scales = flip, tuple(scales)
        self._members = [_member(checkpoint, camera, device) for checkpoint in checkpoints]

    @torch.no_grad()
    def depths(self, images: Tensor, shown: Tensor, size: tuple[int, int]) -> Tensor:
        """What the networks predict, on the average.

        Args:
            images: N×3×H×W in 0..1.
            shown: N×1×H×W, where they show something; nothing is known of the rest.
            size: h, w of the result.

        Returns:
            N×1×h×w metres, 0 where there is nothing to learn.
        """
        with torch.autocast(images.device.type, enabled=False):
            predictions = [self._predicted(member, images, scale, size) for member in self._members for scale in self.scales]
        mean = torch.stack(predictions).mean(0)
        return mean.clamp_min(0) * (F.interpolate(shown.float(), size=size, mode="nearest") > 0)

    def _predicted(self, member: _Member, images: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
        own = member.network.config.input_size
        at = scaled_size(own, scale)
        pictures = _resized(images.float(), at)
        depth = member.network(pictures)
        if self.flip:
            depth = (depth + member.network(pictures.flip(-1)).flip(-1)) / 2
        return _resized(depth, size) * (member.ratio * at[1] / own[1])


def _member(checkpoint: Checkpoint, camera: TrainingCamera, device: torch.device) -> _Member:
    record = checkpoint.training
    ratio = focal_ratio(camera, recorded_camera(record.camera, record.data))
    if ratio is None:
        text = f"the focal length that metres of teacher '{checkpoint.name}' hold for, or that of the training data, is not known"
        warn_once(f"teacher {checkpoint.sha256}", f"{text}: its metres are taken as they are")
    network = checkpoint.network if checkpoint.quantization else deploy(checkpoint.network)
    return _Member(network.to(device).requires_grad_(False).eval(), ratio or 1.0)


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """N×C×H×W → N×C×h×w, bilinearly and without aliasing."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False, antialias=True)
