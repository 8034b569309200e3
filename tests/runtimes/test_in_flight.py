"""Several images in flight: what comes out is in order and the same bit by bit, errors too; memory and threads are bounded."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from fcrn_mobile.data import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.runtimes.in_flight import predictions

COUNT = 9


class Frames:
    """Frames that may be read by one at a time; counts how many have been."""

    names = tuple(map(str, range(COUNT)))

    def __init__(self, bad: int = -1) -> None:
        self.bad, self.reading, self.read = bad, 0, 0

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Sample:
        self.reading += 1
        assert self.reading == 1
        time.sleep(0.001)
        self.reading -= 1
        self.read += 1
        if index == self.bad:
            raise InputError(f"frame {index} is damaged")
        image = np.random.default_rng(index).integers(0, 256, (64, 96, 3), np.uint8)
        return Sample(image, np.ones((64, 96), np.float32), str(index))


class Net:
    """A network of torch's; the first images take longest."""

    is_concurrent = True

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8), input_size=(64, 96))).eval()
        self.names: set[str] = set()
        self.active = self.most = 0
        self.lock = threading.Lock()

    def predict(self, image: np.ndarray) -> np.ndarray:
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
        self.names.add(threading.current_thread().name)
        time.sleep(0.02 if image[0, 0, 0] % 2 else 0.0)
        with torch.inference_mode():
            depth = self.network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0, 0].numpy()
        with self.lock:
            self.active -= 1
        return depth


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_what_comes_out_is_in_order_and_the_same_bit_by_bit(threads: None) -> None:
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        models = [Net(), Net()]
        results.append([(sample.name, [depth.copy() for depth in depths]) for sample, depths in predictions(models, Frames())])
        assert torch.get_num_threads() == count
        assert 1 <= models[0].most <= count
        assert (threading.current_thread().name in models[0].names) == (count == 1)
    for (name, alone), (other, several) in zip(*results, strict=True):
        assert name == other
        for one, two in zip(alone, several, strict=True):
            np.testing.assert_array_equal(one, two)
    assert [name for name, _ in results[1]] == list(Frames.names)


def test_a_bad_frame_is_told_when_those_before_it_are_out(threads: None) -> None:
    torch.set_num_threads(3)
    names, source = [], Frames(bad=4)
    with pytest.raises(InputError, match="frame 4 is damaged"):
        names.extend(sample.name for sample, _ in predictions([Net()], source))
    assert torch.get_num_threads() == 3
    assert source.read < COUNT


def test_no_more_frames_are_read_than_are_in_flight(threads: None) -> None:
    torch.set_num_threads(2)
    source = Frames()
    for done, _ in enumerate(predictions([Net()], source), 1):
        time.sleep(0.05)
        assert source.read <= done + 2 + 1


def test_a_model_that_does_not_allow_it_sees_one_image_after_the_other(threads: None) -> None:
    torch.set_num_threads(3)
    alone = Net()
    alone.is_concurrent = False  # type: ignore[misc]
    assert len(list(predictions([Net(), alone], Frames()))) == COUNT
    assert alone.names == {threading.current_thread().name}
