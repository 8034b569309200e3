"""What the reference is worth on the data: beside the median map of the other images, and in which unit."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.data import Sample, open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation import metrics
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.standing import StandingMeter
from fcrn_mobile.evaluation.units import protocol_note, unit_note
from fcrn_mobile.report.html import Page, render
from fcrn_mobile.report.verdict import headline
from fcrn_mobile.validation.drift import validate
from tests.journeys.command import call
from tests.report.page import Parsed

__all__ = ["call"]

FULL = metrics.protocol("full")


class Scaled:
    """A runtime that sees the image's red channel, in decimetres, times a factor."""

    backend, input_size = "torch", (4, 6)

    def __init__(self, factor: float, path: Path) -> None:
        self.name, self.factor, self.path, self.metadata = f"times {factor}", factor, path, {}

    def predict(self, image: np.ndarray) -> np.ndarray:
        return image[..., 0].astype(np.float32) / 10 * self.factor


def rooms(count: int = 5) -> list[Sample]:
    """Rooms of 2 to 6 m with a wall each, whose depth is in their pictures; they differ by a third."""
    generator = np.random.default_rng(0)
    frames = []
    for index in range(count):
        depth = (generator.uniform(2, 6, (4, 6)) * (1 + 0.3 * index / count)).round(1).astype(np.float32)
        frames.append(Sample(np.repeat((depth * 10).round().astype(np.uint8)[..., None], 3, 2), depth, f"room/{index}"))
    return frames


def standing(factor: float, frames: list[Sample], path: Path, rule=FULL, scaled: bool = False, data: str = ""):
    meter = StandingMeter(replace(rule, alignment="median") if scaled else rule, data=data)
    evaluate(Scaled(factor, path), frames, replace(rule, alignment="median") if scaled else rule, None, meter)
    return meter.compute("float network")


