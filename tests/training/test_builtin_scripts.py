"""The scripts of benchmarks/training that make the built-in checkpoint and look at its edges."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import edges
import numpy as np
import pytest
import ship
import teachers
import torch
from PIL import Image
from safetensors import safe_open

from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.runtimes import open_runtime


@pytest.fixture
def trained(tiny_config: FCRNConfig, settle: Callable[[FCRN], FCRN], tmp_path: Path) -> Path:
    data = "folder:a/nyu_train795.zip#train*0.25 + folder:rooms_train.zip*0.09"
    save_checkpoint(settle(FCRN(tiny_config)), tmp_path / "net.safetensors", TrainingRecord(data=data, epoch=7), {"abs_rel": 9.0})
    return tmp_path / "net.safetensors"


def test_what_is_shipped_is_in_float16_with_its_own_metrics_and_the_terms_of_its_data(trained: Path, tmp_path: Path) -> None:
    metrics = ship.ship(str(trained), "sample#val", tmp_path / "shipped.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.safetensors", "shipped.safetensors"]
    shipped, before = load_checkpoint(str(tmp_path / "shipped.safetensors")), load_checkpoint(str(trained))
    with safe_open(tmp_path / "shipped.safetensors", "pt") as file:
        assert file.get_tensor("head.weight").dtype == torch.float16
    torch.testing.assert_close(shipped.network.head.weight, before.network.head.weight, atol=0, rtol=2**-11)
    expected = evaluate(open_runtime(str(tmp_path / "shipped.safetensors")), open_source("sample#val"), protocol("eigen")).compute()
    assert shipped.metrics == json.loads(json.dumps(expected)) | {"protocol": "eigen"} == metrics
    assert (shipped.training.data, shipped.training.epoch) == (before.training.data, 7)
    assert shipped.training.terms is not None
    first, second = shipped.training.terms
    assert "Silberman" in first
    assert "rooms" in second


def test_data_without_known_terms_and_networks_that_are_too_large_are_not_shipped(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(
        load_checkpoint(str(trained)).network, tmp_path / "other.safetensors", TrainingRecord(data="folder:my/photos?fx=1#train")
    )
    with pytest.raises(InputError, match=r"'other' learned from 'folder:.*photos.*', whose terms are not known here"):
        ship.ship(str(tmp_path / "other.safetensors"), "sample#val", tmp_path / "shipped.safetensors")
    monkeypatch.setattr(ship, "MOST_MACS", 1000)
    with pytest.raises(InputError, match="GMACs"):
        ship.ship(str(trained), "sample#val", tmp_path / "shipped.safetensors")
    monkeypatch.undo()
    monkeypatch.setattr(ship, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="MB in float16"):
        ship.ship(str(trained), "sample#val", tmp_path / "shipped.safetensors")
    assert not list(tmp_path.glob("shipped*"))


@pytest.mark.parametrize("size", [(3, 4), (7, 5), (12, 16)])
def test_the_truth_is_brought_to_a_size_as_pillow_does(size: tuple[int, int]) -> None:
    depth = np.random.default_rng(0).random((12, 16), np.float32)
    expected = np.asarray(Image.fromarray(depth).resize(size[::-1], Image.Resampling.NEAREST))
    assert np.array_equal(edges.nearest(depth, *size), expected)


def test_precision_and_recall_of_edges_counted_by_hand() -> None:
    """One true step of 2 at column 2 in four rows; predicted in two of them, and once more in a row of its own."""
    depth = np.ones((4, 5))
    depth[:, 2:] = 2
    predicted = np.ones((4, 5))
    predicted[:2, 2:] = 2
    everywhere = np.ones((4, 5), np.bool_)
    # Between rows 1 and 2 the prediction falls back from 2 to 1 in three columns: three edges that are not there.
    precision, recall = edges.precision_recall(predicted, depth, everywhere)
    assert precision == pytest.approx(2 / 5)
    assert recall == pytest.approx(2 / 4)
    assert edges.precision_recall(depth, depth, everywhere) == pytest.approx((1, 1))
    assert np.isnan(edges.precision_recall(np.ones((4, 5)), depth, everywhere)[0])


def test_edges_are_counted_at_both_sizes(trained: Path) -> None:
    few = open_source("sample#val")
    seen = edges.edges(open_runtime(str(trained)), few)
    assert len(seen) == 2
    whole = evaluate(open_runtime(str(trained)), few, protocol("eigen")).compute()
    assert list(seen.values())[1].metrics.compute()["boundary_f1"] == pytest.approx(whole["boundary_f1"])
    assert {len(each.shares) for each in seen.values()} == {len(few)}


def test_a_teacher_of_one_network_is_measured_as_that_network_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["teachers.py", "builtin", "--data", "sample#val", "--scales", "1", "1,1.25"])
    teachers.main()
    title, heads, *rows = capsys.readouterr().out.strip().splitlines()
    assert (title, heads.split()) == ("builtin: 4 frames of sample#val", ["sizes", "mirrored", "too", *teachers.METRICS])
    alone, mirrored, *larger = (re.split(r"\s{2,}", row.strip()) for row in rows)
    assert [row[:2] for row in (alone, mirrored, *larger)] == [["1", "no"], ["1", "yes"], ["1, 1.25", "no"], ["1, 1.25", "yes"]]
    own = evaluate(open_runtime("builtin"), open_source("sample#val"), protocol("eigen")).compute()
    assert [float(cell) for cell in alone[2:5]] == pytest.approx([float(own[name]) for name in teachers.METRICS[:3]], rel=0.01)
    assert len({tuple(row[2:]) for row in (alone, mirrored, *larger)}) == 4
