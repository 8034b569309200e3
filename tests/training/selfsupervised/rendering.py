"""Textured walls seen by a pinhole camera, rendered ray by ray in NumPy: pictures whose depth and pose are known exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A floor, a back wall, a side wall and a slanted board: point and normal of each, in metres, +Y down.
WALLS = (
    ((0.0, 1.2, 0.0), (0.0, -1.0, 0.0)),
    ((0.0, 0.0, 4.0), (0.0, 0.0, -1.0)),
    ((-1.6, 0.0, 0.0), (1.0, 0.0, 0.0)),
    ((1.6, 0.0, 2.6), (-0.8, 0.0, -0.6)),
    ((0.0, -1.4, 0.0), (0.0, 1.0, 0.0)),
)


@dataclass(frozen=True)
class View:
    """A picture H×W×3 in 0..1 and its depth H×W in metres."""

    image: NDArray[np.float32]
    depth: NDArray[np.float32]


def render(size: tuple[int, int], intrinsics: tuple[float, float, float, float], camera: NDArray[np.float64], walls=WALLS) -> View:
    """What a camera with a camera-to-world pose 4×4 sees."""
    fx, fy, cx, cy = intrinsics
    v, u = np.mgrid[: size[0], : size[1]]
    rays = np.stack(((u - cx) / fx, (v - cy) / fy, np.ones(size)), axis=-1) @ camera[:3, :3].T  # camera depth 1
    origin = camera[:3, 3]
    depth, index = np.full(size, np.inf), np.zeros(size, int)
    for number, (point, normal) in enumerate(walls):
        with np.errstate(divide="ignore"):
            distance = ((np.array(point) - origin) @ np.array(normal)) / (rays @ np.array(normal))
        nearer = (distance > 0.05) & (distance < depth)
        depth[nearer], index[nearer] = distance[nearer], number
    points = origin + rays * depth[..., None]
    return View(_texture(points, index).astype(np.float32), depth.astype(np.float32))


def _texture(points: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Smooth waves over space, others on every wall: band-limited, so that a bilinear reading is nearly exact."""
    rng = np.random.default_rng(5)
    result = np.full((*points.shape[:2], 3), 0.5)
    for number in range(index.max() + 1):
        waves = np.zeros_like(result)
        for _ in range(6):
            direction, phase, strength = rng.normal(0, 4, 3), rng.uniform(0, 6.3), rng.uniform(0, 0.12, 3)
            waves += np.sin(points @ direction + phase)[..., None] * strength
        result[index == number] += waves[index == number]
    return result.clip(0, 1)


def camera_at(x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0) -> NDArray[np.float64]:
    """Camera-to-world pose: at a place in metres, turned to the right and up by radians."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = np.cos(pitch), np.sin(pitch)
    about_x = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = about_y @ about_x, (x, y, z)
    return pose
