"""What a validation keeps of each image: a few numbers, never an array."""

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.data import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation import metrics, standing
from fcrn_mobile.report.html import Page, render
from fcrn_mobile.report.scenes import show
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.fidelity import Fidelity
from fcrn_mobile.validation.result import Validation
from tests.report.page import WHEN, Farther, drift_of, validated

SHAPE = (120, 160)


@dataclass(frozen=True)
class Stream:
    """Frames that are made when they are asked for, as files are read."""

    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"frame_{index}" for index in range(self.count))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.count))

    def __getitem__(self, index: int) -> Sample:
        image = np.random.default_rng(index).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
        image[0, 0, 0] = index % 5
        return Sample(image, np.full(SHAPE, 2, np.float32), f"frame_{index}")


def peak(count: int, model: Path) -> int:
    """Bytes at most in use while frames are validated and a report of them is made."""
    reference, candidate = Farther("float", model, [1.0] * 5), Farther("m", model, [1.0, 1.1, 1.2, 1.3, 1.4])
    source = Stream(count)
    tracemalloc.start()
    result = validate(reference, [candidate], source, metrics.protocol("full"))
    render(Page(result, show(source, reference, [candidate], result)), WHEN)
    _, largest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return largest


def test_memory_does_not_grow_with_the_images(tmp_path, monkeypatch) -> None:
    # The median map is made of the first images alone, on a coarse grid.
    monkeypatch.setattr(standing, "MOST_IMAGES", 5)
    model = tmp_path / "model"
    model.write_bytes(b"1")
    peak(50, model)  # what is loaded and kept at first use, for so many images, must not count
    few, many = peak(5, model), peak(50, model)
    one = np.prod(SHAPE) * (3 + 4)  # bytes of a frame
    # What grows is numbers, names and marks in the charts; 45 frames kept would be 45 times `one`.
    assert many - few < one, f"{few / 1e6:.2f} MB with 5 images, {many / 1e6:.2f} MB with 50; a frame is {one / 1e6:.2f} MB"


def test_every_image_s_drift_by_hand(tmp_path) -> None:
    (drift,) = drift_of(validated(tmp_path, {"m": [1.1, 1.3, 1.2]})).candidates
    assert [image.name for image in drift.per_image] == ["frame_0", "frame_1", "frame_2"]
    assert [image.fidelity for image in drift.per_image] == pytest.approx([0.1, 0.3, 0.2], rel=1e-5)
    assert np.mean([image.fidelity for image in drift.per_image]) == pytest.approx(drift.fidelity.abs_rel)
    assert np.mean([image.candidate for image in drift.per_image]) == pytest.approx(drift.metrics["abs_rel"])
    assert len({image.reference for image in drift.per_image}) == 1


def test_the_speed_is_images_over_seconds(tmp_path) -> None:
    result: Validation = drift_of(validated(tmp_path, {"m": [1.1] * 3}))
    assert 0 < result.seconds < 60
    assert result.images_per_second == pytest.approx(3 / result.seconds)


@pytest.mark.parametrize("recipe", ["{", "[1]", '{"budget": 5}'])
def test_an_unreadable_recipe_is_named_before_any_frame_is_run(tmp_path, recipe: str) -> None:
    with pytest.raises(InputError, match=r"recipe in its metadata that is not readable .*: export it again"):
        validated(tmp_path, {"m": [1.1] * 3}, recipe=recipe)


def test_the_recipe_is_passed_on(tmp_path) -> None:
    recipe = {"name": "m", "budget": {"fidelity": "0.5"}}
    (drift,) = drift_of(validated(tmp_path, {"m": [1.1] * 3}, recipe=json.dumps(recipe))).candidates
    assert drift.recipe == recipe
    assert drift.verdict == "held"


def test_fidelity_leaves_the_sums_to_numpy() -> None:
    # The cosine equals what BLAS gives, without BLAS: its threads stand in torch's way.
    generator = np.random.default_rng(0)
    c, r = (generator.uniform(0.5, 9, (40, 50)).astype(np.float32) for _ in range(2))
    fidelity = Fidelity()
    fidelity.update(c, r)
    a, b = c.astype(np.float64).ravel(), r.astype(np.float64).ravel()
    assert fidelity.compute().cosine == pytest.approx(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))), rel=1e-12)
