"""Depth in OpenEXR files, as renderers write it. Needs the optional extra ``exr``."""

from contextlib import redirect_stdout
from io import BytesIO, StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError

__all__ = ["MAGIC", "decode_exr"]

MAGIC = b"\x76\x2f\x31\x01"
#: Parts of a channel's name that say depth: ``Z``, and ``ViewLayer.Depth.Z`` or ``.V`` of Blender.
_DEPTH_NAMES = {"z", "depth"}


def decode_exr(data: bytes, name: str) -> NDArray[Any]:
    """The depth channel of an EXR file: the one whose name says so, else the only one, else three equal ones.

    Returns:
        H×W, of the type that the file has.

    Raises:
        InputError: the library is missing; damaged; no channel or several that could be depth.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(f"'{name}' needs OpenEXR: install it with pip install 'fcrn-mobile[exr]'") from error
    messages = StringIO()
    try:
        # No threads of its own: a loader's forked process would wait for those of its parent. A part whose pixels are damaged is left out
        # with a line on standard output, where a command's result stands.
        with redirect_stdout(messages):
            parts = OpenEXR.File(BytesIO(data), separate_channels=True, num_threads=0).parts
    except Exception as error:  # the binding raises RuntimeError, TypeError and others for what the C++ library throws
        raise InputError(f"'{name}' is a damaged EXR file ({' '.join(str(error).split())[:120]}): replace it") from error
    if messages.getvalue():
        raise InputError(f"'{name}' is a damaged EXR file ({' '.join(messages.getvalue().split())[-80:]}): replace it")
    channels = {channel: content.pixels for part in parts for channel, content in part.channels.items()}
    pixels = _depth_channel(channels, name)
    if pixels.ndim != 2 or pixels.dtype == object:
        raise InputError(f"'{name}' holds deep pixels, several depths each: flatten it first")
    return pixels


def _depth_channel(channels: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    named = [channel for channel in channels if _DEPTH_NAMES & set(channel.casefold().split("."))]
    depths = [channels[channel] for channel in named or channels]
    if not depths or any(not np.array_equal(depths[0], other, equal_nan=other.dtype.kind == "f") for other in depths[1:]):
        raise InputError(f"'{name}' has the channels {', '.join(channels) or 'none'}: give an EXR with one of them, named Z")
    return depths[0]
