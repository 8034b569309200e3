"""Stand-in runtimes that other processes can open: the time and memory they take is known."""

import os
import time
from functools import partial
from pathlib import Path

import numpy as np

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.worker import Open


class Sleeping:
    """Takes so many ms for a prediction; prints, as some libraries do."""

    backend, input_size, path = "sleep", (8, 12), Path("x")

    def __init__(self, ms: float) -> None:
        self.name = f"sleep-{ms:g}"
        self.ms = ms
        self.metadata = {"fcrn_mobile.checkpoint_sha256": "ab" * 32, "fcrn_mobile.recipe": '{"precision": "fp16"}'}
        print("chatter of a library")

    def predict(self, image: np.ndarray) -> np.ndarray:
        assert image.shape == (8, 12, 3)
        time.sleep(self.ms / 1e3)
        return np.full((4, 6), 2.0, np.float32)


def sleeping(ms: float) -> Open:
    return partial(Sleeping, ms)


def missing() -> Sleeping:
    raise InputError("no model at 'nowhere': give one")


def killed() -> Sleeping:
    os._exit(9)


def faulty() -> Sleeping:
    raise ZeroDivisionError("a bug")
