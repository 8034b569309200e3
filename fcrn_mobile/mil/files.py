"""Inputs from files and outputs to files, for any model."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import read_channel, read_file, read_gray, read_image
from fcrn_mobile.data.listing import is_hidden, natural_key
from fcrn_mobile.data.npy import decode_npy
from fcrn_mobile.json_text import json_text
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.errors import MilError

__all__ = ["input_steps", "output_files", "read_input", "readable", "write_output"]

_READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    "RGB": read_image,
    "BGR": read_image,
    "GRAYSCALE": read_gray,
    "GRAYSCALE_FLOAT16": read_channel,
}


def read_input(feature: Feature, text: str, size: tuple[int, int] | None = None) -> Any:
    """A value for an input.

    Args:
        feature: an image takes a picture, stretched bilinearly to a size the package accepts, or an .npy of its very shape; an
            array takes an .npy; a number or label is written down itself; a dictionary takes a .json.
        text: the path of the file, or the value.
        size: height and width that a picture gets; None: its own where the package accepts it, else the package's usual one.

    Raises:
        MilError, InputError: unreadable, or of a kind that does not fit.
    """
    path = Path(text)
    if feature.kind == "label" and feature.dtype == "STRING":
        return text
    if path.suffix == ".npy":
        return decode_npy(read_file(path), text)
    if feature.kind in ("number", "label"):
        return _number(feature, text)
    if feature.kind == "scores":
        return _dictionary(feature, path)
    if feature.kind != "image":
        raise MilError(f"input '{feature.name}' is an array: give an .npy file instead of '{path}'")
    pixels = _READERS[feature.dtype](path)
    if size is None and feature.shapes.allows(pixels.shape[:2]):
        return pixels
    height, width = size or feature.shape
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def input_steps(features: Sequence[Feature], files: Mapping[str, str], steps: int | None = None) -> list[dict[str, str]]:
    """What goes in at every step of a sequence.

    Args:
        features: the inputs.
        files: text by input, see ``read_input``; of images and arrays perhaps a folder, whose files go in one a step, in natural order.
        steps: how many; None for as many as folders have files, or one.

    Raises:
        MilError: a folder without files; folders of different numbers of files, or of another number than ``steps``.
    """
    arrays = {feature.name for feature in features if feature.kind in ("image", "array")}
    folders = {name: _files_in(Path(text)) for name, text in files.items() if name in arrays and Path(text).is_dir()}
    for name, inside in folders.items():
        count = steps or len(next(iter(folders.values())))
        if len(inside) != count:
            raise MilError(f"'{files[name]}' has {len(inside)} files for input '{name}', there are {count} steps: give one file a step")
    count = len(next(iter(folders.values()), ())) or steps or 1
    return [{name: folders[name][step] if name in folders else text for name, text in files.items()} for step in range(count)]


def _files_in(folder: Path) -> list[str]:
    names = sorted((path.name for path in folder.iterdir() if path.is_file() and not is_hidden(path.name)), key=natural_key)
    if not names:
        raise MilError(f"'{folder}' has no files: give a picture or an .npy, or a folder of them")
    return [str(folder / name) for name in names]


def output_files(features: tuple[Feature, ...], folder: Path) -> dict[str, list[Path]]:
    """Files that ``write_output`` makes for each output: of arrays an .npy, beside it a .png for 8-bit images and a .json for arrays whose
    columns have labels; of all else a .json.

    Raises:
        MilError: two outputs would share a file.
    """
    files: dict[str, list[Path]] = {}
    for feature in features:
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", feature.name) or "_"
        suffixes = [".npy"] if feature.kind in ("image", "array") else [".json"]
        if feature.kind == "image" and feature.dtype != "GRAYSCALE_FLOAT16":
            suffixes.append(".png")
        if feature.labels:
            suffixes.append(".json")
        files[feature.name] = [folder / f"{stem}{suffix}" for suffix in suffixes]
    flat = [file for group in files.values() for file in group]
    if len(set(flat)) != len(flat):
        raise MilError(f"outputs {', '.join(files)} would share a file: rename them in the package")
    return files


def write_output(feature: Feature, value: Any, files: list[Path]) -> None:
    """Write one output into its files, see ``output_files``."""
    for file in files:
        if file.suffix == ".png":
            Image.fromarray(value).save(file)
        elif file.suffix == ".json":
            file.write_text(json_text(readable(feature, value)), encoding="utf-8")
        else:
            np.save(file, value, allow_pickle=False)


def readable(feature: Feature, value: Any) -> Any:
    """An output as people read it: a label or number itself; labels with their probabilities, the best first; of an array whose columns
    have labels, the best of each row with its confidence.
    """
    if feature.kind == "scores":
        ranked = sorted(value.items(), key=lambda item: -item[1])
        return [{"label": label, "probability": probability} for label, probability in ranked]
    if feature.labels:
        rows = value.reshape(-1, value.shape[-1])
        best = rows.argmax(axis=1)
        return [{"label": feature.labels[column], "confidence": float(row[column])} for row, column in zip(rows, best, strict=True)]
    return value


def _number(feature: Feature, text: str) -> float | int:
    try:
        return float(text) if feature.kind == "number" else int(text)
    except ValueError as error:
        what = "a number" if feature.kind == "number" else "a whole number"
        raise MilError(f"input '{feature.name}' is {text[:80]!r}: give {what}") from error


def _dictionary(feature: Feature, path: Path) -> dict[str | int, Any]:
    """A dictionary of numbers from a .json, whose keys are texts even where the model takes whole numbers."""
    try:
        content = json.loads(read_file(path))
        return {key if feature.dtype == "STRING" else int(key): value for key, value in content.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise MilError(f"input '{feature.name}' is a dictionary of numbers: give a .json of one instead of '{path}'") from error
