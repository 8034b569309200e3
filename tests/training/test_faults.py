"""What a run does when the machine or the data fails."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fcrn_mobile.training.train import resume
from tests.journeys.command import Result, call, refused

__all__ = ["call"]

TINY = ["--preset", "fcrn-plain", "--encoder-weights", "random", "--input-size", "32x48", "--widths", "16,8,8,8"]

Call = Callable[..., Result]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "fcrn_mobile", "train", *TINY, *words]


def test_a_run_killed_in_an_epoch_and_resumed_ends_with_the_weights_of_an_undisturbed_one(call: Call, tmp_path: Path) -> None:
    settings = ["--data", "sample", "--epochs", "5", "--batch-size", "2", "--accumulate", "2", "--ema", "0.9", "--clip-norm", "5"]
    process = subprocess.Popen(command(*settings, "--out", str(tmp_path / "killed")), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    saved = torch.load(tmp_path / "killed" / "last.ckpt", weights_only=True)
    assert saved["epoch"] < 4
    resume(tmp_path / "killed")

    assert call("train", *TINY, *settings, "--out", "whole").returncode == 0
    for file in ("last.safetensors", "best.safetensors"):
        killed, whole = (load_file(tmp_path / name / file) for name in ("killed", "whole"))
        assert killed.keys() == whole.keys()
        assert all(torch.equal(killed[key], whole[key]) for key in whole)


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing_half_written(call: Call, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        result = call("train", *TINY, "--data", "sample#val", "--val-data", "sample#val", "--epochs", "1", "--out", "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refused(result, "run/best.safetensors", "File too large", "--resume run")
    assert not [path.name for path in (tmp_path / "run").iterdir() if "safetensors" in path.name or "ckpt" in path.name]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(workers: int, call: Call, tmp_path: Path) -> None:
    for part in ("rgb", "depth"):
        (tmp_path / "pairs" / part).mkdir(parents=True)
    for index in range(8):
        Image.fromarray(np.full((24, 32, 3), index, np.uint8)).save(tmp_path / f"pairs/rgb/{index}.png")
        Image.fromarray(np.full((24, 32), 1000, np.uint16)).save(tmp_path / f"pairs/depth/{index}.png")
    for broken in tmp_path.glob("pairs/rgb/*.png"):
        broken.write_bytes(b"no picture")
    words = ["--data", "folder:pairs", "--epochs", "1", "--batch-size", "4", "--workers", str(workers)]
    result = call("train", *TINY, *words, "--out", "run")
    refused(result, "fcrn-mobile: ", "rgb/", ".png")
    assert "Caught" not in result.stderr


def test_a_run_is_continued_as_it_was_set(call: Call, tmp_path: Path) -> None:
    words = [*TINY, "--resume", str(tmp_path)]
    refused(call("train", *words), f"does not go with --resume {tmp_path}, which continues that run as it was set")


def test_a_run_without_data_says_what_to_give(call: Call) -> None:
    refused(call("train", "--out", "somewhere"), "--data SPEC")