def test_progress_is_told_after_each_frame(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluate(Scaled(1, tmp_path), rooms(3), FULL, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_sums_are_kept_where_images_are_drawn_again(tmp_path: Path) -> None:
    assert evaluate(Scaled(1, tmp_path), rooms(2), FULL).sums is None
    assert len(evaluate(Scaled(1, tmp_path), rooms(2), FULL, resampled=True).sums) == 2


@pytest.mark.parametrize("seed", range(4))
def test_the_median_map_of_an_image_is_made_of_all_others(seed: int, tmp_path) -> None:
    generator = np.random.default_rng(seed)
    depths = generator.uniform(1, 9, (6, 4, 6)).astype(np.float32)
    depths[generator.random(depths.shape) < 0.3] = 0  # unknown
    depths[:, 0, 0], depths[0, 0, 0] = 0, 5  # seen by one image alone
    depths[:, 1, 1] = 3  # all equal
    frames = [Sample(np.zeros((4, 6, 3), np.uint8), depth, f"{index}") for index, depth in enumerate(depths)]
    known = np.where(depths > 0, depths, np.nan)
    errors, hits = [], []
    for index, own in enumerate(known):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            other = np.nanmedian(np.delete(known, index, axis=0), axis=0)
        other = np.where(np.isnan(other), np.nanmedian(other), other)
        valid = ~np.isnan(own)
        errors.append(np.mean(np.abs(other - own)[valid] / own[valid]))
        hits.append(np.mean(np.maximum(other / own, own / other)[valid] < 1.25))
    found = standing(1.0, frames, tmp_path).median_map
    assert found is not None
    assert found["abs_rel"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert found["delta1"] == pytest.approx(np.mean(hits), rel=1e-5)


def test_a_network_that_sees_depth_stands_and_one_that_is_worse_than_the_median_map_fails(tmp_path) -> None:
    good, bad = standing(1.0, rooms(), tmp_path), standing(2.5, rooms(), tmp_path)
    assert not good.fails
    assert good.warnings == ()
    assert good.own["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert bad.fails
    (warning,) = bad.warnings
    assert "float network is no better" in warning
    assert "abs_rel 1.0" in warning  # not 1.5: predictions are clipped to 10 m


def test_depth_without_a_unit_is_scaled_first_and_nothing_is_said_of_units(tmp_path) -> None:
    found = standing(8.0, rooms(), tmp_path, scaled=True, data="folder:x")
    assert not found.fails
    assert found.warnings == ()


@pytest.mark.parametrize("count", [1, 2])
def test_two_images_have_no_median_map(count: int, tmp_path) -> None:
    found = standing(2.5, rooms(count), tmp_path)
    assert found.median_map is None
    assert not found.fails


def test_a_package_that_keeps_to_a_failing_network_says_so_in_every_report(tmp_path, capsys) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"1")
    result = validate(Scaled(2.5, model), [Scaled(2.51, model)], rooms(), FULL, [parse_limit("fidelity=0.05")], "sample")
    assert result.held
    text = headline(result, ["m"])
    assert text.startswith("times 2.5 fails on these images")
    assert text.endswith("m holds its budget")
    value = json.loads(json.dumps(result.to_json()))
    assert value["reference"]["fails"] is True
    assert value["reference"]["median_map"]["abs_rel"] < value["reference"]["metrics"]["abs_rel"]
    assert "no better on these images" in value["warnings"][0]
    print_drift(result)
    assert capsys.readouterr().out.startswith("warning: times 2.5 is no better on these images than their median depth map")
    from datetime import datetime

    page = Parsed(render(Page(result), datetime(2026, 1, 1)))
    assert "fails on these images" in page.all("h1")[0].text
    assert page.all("header")[0].attributes["class"] == "verdict doubtful"
    good = validate(Scaled(1, model), [Scaled(1.01, model)], rooms(), FULL, [parse_limit("fidelity=0.05")], "sample")
    assert headline(good, ["m"]) == "m holds its budget"
    assert good.to_json()["warnings"] == []


@pytest.mark.parametrize(
    ("ratio", "data", "words"),
    [
        (5.1, "folder:x?scale=5000", ["5.1 times", "millimetres", "?scale=1000"]),
        (0.19, "folder:x", ["TUM", "?scale=5000"]),
        (4.2, "list:x.txt", ["KITTI", "?scale=256"]),
        (0.0011, "folder:x?scale=1", ["millimetres", "?scale=1000"]),
        (950.0, "folder:x", ["in metres", "?scale=1"]),
        (11.0, "folder:x", ["centimetres", "?scale=100"]),
        (40.0, "folder:x", ["?scale=UNITS_PER_METRE"]),
        (0.2, "kitti:x", ["0.2 times", "unit that the model gives"]),
        (0.001, "", ["unit"]),
    ],
)
def test_a_wrong_unit_is_named(ratio: float, data: str, words: list[str]) -> None:
    note = unit_note(ratio, data)
    for word in words:
        assert word in note


@pytest.mark.parametrize("ratio", [0.34, 1.0, 2.9, float("nan"), 0.0])
def test_depth_of_one_order_has_no_wrong_unit(ratio: float) -> None:
    assert unit_note(ratio, "folder:x") == ""


def test_kitti_under_another_protocol_is_named() -> None:
    eigen, garg = metrics.protocol("eigen"), metrics.protocol("garg")
    assert "garg" in protocol_note(0.1, eigen, "kitti:x")
    assert "garg" in protocol_note(0.1, eigen, "folder:x?scale=256")
    assert protocol_note(0.1, garg, "kitti:x") == ""
    assert "60%" in protocol_note(0.6, eigen, "folder:x")
    assert protocol_note(0.1, eigen, "folder:x") == ""


def write_pairs(folder: Path, units: int, count: int = 3) -> None:
    """Frames of the sample, small, with depth in so many units per metre."""
    source = open_source("sample")
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        frame = source[index]
        Image.fromarray(frame.image).resize((80, 60)).save(folder / f"rgb/{index}.png")
        depth = np.clip(frame.depth[::4, ::4] * units, 0, 65535).astype(np.uint16)
        Image.fromarray(depth).resize((80, 60), Image.Resampling.NEAREST).save(folder / f"depth/{index}.png")


def test_evaluate_names_the_unit_and_the_data_s_protocol(tmp_path, call) -> None:
    write_pairs(tmp_path / "pairs", 200)
    result = call("evaluate", "builtin", "--data", "folder:pairs")
    assert result.returncode == 0, result.stderr
    assert "protocol eigen" in result.stdout
    assert "times the median true depth" in result.stdout
    result = call("evaluate", "builtin", "--data", "folder:pairs?scale=256", "--json", "-")
    assert json.loads(result.stdout)["metrics"]["protocol"] == "garg"
    result = call("evaluate", "builtin", "--data", "folder:pairs?scale=256", "--json", "-", "--protocol", "full")
    assert json.loads(result.stdout)["metrics"]["protocol"] == "full"


def test_frames_that_cannot_be_measured_on_are_left_out_and_counted(tmp_path, call) -> None:
    write_pairs(tmp_path / "pairs", 1000, 5)
    (tmp_path / "pairs/rgb/1.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((60, 80), np.uint16)).save(tmp_path / "pairs/depth/3.png")
    words = ("evaluate", "builtin", "--data", "folder:pairs")
    stopped = call(*words)
    assert stopped.returncode == 2
    assert "1.png" in stopped.stderr
    result = call(*words, "--skip-bad", "--json", "result.json")
    assert result.returncode == 0, result.stderr
    assert "warning: 2 of 5 frames left out" in result.stdout
    value = json.loads((tmp_path / "result.json").read_text())
    assert value["metrics"]["images"] == 3
    assert "2 of 5 frames left out" in value["warnings"][-1]


def test_depth_beyond_the_protocol_says_what_it_may_be() -> None:
    far = np.full((4, 6), 2500.0, np.float32)
    with pytest.raises(InputError, match=r"'a' has a median depth of 2500 m, beyond the 10 m.*scale=.*garg"):
        metrics.DepthMetrics(FULL).update(far, far, "a")
    with pytest.raises(InputError, match="no valid depth pixel"):
        metrics.DepthMetrics(FULL).update(far, np.zeros((4, 6), np.float32), "a")
