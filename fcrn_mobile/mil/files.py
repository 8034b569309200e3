"""Inputs from files and outputs to files, for any package."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import read_channel, read_file, read_gray, read_image
from fcrn_mobile.data.npy import decode_npy
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.errors import MilError

__all__ = ["output_files", "read_input", "write_output"]

_READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    "RGB": read_image,
    "BGR": read_image,
    "GRAYSCALE": read_gray,
    "GRAYSCALE_FLOAT16": read_channel,
}


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
        return decode_npy(read_file(path), str(path))
    if feature.kind != "image":
        raise MilError(f"input '{feature.name}' is an array: give an .npy file instead of '{path}'")
    pixels = _READERS[feature.dtype](path)
    if feature.shapes.allows(pixels.shape[:2]):
        return pixels
    height, width = feature.shape
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


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
