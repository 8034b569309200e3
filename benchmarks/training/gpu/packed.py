"""Many frames in one file that torch and numpy alone can read: images as quantised DCT coefficients, depth as levels, both under LZMA.

The file is an .npz: ``header`` (JSON), ``N/image`` and ``N/depth`` of chunk N (frames of one source, size and part), and the ImageNet
weights of encoders as ``encoder/NAME/KEY`` in float16.

An image is YCbCr (JPEG's, ITU-R BT.601), chroma at half resolution, in blocks of 8×8 (JPEG, ITU-T T.81, without its Huffman codes). Depth
is an index into its source's levels, 0 where invalid, minus a prediction from the pixels left, above and above left (LOCO-I's median
edge detector, Weinberger et al. 2000). Signed numbers are stored as 0, -1, 1, -2, 2, …
"""

import json
import lzma
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

FORMAT = 1
BLOCK = 8
TRAIN, VAL = "train", "val"
#: LZMA without a container: the literal before is the context, since neighbours are alike.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 4, "lp": 0, "pb": 0}]
#: Rows: R, G and B of Y, Cb - 128 and Cr - 128.
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


@dataclass(frozen=True)
class Chunk:
    """Some frames of one source, of one size.

    Attributes:
        source: index into ``PackedFrames.sources``.
        part: ``TRAIN`` or ``VAL``.
        names: of the frames.
        focals: focal lengths as multiples of the picture's width; 0 where unknown.
        images: N×H×W×3 uint8.
        depths: N×H×W uint16 millimetres, 0 where invalid.
    """

    source: int
    part: str
    names: tuple[str, ...]
    focals: tuple[float, ...]
    images: NDArray[np.uint8]
    depths: NDArray[np.uint16]


@dataclass(frozen=True)
class PackedFrames:
    """What a packed file holds.

    Attributes:
        sources: of each source its ``name``, its data ``spec``, how often an epoch shows each of its frames (``weight``).
        chunks: all frames.
        encoders: encoder's name → its ImageNet state dict, float32.
    """

    sources: tuple[dict[str, Any], ...]
    chunks: tuple[Chunk, ...]
    encoders: dict[str, dict[str, Tensor]]


def unpack(path: Path, workers: int | None = None) -> PackedFrames:
    """Read a packed file, chunks in parallel (LZMA, numpy and torch let other threads run)."""
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        if header["format"] != FORMAT:
            raise SystemExit(f"'{path}' has format {header['format']}, this version reads {FORMAT}: pack again")
        blobs = [
            (entry, file[f"{index}/image"].tobytes(), file[f"{index}/depth"].tobytes()) for index, entry in enumerate(header["chunks"])
        ]
        encoders: dict[str, dict[str, Tensor]] = {}
        for key in file.files:
            if key.startswith("encoder/"):
                _, name, tensor = key.split("/", 2)
                value = torch.from_numpy(file[key])
                encoders.setdefault(name, {})[tensor] = value.float() if value.is_floating_point() else value
    sources = tuple(header["sources"])
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        chunks = tuple(pool.map(lambda blob: _chunk(sources, *blob), blobs))
    return PackedFrames(sources, chunks, encoders)


def _chunk(sources: tuple[dict[str, Any], ...], entry: dict[str, Any], image: bytes, depth: bytes) -> Chunk:
    source = sources[entry["source"]]
    count, height, width = len(entry["names"]), entry["height"], entry["width"]
    return Chunk(
        entry["source"],
        entry["part"],
        tuple(entry["names"]),
        tuple(entry["focals"]),
        decode_images(image, count, height, width, np.array(source["luma"]), np.array(source["chroma"])),
        decode_depths(depth, count, height, width, np.array(source["levels"], np.uint16)),
    )


