"""Inputs from files and outputs to files, for any package."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import open_image, read_image
from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.mil.interface import Feature

_GRAY_MODES = ("L", "1", "RGB", "RGBA", "P", "LA")


def read_input(feature: Feature, path: Path) -> NDArray[Any]:
    """A value for an input.

    Args:
        feature: an image takes a picture, stretched bilinearly to a size the package accepts, or an .npy of its very shape; an
            array takes an .npy.
        path: the file.

    Raises:
        MilError, InputError: unreadable, or of a kind that does not fit.
    """
    if path.suffix == ".npy":
        return _read_array(path)
    if feature.kind != "image":
        raise MilError(f"input '{feature.name}' is an array: give an .npy file instead of '{path}'")
    if feature.dtype in ("RGB", "BGR"):
        pixels = read_image(path)
        return _stretched(Image.fromarray(pixels), feature) if not feature.shapes.allows(pixels.shape[:2]) else pixels
    picture = open_image(path)
    if feature.dtype == "GRAYSCALE_FLOAT16":
        # Whatever one channel a file holds: 16-bit integers and floats keep their values.
        if picture.mode in ("RGB", "RGBA", "CMYK"):
            raise MilError(f"input '{feature.name}' has one channel, '{path}' is {picture.mode}: give a grayscale image or an .npy")
        picture = Image.fromarray(np.asarray(picture).astype(np.float32))
    elif picture.mode not in _GRAY_MODES:
        raise MilError(f"input '{feature.name}' has 8-bit gray pixels, '{path}' is a {picture.mode} image: convert it to 8 bits first")
    else:
        picture = picture.convert("L")
    return _stretched(picture, feature) if not feature.shapes.allows(picture.size[::-1]) else np.asarray(picture)


def output_files(features: tuple[Feature, ...], folder: Path) -> dict[str, list[Path]]:
    """Files that ``write_output`` makes for each output: an .npy, and a .png beside it for 8-bit images.

    Raises:
        MilError: two outputs would share a file.
    """
    files: dict[str, list[Path]] = {}
    for feature in features:
        if feature.kind not in ("image", "array"):
            continue
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", feature.name) or "_"
        files[feature.name] = [folder / f"{stem}.npy"]
        if feature.kind == "image" and feature.dtype != "GRAYSCALE_FLOAT16":
            files[feature.name].append(folder / f"{stem}.png")
    flat = [file for group in files.values() for file in group]
    if len(set(flat)) != len(flat):
        raise MilError(f"outputs {', '.join(files)} would share a file: rename them in the package")
    return files


def write_output(value: NDArray[Any], files: list[Path]) -> None:
    """Write one output."""
    for file in files:
        if file.suffix == ".png":
            Image.fromarray(value).save(file)
        else:
            np.save(file, value, allow_pickle=False)


def _stretched(picture: Image.Image, feature: Feature) -> NDArray[Any]:
    height, width = feature.shape
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _read_array(path: Path) -> NDArray[Any]:
    try:
        value = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MilError(f"'{path}' is not an .npy file that NumPy reads ({' '.join(str(error).split())[:120]}): write it again") from error
    if not isinstance(value, np.ndarray):
        raise MilError(f"'{path}' holds several arrays: give an .npy with one")
    return value
