"""Several images through several models at once, one core for each image in flight; what comes out is in order, and the same bit by bit.

One image after the other leaves cores idle: operators of small networks are too short to be shared out. Torch's own threads are set to one
for each image, so that a result does not depend on how many images are in flight.
"""

import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.runtimes.runtime import Runtime

__all__ = ["MOST", "predictions"]

#: Images in flight, at most: each takes the memory of a prediction.
MOST = 8

_Seen = tuple[Sample, list[NDArray[np.float32]]]


def predictions(models: Sequence[Runtime], source: Source) -> Generator[_Seen, None, None]:
    """Each frame with what every model gives of it, h×w, in the order of the source.

    As many images are in flight as torch has threads, where all of the models allow it (``Runtime``); else one is.

    Raises:
        InputError: of the first frame that cannot be read or predicted, once those before it are out.
    """
    lock = threading.Lock()

    def seen(index: int) -> _Seen:
        with lock:  # not every source may be read by two at once
            sample = source[index]
        return sample, [model.predict(sample.image) for model in models]

    count = min(torch.get_num_threads(), MOST, len(source))
    if count < 2 or not all(getattr(model, "is_concurrent", False) for model in models):
        yield from map(seen, range(len(source)))
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    try:
        pending: deque[Future[_Seen]] = deque()
        for index in range(len(source)):
            pending.append(pool.submit(seen, index))
            if len(pending) > count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
