"""The packed frames in memory, on the training's device, and the order in which an epoch shows them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from augmentation import augment, draw
from numpy.typing import NDArray
from packed import TRAIN, VAL, Chunk, PackedFrames
from settings import Settings
from torch import Tensor

#: Depth is learned as the camera of NYU Depth V2 sees it, 518.9 pixels of 640; so is every frame whose focal length is not known.
FOCAL = 518.9 / 640


@dataclass(frozen=True)
class TrainingFrames:
    """Frames resized for the augmentation.

    Attributes:
        images: N×3×h×w uint8.
        depths: N×h×w int16, millimetres, 0 where invalid.
        metres: N, of one unit of ``depths``: 1/1000, times what the camera's focal length makes of it.
        sources: N, of each frame its index into ``names``.
        names: of the sources, each once.
        weights: of the sources, how often an epoch shows each frame.
    """

    images: Tensor
    depths: Tensor
    metres: Tensor
    sources: NDArray[np.int64]
    names: tuple[str, ...]
    weights: tuple[float, ...]

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Indices of an epoch's frames.

        Of each source as many as its weight says, in an order that is drawn anew whenever all of it have had their turn, and where the
        epoch before ended (as ``data.mixture.Mixture``); then all of them shuffled.
        """
        parts = []
        for number, weight in enumerate(self.weights):
            own = np.flatnonzero(self.sources == number)
            shown = round(weight * len(own))
            turns = np.arange(epoch * shown, (epoch + 1) * shown)
            orders = {
                turn: np.random.default_rng((seed, number, turn)).permutation(own) for turn in set((turns // max(1, len(own))).tolist())
            }
            parts.append(np.array([orders[turn // len(own)][turn % len(own)] for turn in turns.tolist()], np.int64))
        return np.random.default_rng((seed, epoch)).permutation(np.concatenate(parts))

    def __len__(self) -> int:
        """Frames of an epoch."""
        return sum(round(weight * int((self.sources == number).sum())) for number, weight in enumerate(self.weights))

    def mean_depth(self) -> float:
        """Mean valid depth of 100 frames spread over all, in metres; 1 if none has any (as ``training.start``)."""
        indices = np.unique(np.linspace(0, len(self.images) - 1, 100).round().astype(int))  # nothing but torch and numpy here
        depths = self.depths[indices].double() * self.metres[indices].view(-1, 1, 1)
        valid = depths[depths > 0]
        return float(valid.mean()) if len(valid) else 1.0


@dataclass(frozen=True)
class ValidationFrames:
    """Images N×3×H×W uint8 at the network's size, and of each size of frame the true depths N×1×h×w in metres."""

    images: tuple[Tensor, ...]
    depths: tuple[Tensor, ...]

    def __len__(self) -> int:
        return sum(map(len, self.images))


class Batches:
    """The augmented batches of one epoch, the same whenever they are asked for: (images, depths, inside) as ``augment`` gives them.

    Args:
        frames: what is shown.
        settings: batch size, augmentation and seed.
        size: of the network's input.
        epoch: counted from 0.
    """

    def __init__(self, frames: TrainingFrames, settings: Settings, size: tuple[int, int], epoch: int) -> None:
        self.frames, self.settings, self.size = frames, settings, size
        order = frames.order(settings.manual_seed, epoch)
        # A last batch of one frame would make batch norm fail on a 1×1 map.
        self.steps = max(1, len(order) // settings.batch_size)
        device = frames.images.device
        self.indices = torch.from_numpy(order).to(device)
        self.draws = draw(len(order), size, settings, np.random.default_rng((settings.manual_seed, epoch, 1)), device)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        shown = slice(step * self.settings.batch_size, (step + 1) * self.settings.batch_size)
        indices = self.indices[shown]
        depths = self.frames.depths[indices].float() * self.frames.metres[indices].view(-1, 1, 1)
        return augment(self.frames.images[indices].float() / 255, depths.unsqueeze(1), self.draws[shown], self.size)


def training_frames(
    packed: PackedFrames, settings: Settings, size: tuple[int, int], weights: Mapping[str, float], passes: float, device: torch.device
) -> TrainingFrames:
    """All frames for training, resized to ``settings.resize`` times the network's size.

    Args:
        packed: what was read.
        settings: gives ``resize``.
        size: of the network's input.
        weights: by a source's name, in place of the file's.
        passes: by which all weights are multiplied: how much an epoch shows.
        device: where they are kept.

    Raises:
        SystemExit: a weight of an unknown source, or too little for a batch.
    """
    names = tuple(source["name"] for source in packed.sources)
    if unknown := set(weights) - set(names):
        raise SystemExit(f"no source '{min(unknown)}' in the packed file: it has {', '.join(names)}")
    chunks = [chunk for chunk in packed.chunks if chunk.part == TRAIN]
    larger = (round(size[0] * settings.resize), round(size[1] * settings.resize))
    focals = torch.tensor([focal or FOCAL for chunk in chunks for focal in chunk.focals])
    frames = TrainingFrames(
        torch.cat([_resized(chunk, larger, device) for chunk in chunks]),
        torch.cat([F.interpolate(_depths(chunk).to(device), size=larger, mode="nearest")[:, 0].to(torch.int16) for chunk in chunks]),
        (FOCAL / focals / 1000).to(device),
        np.concatenate([np.full(len(chunk.names), chunk.source) for chunk in chunks]),
        names,
        tuple(passes * weights.get(source["name"], source["weight"]) for source in packed.sources),
    )
    if len(frames) < settings.batch_size:
        raise SystemExit(f"an epoch shows {len(frames)} frames, fewer than a batch of {settings.batch_size}: give more --passes")
    return frames


def validation_frames(packed: PackedFrames, size: tuple[int, int], device: torch.device) -> ValidationFrames:
    """All frames that were held back."""
    chunks = [chunk for chunk in packed.chunks if chunk.part == VAL]
    return ValidationFrames(
        tuple(_resized(chunk, size, device) for chunk in chunks), tuple(_depths(chunk).to(device) / 1000 for chunk in chunks)
    )


def _resized(chunk: Chunk, size: tuple[int, int], device: torch.device) -> Tensor:
    """N×3×H×W uint8, by Pillow's bilinear interpolation: smoothed where it makes smaller."""
    images = torch.from_numpy(chunk.images).to(device).permute(0, 3, 1, 2).float()
    return F.interpolate(images, size=size, mode="bilinear", antialias=True).round_().clamp_(0, 255).to(torch.uint8).contiguous()


def _depths(chunk: Chunk) -> Tensor:
    """N×1×h×w millimetres in float32."""
    return torch.from_numpy(chunk.depths.astype(np.float32)).unsqueeze(1)