def dct_matrix() -> NDArray[np.float64]:
    """8×8 orthonormal DCT-II, M: coefficients of a block x are M·x·Mᵀ."""
    rows = np.arange(BLOCK)[:, np.newaxis]
    matrix = np.cos(np.pi * (2 * np.arange(BLOCK) + 1) * rows / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix


def zigzag() -> NDArray[np.int64]:
    """Positions of a block's 64 coefficients in JPEG's order, from low frequencies to high ones."""
    return np.array(sorted(range(BLOCK * BLOCK), key=lambda k: (sum(divmod(k, BLOCK)), divmod(k, BLOCK)[sum(divmod(k, BLOCK)) % 2 == 0])))


def plane_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Blocks down and across of Y, Cb and Cr."""
    luma = (-(-height // BLOCK), -(-width // BLOCK))
    chroma = (-(-height // (2 * BLOCK)), -(-width // (2 * BLOCK)))
    return luma, chroma, chroma


def decode_images(
    data: bytes, count: int, height: int, width: int, luma: NDArray[np.float64], chroma: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Images count×height×width×3 of a blob; ``luma`` and ``chroma`` are the 64 steps of quantisation in zigzag order."""
    stored = np.frombuffer(lzma.decompress(data, lzma.FORMAT_RAW, filters=FILTERS), np.uint8)
    planes, start = [], 0
    for (rows, columns), steps in zip(plane_sizes(height, width), (luma, chroma, chroma), strict=True):
        blocks = rows * columns
        size = count * blocks * (BLOCK * BLOCK + 1)
        coefficients = _coefficients(stored[start : start + size], count, blocks) * torch.from_numpy(steps.astype(np.float32))
        planes.append(_plane(coefficients, rows, columns))
        start += size
    y, cb, cr = planes
    cb, cr = (
        F.interpolate(plane, size=(2 * plane.shape[2], 2 * plane.shape[3]), mode="bilinear")[..., :height, :width] for plane in (cb, cr)
    )
    ycc = torch.cat((y[..., :height, :width] + 128, cb, cr), dim=1)  # N×3×H×W
    rgb = torch.einsum("kc,nchw->nhwk", torch.tensor(TO_RGB), ycc)
    return rgb.round_().clamp_(0, 255).to(torch.uint8).numpy()


def _coefficients(stored: NDArray[np.uint8], count: int, blocks: int) -> Tensor:
    """N×blocks×64 in zigzag order. Stored are the DC's differences from block to block, low and high bytes, then all of each AC."""
    size = count * blocks
    steps = signed(stored[:size].astype(np.int32) | stored[size : 2 * size].astype(np.int32) << 8).reshape(count, blocks)
    coefficients = np.empty((count, blocks, BLOCK * BLOCK), np.float32)
    coefficients[..., 0] = steps.cumsum(axis=1)
    coefficients[..., 1:] = signed(stored[2 * size :].astype(np.int16)).reshape(BLOCK * BLOCK - 1, count, blocks).transpose(1, 2, 0)
    return torch.from_numpy(coefficients)


def _plane(coefficients: Tensor, rows: int, columns: int) -> Tensor:
    """N×blocks×64 in zigzag order → N×1×8·rows×8·columns."""
    natural = coefficients[..., torch.from_numpy(np.argsort(zigzag()))]
    matrix = torch.from_numpy(dct_matrix().astype(np.float32))
    blocks = matrix.T @ natural.view(len(coefficients), rows, columns, BLOCK, BLOCK) @ matrix
    return blocks.transpose(2, 3).reshape(len(coefficients), 1, rows * BLOCK, columns * BLOCK)


def decode_depths(data: bytes, count: int, height: int, width: int, levels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Depths count×height×width in millimetres of a blob.

    The prediction needs three neighbours, so pixels are rebuilt along anti-diagonals: of one diagonal none depends on another.
    """
    stored = np.frombuffer(lzma.decompress(data, lzma.FORMAT_RAW, filters=FILTERS), np.uint8).astype(np.int32)
    residuals = signed(stored[: len(stored) // 2] | stored[len(stored) // 2 :] << 8).reshape(count, height, width)
    # Pixel (y, x) stands at [y + x + 2, y + 1]: its diagonal, and its row; one border of zeros above, two before.
    rows = np.arange(height)
    skewed = np.zeros((height + width + 1, height + 1, count), np.int32)
    for y in rows:
        skewed[y + 2 : y + 2 + width, y + 1] = residuals[:, y].T
    for diagonal in range(height + width - 1):
        low, high = max(0, diagonal - width + 1) + 1, min(height - 1, diagonal) + 2
        left, above = skewed[diagonal + 1, low:high], skewed[diagonal + 1, low - 1 : high - 1]
        corner = skewed[diagonal, low - 1 : high - 1]
        if diagonal < width:
            # The first column's pixel has nothing on its left, whatever stands there.
            left = left.copy()
            if diagonal < height:
                left[-1] = 0
        skewed[diagonal + 2, low:high] += median_edge(left, above, corner)
    codes = np.empty((count, height, width), np.int32)
    for y in rows:
        codes[:, y] = skewed[y + 2 : y + 2 + width, y + 1].T
    return np.concatenate((np.zeros(1, np.uint16), levels))[codes]


def median_edge(left: NDArray[np.int32], above: NDArray[np.int32], corner: NDArray[np.int32]) -> NDArray[np.int32]:
    """LOCO-I's prediction: the median of left, above and left + above - corner."""
    low, high = np.minimum(left, above), np.maximum(left, above)
    return np.clip(left + above - corner, low, high)


def signed(stored: NDArray[Any]) -> NDArray[Any]:
    """0, 1, 2, 3, 4 → 0, -1, 1, -2, 2."""
    return np.where(stored & 1, -(stored >> 1) - 1, stored >> 1)
