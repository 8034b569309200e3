"""Furnished rooms seen by two cameras side by side, ray by ray in NumPy: stereo pairs whose depth is known exactly."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.depth_maps import save_depth_png

#: Height and width of the pictures, focal length in pixels, metres between the cameras.
SIZE = (168, 240)
FOCAL = 190.0
BASELINE = 0.12
_CAMERA_HEIGHT = (1.1, 1.6)


@dataclass(frozen=True)
class Room:
    """Boxes, the room itself first: corners K×3 in metres with Y down, and a texture per box.

    Attributes:
        low, high: corners K×3.
        waves: directions of the texture's waves K×M×3 in 1/m, with ``phases`` K×M and ``strengths`` K×M×3.
        colours: of the boxes, K×3.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]
    strengths: NDArray[np.float64]
    colours: NDArray[np.float64]


def furnish(rng: np.random.Generator) -> Room:
    """A room of 3 to 6 m with 4 to 9 pieces of furniture on its floor."""
    width, depth, height = rng.uniform(3, 6), rng.uniform(3, 6), rng.uniform(2.3, 2.9)
    low, high = [(-width / 2, -height, 0.0)], [(width / 2, 0.0, depth)]
    for _ in range(rng.integers(4, 10)):
        size = rng.uniform((0.3, 0.3, 0.3), (1.2, 1.8, 0.9))
        x, z = rng.uniform(-width / 2, width / 2 - size[0]), rng.uniform(0.9, depth - size[2])
        low.append((x, -size[1], z))
        high.append((x + size[0], 0.0, z + size[2]))
    count, waves = len(low), 24
    # From broad shading down to what is a few pixels wide.
    frequencies = np.exp(rng.uniform(np.log(2), np.log(60), (count, waves, 1)))
    directions = rng.normal(size=(count, waves, 3))
    return Room(
        np.array(low),
        np.array(high),
        frequencies * directions / np.linalg.norm(directions, axis=-1, keepdims=True),
        rng.uniform(0, 2 * np.pi, (count, waves)),
        rng.uniform(0, 0.05, (count, waves, 3)),
        rng.uniform(0.25, 0.75, (count, 3)),
    )


def look(room: Room, place: NDArray[np.float64], yaw: float, pitch: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What a camera at a place sees, turned to the right by ``yaw`` and down by ``pitch``: picture H×W×3 and depth H×W in metres."""
    height, width = SIZE
    v, u = np.mgrid[:height, :width]
    rays = np.stack(((u - (width - 1) / 2) / FOCAL, (v - (height - 1) / 2) / FOCAL, np.ones(SIZE)), axis=-1)  # of depth 1
    rays = rays @ rotation(yaw, pitch).T
    depth, box = np.full(SIZE, np.inf), np.zeros(SIZE, int)
    for number in range(len(room.low)):
        with np.errstate(divide="ignore"):
            first, second = ((corner[number] - place) / rays for corner in (room.low, room.high))
        enter, leave = np.minimum(first, second).max(axis=-1), np.maximum(first, second).min(axis=-1)
        # The room is seen from inside, where rays leave it; furniture where they enter.
        hit = leave if number == 0 else np.where((enter < leave) & (enter > 0), enter, np.inf)
        depth, box = np.where(hit < depth, hit, depth), np.where(hit < depth, number, box)
    points = place + rays * depth[..., None]
    return _paint(room, points, box), depth.astype(np.float32)


def rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
    """Camera to room: turned to the right, then down."""
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    result: NDArray[np.float64] = about_y @ about_x
    return result


def write_pairs(folder: Path, count: int, seed: int) -> None:
    """Left and right pictures of ``count`` rooms, and rgb/ and depth/ of the left ones, with which their depth can be measured."""
    rng = np.random.default_rng(seed)
    for name in ("left", "right", "rgb", "depth"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        room = furnish(rng)
        width, depth = room.high[0, 0] - room.low[0, 0], room.high[0, 2]
        place = np.array((rng.uniform(-0.2, 0.2) * width, -rng.uniform(*_CAMERA_HEIGHT), rng.uniform(0.05, 0.15) * depth))
        yaw, pitch = rng.uniform(-0.4, 0.4), rng.uniform(-0.05, 0.25)
        left, true = look(room, place, yaw, pitch)
        right, _ = look(room, place + rotation(yaw, pitch)[:, 0] * BASELINE, yaw, pitch)
        for name, picture in (("left", left), ("rgb", left), ("right", right)):
            Image.fromarray(picture).save(folder / name / f"{number:04d}.png")
        save_depth_png(true, folder / "depth" / f"{number:04d}.png")


def _paint(room: Room, points: NDArray[np.float64], box: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Waves over space in every box's own colours, darker towards the floor, the floor darkest."""
    picture = np.empty((*box.shape, 3))
    for number in np.unique(box):
        here = box == number
        phases = points[here] @ room.waves[number].T + room.phases[number]  # P×M
        picture[here] = room.colours[number] + np.sin(phases) @ room.strengths[number]
    shade = 1 - 0.25 * np.clip(points[..., 1:2] / 2.5 + 1, 0, 1)
    shade = np.where((box[..., None] == 0) & (points[..., 1:2] > -1e-6), 0.55, shade)
    return np.rint(np.clip(picture * shade, 0, 1) * 255).astype(np.uint8)
