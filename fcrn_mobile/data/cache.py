"""A cache of decoded frames that stays within a limit of memory."""

from collections import OrderedDict
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.source import Indexed, Sample, Wrapped, camera_of
from fcrn_mobile.data.views import Views
from fcrn_mobile.errors import InputError

__all__ = ["Cached"]

_Scalar = TypeVar("_Scalar", bound=np.generic)
_Frame = TypeVar("_Frame", Sample, Views)


class Cached(Wrapped, Generic[_Frame]):
    """Another source whose decoded frames are kept, the least recently used dropped first.

    The arrays handed out are read-only, so no caller can change what the next one gets. Every process has its own cache: a copy
    sent to a loader process starts empty there and may grow to the limit as well.

    Args:
        source: where frames, or the views of a scene, come from.
        megabytes: most that the kept arrays may take, in 10⁶ bytes; a frame larger than that is never kept.

    Attributes:
        hits: frames given from memory.
        misses: frames that were decoded.
        bytes_kept: size of the kept arrays.

    Raises:
        InputError: the limit is not positive.
    """

    def __init__(self, source: Indexed[_Frame], megabytes: float) -> None:
        if not megabytes > 0:
            raise InputError(f"frame cache of {megabytes} MB: give a positive number of megabytes")
        self.source: Indexed[_Frame] = source
        self.limit = int(megabytes * 1_000_000)
        self._forget()

    @property
    def camera(self) -> TrainingCamera:
        return camera_of(self.source)

    def __getitem__(self, index: int) -> _Frame:
        position = range(len(self))[index]
        if position in self._frames:
            self.hits += 1
            self._frames.move_to_end(position)
            return self._frames[position]
        self.misses += 1
        frame = _read_only(self.source[position])
        if _size(frame) <= self.limit:
            self._keep(position, frame)
        return frame

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._frames: OrderedDict[int, _Frame] = OrderedDict()
        self.hits = self.misses = self.bytes_kept = 0

    def _keep(self, position: int, frame: _Frame) -> None:
        while self.bytes_kept + _size(frame) > self.limit:
            _, dropped = self._frames.popitem(last=False)
            self.bytes_kept -= _size(dropped)
        self._frames[position] = frame
        self.bytes_kept += _size(frame)


def _size(frame: Sample | Views) -> int:
    if isinstance(frame, Views):
        return sum(image.nbytes for image in frame.images)
    return frame.image.nbytes + frame.depth.nbytes


def _read_only(frame: _Frame) -> _Frame:
    copies: dict[str, Any]
    if isinstance(frame, Views):
        copies = {"images": tuple(_read_only_copy(image) for image in frame.images)}
    else:
        copies = {"image": _read_only_copy(frame.image), "depth": _read_only_copy(frame.depth)}
    return replace(frame, **copies)


def _read_only_copy(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    # A copy owns its memory: a view would keep a larger array alive that the limit doesn't see.
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy
