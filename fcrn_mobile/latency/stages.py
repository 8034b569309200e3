"""What one timed prediction does: the model alone, or all the way from a compressed photo to a coloured depth map."""

import io
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import fit
from fcrn_mobile.palette import depth_colours
from fcrn_mobile.runtimes.runtime import Runtime

__all__ = ["STAGES", "Timed", "colour_table", "coloured", "end_to_end", "model_only", "sample_photo"]

#: Steps from end to end, in order.
STAGES = ("decode", "resize", "predict", "colour")
#: Makes one prediction and says how long each of its stages took, in ms.
Timed = Callable[[], tuple[float, ...]]


def model_only(runtime: Runtime) -> Timed:
    """The prediction alone, of an image that has the input's size."""
    image = np.random.default_rng(0).integers(0, 256, (*runtime.input_size, 3), dtype=np.uint8)

    def once() -> tuple[float, ...]:
        start = time.perf_counter()
        runtime.predict(image)
        return ((time.perf_counter() - start) * 1e3,)

    return once


def end_to_end(runtime: Runtime, photo: bytes) -> Timed:
    """Decode a photo held in memory, resize it, predict, colour the depth map.

    Args:
        runtime: any.
        photo: a JPEG or PNG file's content.
    """
    colours = colour_table()

    def once() -> tuple[float, ...]:
        times = [time.perf_counter()]
        with Image.open(io.BytesIO(photo)) as file:
            image = np.asarray(file.convert("RGB"))
        times.append(time.perf_counter())
        image = fit(image, runtime.input_size)
        times.append(time.perf_counter())
        depth = runtime.predict(image)
        times.append(time.perf_counter())
        coloured(depth, colours)
        times.append(time.perf_counter())
        return tuple(float(ms) for ms in np.diff(times) * 1e3)

    return once


def sample_photo() -> bytes:
    """The first frame of the built-in sample as a JPEG of quality 90."""
    from fcrn_mobile.data import open_source

    content = io.BytesIO()
    Image.fromarray(open_source("sample")[0].image).save(content, "JPEG", quality=90)
    return content.getvalue()


def colour_table() -> NDArray[np.uint8]:
    """256×3: the colours of near (first) to far."""
    table: NDArray[np.float64] = depth_colours()(np.arange(256))[:, :3]
    return np.round(table * 255).astype(np.uint8)


def coloured(depth: NDArray[np.float32], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """h×w metres → h×w×3 uint8, from 0 to the farthest depth."""
    far = float(depth.max())
    index = np.clip(depth * (255 / far if far > 0 else 0), 0, 255)
    picture: NDArray[np.uint8] = colours[np.nan_to_num(index).astype(np.uint8)]
    return picture
