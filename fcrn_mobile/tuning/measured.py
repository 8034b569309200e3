"""Sensitivities as they are measured, kept in a file so that a search that was interrupted goes on where it stood."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fcrn_mobile.errors import InputError
from fcrn_mobile.progress import OnStep
from fcrn_mobile.tuning.frames import Frames
from fcrn_mobile.tuning.variants import Variants
from fcrn_mobile.validation.sensitivity import Trial, trial_drifts, weight_drifts
from fcrn_mobile.whole_file import replaced_whole

__all__ = ["ALL", "FILE", "NONE", "Sensitivities", "measure", "open_sensitivities"]

FILE = "sensitivities.json"
#: Stands for all weights at once: the uniform scheme.
ALL = "*"
#: Stands for no weight: what float16 arithmetic alone causes.
NONE = ""
_SCHEMA = 1
#: What differs, by the key of the inputs, as a user knows it.
_OTHER = {
    "checkpoint": "another checkpoint",
    "contract": "another model config",
    "input_size": "another size",
    "recipe": "another --recipe",
    "images": "other images (--data, --images, --seed)",
    "candidates": "other schemes",
    "version": "another version of fcrn-mobile",
}


@dataclass
class Sensitivities:
    """Drift by candidate and weight, a value per image that has been run.

    Attributes:
        path: of the file.
        inputs: what the values are true of.
        drifts: candidate → weight → abs_rel to the reference's output on each image, in the order of the images.
    """

    path: Path
    inputs: dict[str, Any]
    drifts: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def done(self, candidate: str) -> int:
        """Images that have been run for a candidate."""
        return min((len(values) for values in self.drifts.get(candidate, {}).values()), default=0)

    def add(self, candidate: str, drifts: Mapping[str, float]) -> None:
        """Append one image's drifts and save."""
        rows = self.drifts.setdefault(candidate, {weight: [] for weight in drifts})
        for weight, drift in drifts.items():
            rows[weight].append(drift)
        self.save()

    def square(self, candidate: str, weight: str) -> float:
        """Mean over images of the squared drift; infinite where an output was not finite."""
        mean = float(np.mean(np.square(self.drifts[candidate][weight])))
        return mean if np.isfinite(mean) else float("inf")

    def save(self) -> None:
        """Write the file, whole or not at all."""
        text = json.dumps({"schema": _SCHEMA, "inputs": self.inputs, "drifts": self.drifts}, indent=1)
        with replaced_whole(self.path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")


def open_sensitivities(folder: Path, inputs: dict[str, Any]) -> Sensitivities:
    """What a folder holds of earlier runs on the same inputs, or an empty beginning.

    Raises:
        InputError: the folder holds those of other inputs, or a damaged file.
    """
    path = folder / FILE
    if not path.exists():
        return Sensitivities(path, inputs)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings, drifts = content["inputs"], content["drifts"]
        differences = [key for key in inputs if settings.get(key) != inputs[key]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' is not readable as sensitivities ({error}): delete it to measure anew") from error
    if differences or set(settings) != set(inputs):
        what = " and ".join(_OTHER.get(key, key) for key in differences) or "other settings"
        raise InputError(f"'{folder}' holds what was measured with {what}: choose another --out, or delete {path.name} there")
    return Sensitivities(path, inputs, drifts)


def measure(
    variants: Variants, frames: Frames, weights_of: Mapping[str, Sequence[str]], sensitivities: Sensitivities, on_step: OnStep
) -> None:
    """Run what is missing: for every image and candidate, each weight alone and all of them together, in float32 arithmetic.

    Args:
        variants: the weights.
        frames: images to run on.
        weights_of: candidate → weights that are worth measuring.
        sensitivities: is filled, and saved after every image and candidate.
        on_step: progress.
    """
    steps = [(index, name) for index in range(len(frames.images)) for name in (NONE, *weights_of)]
    for done, (index, name) in enumerate(steps):
        on_step(done, len(steps))
        if sensitivities.done(name) <= index:
            image = frames.images[index]
            sensitivities.add(
                name, _candidate_drifts(variants, name, weights_of[name], image) if name else {NONE: _half_drift(variants, image)}
            )
    on_step(len(steps), len(steps))


def _candidate_drifts(variants: Variants, name: str, weights: Sequence[str], image: Any) -> dict[str, float]:
    choices = [dict.fromkeys(variants.stored[name], name), *({weight: name} for weight in weights)]
    values = weight_drifts(variants.reference, [image], [variants.replacement(choice) for choice in choices])
    return {key: value.abs_rel for key, value in zip((ALL, *weights), values, strict=True)}


def _half_drift(variants: Variants, image: Any) -> float:
    return trial_drifts(variants.reference, [image], [Trial(variants.half, 0)])[0].abs_rel
