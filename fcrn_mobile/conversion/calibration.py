"""Calibration images: which, and a fingerprint of each, so that nothing is validated on what it was calibrated on."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.source import Sample
from fcrn_mobile.data.spec import open_images
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.package.metadata import Metadata, key
from fcrn_mobile.text import counted

__all__ = [
    "CalibrationImages",
    "calibrated_on",
    "calibration_images",
    "calibration_notes",
    "check_unseen",
    "content_hash",
    "image_notes",
    "measuring_images",
]

#: Of a fingerprint: 64 images take 700 characters, and two different images of a million share one with a chance of 3e-8.
_BYTES = 8
#: What names images.
_REMEDY = "give --calibration SPEC#split, or data in the recipe's [calibration]"


@dataclass(frozen=True, eq=False)
class CalibrationImages:
    """Images on which activations are measured.

    Attributes:
        data: the spec they come from.
        seed: that chose them.
        names: of the frames, in the order of the source.
        images: H×W×3 uint8 RGB, as the source yields them: not yet resized.
        hashes: a fingerprint of each, see ``content_hash``.
    """

    data: str
    seed: int
    names: tuple[str, ...]
    images: tuple[NDArray[np.uint8], ...]
    hashes: tuple[str, ...]

    def to_metadata(self) -> dict[str, str]:
        """What an artefact keeps of them: where they come from, without folders, and their fingerprints."""
        packed = base64.b64encode(bytes.fromhex("".join(self.hashes))).decode()
        return Metadata(calibration=json.dumps({"data": portable(self.data), "seed": self.seed, "hashes": packed})).to_dict()


def measuring_images(recipe: Recipe) -> CalibrationImages | None:
    """The images that a recipe's activations are measured on and its corrections see; None if nothing looks at any.

    Raises:
        InputError: int8 activations without images, or they cannot be had.
    """
    calibration, quantizes = recipe.calibration, recipe.activations == "int8"
    if quantizes and (calibration is None or not calibration.data):
        raise InputError(f"recipe '{recipe.name}' asks for int8 activations, whose ranges are measured on images: {_REMEDY}")
    if calibration is None or not (quantizes or (recipe.correct and recipe.correct.sees_images)):
        return None
    return calibration_images(calibration.data, calibration.images, calibration.seed)


def calibration_images(data: str, count: int, seed: int = 0) -> CalibrationImages:
    """Choose images of a source: the same ones on every machine.

    Args:
        data: a data spec; give one with a split, or data that is never validated on.
        count: how many.
        seed: chooses which.

    Raises:
        InputError: no spec, unknown form or split, or fewer images than asked for.
    """
    if not data:
        raise InputError(f"no calibration data: {_REMEDY}")
    source = open_images(data)
    if not 1 <= count <= len(source):
        raise InputError(
            f"calibration asks for {count} images, '{data}' holds {len(source)}: ask for 1 to {len(source)}, or give other data"
        )
    indices = sorted(np.random.default_rng(seed).permutation(len(source))[:count].tolist())
    samples = [source[index] for index in indices]
    images = tuple(sample.image for sample in samples)
    names = tuple(sample.name for sample in samples)
    return CalibrationImages(data, seed, names, images, tuple(content_hash(image) for image in images))


def content_hash(image: NDArray[np.uint8]) -> str:
    """A fingerprint of the pixels: the same for copies under another name, another one after any change.

    Args:
        image: H×W×3 uint8.

    Returns:
        16 hexadecimal digits of the SHA-256 of height, width and pixels.
    """
    digest = hashlib.sha256(np.asarray(image.shape[:2], np.int64).astype("<i8").tobytes())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()[: 2 * _BYTES]


def calibrated_on(metadata: Mapping[str, str]) -> frozenset[str]:
    """Fingerprints of the images that an artefact was calibrated on; empty if it was on none.

    Raises:
        InputError: its metadata is not readable.
    """
    text = Metadata.from_dict(metadata).calibration
    if text is None:
        return frozenset()
    try:
        record: dict[str, Any] = json.loads(text)
        packed = base64.b64decode(record["hashes"], validate=True).hex()
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{key('calibration')}' in the metadata is not readable ('{text[:40]}'): export it again") from error
    return frozenset(packed[start : start + 2 * _BYTES] for start in range(0, len(packed), 2 * _BYTES))


def calibration_notes(checkpoint: FloatNetwork, recipe: Recipe) -> list[str]:
    """What a user should know of the images that a recipe's package was measured on, a sentence each.

    Args:
        checkpoint: the package is made from.
        recipe: it is made with.
    """
    if checkpoint.quantization:
        return []  # learned ranges and roundings: nothing was measured
    return image_notes(checkpoint.name, checkpoint.training.data or "unknown data", recipe)


def image_notes(name: str, trained: str, recipe: Recipe) -> list[str]:
    """As ``calibration_notes``, of a network by its name and the data that it was trained on."""
    calibration = recipe.calibration
    if calibration is None:
        return []
    uses = [word for word, is_done in (("calibrated", recipe.activations == "int8"), ("corrected", recipe.correct)) if is_done]
    notes = [f"{' and '.join(uses)} on {counted(calibration.images, 'image')} of {calibration.data}, seed {calibration.seed}"]
    if _is_sample(calibration.data) and not _is_sample(trained):
        notes.append(
            f"warning: that is the built-in sample, '{name}' was trained on {trained}: for the least drift give images of "
            f"your camera, --calibration SPEC#split --calibration-images 64"
        )
    return notes


def _is_sample(spec: str) -> bool:
    return spec.partition("#")[0] == "sample"


def check_unseen(sample: Sample, hashes: frozenset[str], data: str = "") -> None:
    """Refuse a frame for validation that an artefact was calibrated on.

    Args:
        sample: the frame.
        hashes: see ``calibrated_on``.
        data: its source's spec, for the message.

    Raises:
        InputError: the frame's fingerprint is among them; names it.
    """
    if hashes and content_hash(sample.image) in hashes:
        where = f" of '{data}'" if data else ""
        raise InputError(
            f"frame '{sample.name}'{where} is one of the calibration images: a drift measured on it would flatter, "
            f"so validate on other data, such as {'another #split' if '#' in data or not data else f'{data}#val'}"
        )
