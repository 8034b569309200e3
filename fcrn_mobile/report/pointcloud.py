"""A depth map as coloured points in space, written as PLY.

Camera convention (OpenCV's): x to the right, y down, z forward along the optical axis, the camera at the origin; metres. Depth is z, not
the distance to the camera. A pixel's centre has whole coordinates, the first one (0, 0).
"""

from dataclasses import dataclass
from math import isfinite, radians, tan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.source import valid_pixels
from fcrn_mobile.data.views import Intrinsics
from fcrn_mobile.errors import InputError

__all__ = ["Camera", "back_project", "ply_bytes", "save_ply"]

_VERTEX = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
_HEADER = """ply
format binary_little_endian 1.0
comment {unit}; x right, y down, z forward; the camera at the origin
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
"""


@dataclass(frozen=True)
class Camera:
    """What the user says of the camera: four intrinsics in pixels of the original image, or a horizontal field of view in degrees.

    Raises:
        InputError: nothing, not all, or both of it given; a value that no camera has.
    """

    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    fov: float | None = None

    def __post_init__(self) -> None:
        options = {f"--{name}": getattr(self, name) for name in ("fx", "fy", "cx", "cy")}
        missing = [name for name, value in options.items() if value is None]
        if self.fov is not None:
            if len(missing) < len(options):
                raise InputError("--fov and --fx --fy --cx --cy say the same thing: give one or the other")
            if not 0 < self.fov < 180:
                raise InputError(f"--fov is {self.fov:g}: give the horizontal field of view in degrees, between 0 and 180")
            return
        if len(missing) == len(options):
            raise InputError("--pointcloud needs the camera: give --fx --fy --cx --cy in pixels of the original image, or --fov DEGREES")
        if missing:
            raise InputError(f"{' '.join(missing)} is missing: give all of --fx --fy --cx --cy, or --fov DEGREES")
        for name, value in options.items():
            if not isfinite(value) or (name in ("--fx", "--fy") and value <= 0):
                raise InputError(f"{name} is {value:g}: give pixels of the original image, a positive focal length")

    def intrinsics(self, size: tuple[int, int]) -> Intrinsics:
        """For an image of height × width; a field of view puts the axis through its middle and makes pixels square."""
        if self.fx is not None and self.fy is not None and self.cx is not None and self.cy is not None:
            return Intrinsics(self.fx, self.fy, self.cx, self.cy)
        assert self.fov is not None
        height, width = size
        focal = width / (2 * tan(radians(self.fov) / 2))
        return Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2)


def back_project(depth: NDArray[np.float32], image: NDArray[np.uint8], camera: Intrinsics) -> NDArray[np.void]:
    """One point per pixel of the depth map: x = (u - cx)/fx · z, y = (v - cy)/fy · z (Hartley & Zisserman, Multiple View Geometry, 6.1).

    The depth map covers the whole image at its own, smaller size. It is not enlarged: points between its pixels would be invented, and at
    edges hang in empty space. Depth that is not finite or not positive gives no point.

    Args:
        depth: h×w metres.
        image: H×W×3 uint8; its colours are averaged down to h×w.
        camera: in pixels of the image.

    Returns:
        N records of x, y, z float32 in metres and red, green, blue uint8.
    """
    height, width = depth.shape
    rows, columns = np.nonzero(valid_pixels(depth))
    z = depth[rows, columns].astype(np.float64)
    u = (columns + 0.5) * image.shape[1] / width - 0.5
    v = (rows + 0.5) * image.shape[0] / height - 0.5
    points = np.empty(len(z), _VERTEX)
    points["x"], points["y"], points["z"] = (u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z
    colours = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))[rows, columns]
    points["red"], points["green"], points["blue"] = colours.T
    return points


def ply_bytes(points: NDArray[np.void], metric: bool = True) -> bytes:
    """The points of ``back_project`` as binary little-endian PLY, whose header says whether they are in metres or up to scale."""
    return _HEADER.format(count=len(points), unit="metres" if metric else "no unit, up to scale").encode("ascii") + points.tobytes()


def save_ply(points: NDArray[np.void], path: Path, metric: bool = True) -> None:
    """Write the same as a file."""
    path.write_bytes(ply_bytes(points, metric))
