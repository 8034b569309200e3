"""Pack the frames of the built-in network's recipe, and encoders' ImageNet weights, into one file that ``train.py`` reads.

    FCRN_TEST_DATA=FOLDER python benchmarks/training/gpu/pack.py --out runs/training.npz [--max-mb 50] [--encoders lite0]

FOLDER holds nyu_train795.zip, rooms_train.zip and more_rgbd/. What was held back in FOLDER/nyu_train795.zip (``#val``) is marked so in
the file; all other frames are for training. Where the file would grow beyond --max-mb, the last frames of the rooms are left out; they
are packed in an order in which the first ones are spread over all. Prints sizes, PSNR, depth error and times.
"""

import argparse
import csv
import json
import lzma
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from packed import (
    BLOCK,
    FILTERS,
    FORMAT,
    TO_RGB,
    TRAIN,
    VAL,
    dct_matrix,
    decode_depths,
    decode_images,
    median_edge,
    plane_sizes,
    unpack,
    zigzag,
)

from fcrn_mobile.data import Source, open_source
from fcrn_mobile.network.encoders import encoder_named, load_imagenet_weights

FRAMES_PER_CHUNK = 48
#: Largest relative error of depth, and how many different depths are kept as they are.
DEPTH_ERROR = 0.005
EXACT_LEVELS = 256
#: Steps of quantisation are a share of JPEG's luminance table (ITU-T T.81, table K.1) plus a constant: flat, for metrics not for eyes.
TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
#: Below this an AC coefficient would not fit into a byte.
LEAST_STEP = 8.5
CHROMA = 1.3
#: Focal lengths as multiples of the width: NYU Depth V2's own calibration, 518.9 pixels of 640.
NYU_FOCAL = 518.9 / 640


@dataclass(frozen=True)
class Origin:
    """A source to be packed.

    Attributes:
        name: in the file.
        spec: data spec, with PATH below the data's folder.
        weight: how often an epoch shows each of its frames.
        coarseness: of images.
        focal: as a multiple of the width; 0 for what the source's frames.tsv says, or unknown.
        validates: whether what ``#val`` holds back of it is kept for validation.
    """

    name: str
    spec: str
    weight: float
    coarseness: float = 0.8
    focal: float = 0.0
    validates: bool = False

    def open(self, folder: Path, part: str = "") -> Source:
        """The source, or a part of it, below the data's folder."""
        return open_source(self.spec.replace(":", f":{folder}/", 1) + part)


#: The last is what is left out where there is no room. Weights of the first and the last as in builtin-lateral.toml, times 4.
ORIGINS = (
    Origin("nyu", "folder:nyu_train795.zip", 1.0, coarseness=0.4, focal=NYU_FOCAL, validates=True),
    Origin("nyu_raw_cafe", "folder:more_rgbd/nyu_raw_cafe", 1.0, coarseness=0.4),
    Origin("nyu_raw_dining", "folder:more_rgbd/nyu_raw_dining", 1.0, coarseness=0.4),
    Origin("tum_fr1_rpy", "folder:more_rgbd/tum_fr1_rpy", 0.5),
    Origin("aims_lab", "folder:more_rgbd/aims_lab", 0.5),
    Origin("rooms", "folder:rooms_train.zip", 0.36, coarseness=1.4),
)


@dataclass(frozen=True)
class Packed:
    """A chunk on its way into the file: its header entry, its two blobs, and how well they keep images and depth."""

    entry: dict[str, Any]
    image: bytes
    depth: bytes
    psnr: NDArray[np.float64]
    depth_error: float


def quantisation(coarseness: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps of luma and chroma, 64 each, in zigzag order."""
    table = np.array(TABLE, np.float64).ravel()[zigzag()]
    luma = np.maximum(LEAST_STEP, coarseness * (0.5 * table + 8)).round(1)
    return luma, (luma * CHROMA).round(1)


def encode_images(images: NDArray[np.uint8], luma: NDArray[np.float64], chroma: NDArray[np.float64]) -> bytes:
    """The blob of ``packed.decode_images``."""
    _, height, width, _ = images.shape
    ycc = np.moveaxis(images.astype(np.float32) @ np.linalg.inv(np.array(TO_RGB)).T.astype(np.float32), 3, 0)
    parts = []
    for plane, (rows, columns), steps, halves in zip(
        ycc, plane_sizes(height, width), (luma, chroma, chroma), (False, True, True), strict=True
    ):
        if halves:
            plane = _padded(plane, 2 * -(-height // 2), 2 * -(-width // 2))
            plane = plane.reshape(len(plane), plane.shape[1] // 2, 2, plane.shape[2] // 2, 2).mean(axis=(2, 4))
        else:
            plane = plane - 128
        parts.append(_stored_plane(_padded(plane, rows * BLOCK, columns * BLOCK), steps))
    return lzma.compress(b"".join(parts), lzma.FORMAT_RAW, filters=FILTERS)


def _padded(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    return np.pad(plane, ((0, 0), (0, height - plane.shape[1]), (0, width - plane.shape[2])), mode="edge")


def _stored_plane(plane: NDArray[np.float32], steps: NDArray[np.float64]) -> bytes:
    count, height, width = plane.shape
    blocks = plane.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK).swapaxes(2, 3)
    coefficients = (dct_matrix() @ blocks @ dct_matrix().T).reshape(count, -1, BLOCK * BLOCK)[..., zigzag()]
    levels = np.rint(coefficients / steps).astype(np.int32)
    dc = unsigned(np.diff(levels[..., 0], axis=1, prepend=0))
    ac = unsigned(levels[..., 1:].clip(-128, 127)).transpose(2, 0, 1)
    return b"".join(part.astype(np.uint8).tobytes() for part in (dc & 255, dc >> 8, ac))


def depth_levels(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Levels for the sorted valid depths of a source: as few as leave no error beyond ``DEPTH_ERROR``, or all where these are few."""
    if len(values) <= EXACT_LEVELS:
        return values
    levels, index = [], 0
    while index < len(values):
        level = int(values[index] * (1 + DEPTH_ERROR))
        levels.append(level)
        index = int(np.searchsorted(values, level / (1 - DEPTH_ERROR), side="right"))
    return np.array(levels, np.uint16)


def encode_depths(depths: NDArray[np.uint16], levels: NDArray[np.uint16]) -> bytes:
    """The blob of ``packed.decode_depths``: each depth N×H×W becomes the relatively nearest level, 0 stays 0."""
    numbers = np.arange(1 << 16)
    # Equal relative errors on both sides of a boundary b: (b - l) / b = (h - b) / b.
    table = np.searchsorted((levels[1:].astype(np.float64) + levels[:-1]) / 2, numbers) + 1
    codes = np.where(depths > 0, table[depths], 0).astype(np.int32)
    bordered = np.pad(codes, ((0, 0), (1, 0), (1, 0)))
    residuals = unsigned(codes - median_edge(bordered[:, 1:, :-1], bordered[:, :-1, 1:], bordered[:, :-1, :-1]))
    return lzma.compress(
        b"".join(part.astype(np.uint8).tobytes() for part in (residuals & 255, residuals >> 8)), lzma.FORMAT_RAW, filters=FILTERS
    )


def unsigned(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """0, -1, 1, -2, 2 → 0, 1, 2, 3, 4."""
    return np.where(values < 0, -2 * values - 1, 2 * values)


def psnr(images: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each image, in dB."""
    square = ((images.astype(np.float32) - decoded) ** 2).mean(axis=(1, 2, 3), dtype=np.float64)
    return 10 * np.log10(255**2 / np.maximum(square, 1e-9))


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres as whole millimetres, 0 where invalid."""
    valid = np.isfinite(depth) & (depth > 0)
    return np.where(valid, np.clip(np.rint(depth * 1000), 1, 32767), 0).astype(np.uint16)


def pack(origins: tuple[Origin, ...], folder: Path, encoders: tuple[str, ...], out: Path, max_bytes: int, workers: int) -> list[Packed]:
    """Write the packed file; returns what it holds of frames.

    Raises:
        SystemExit: it does not fit, not even without any frame of the last source.
    """
    weights = {f"encoder/{name}/{key}": value for name in encoders for key, value in _encoder_weights(name).items()}
    size, chunks, sources = sum(value.nbytes + 300 for value in weights.values()), [], []
    with ProcessPoolExecutor(workers) as pool:
        for number, origin in enumerate(origins):
            levels = depth_levels(_depths_of(origin.open(folder)))
            luma, chroma = quantisation(origin.coarseness)
            steps = {"levels": levels.tolist(), "luma": luma.tolist(), "chroma": chroma.tolist()}
            sources.append({"name": origin.name, "spec": origin.spec, "weight": origin.weight} | steps)
            size += len(json.dumps(sources[-1]))
            jobs = [_Job(number, origin, folder, levels, part, indices) for part, indices in _parts(origin, folder)]
            for packed in pool.map(_pack_chunk, jobs):
                size += len(packed.image) + len(packed.depth) + len(json.dumps(packed.entry)) + 600
                if size <= max_bytes:
                    chunks.append(packed)
                elif number < len(origins) - 1:
                    raise SystemExit(f"--max-mb {max_bytes / 1e6:g} has no room for '{origin.name}': give more")
    header = json.dumps({"format": FORMAT, "sources": sources, "chunks": [chunk.entry for chunk in chunks]}).encode()
    arrays: dict[str, Any] = {"header": np.frombuffer(header, np.uint8), **weights}
    for index, chunk in enumerate(chunks):
        arrays[f"{index}/image"] = np.frombuffer(chunk.image, np.uint8)
        arrays[f"{index}/depth"] = np.frombuffer(chunk.depth, np.uint8)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.npz")
    np.savez(partial, **arrays)
    partial.replace(out)
    return chunks


def _encoder_weights(name: str) -> dict[str, NDArray[Any]]:
    encoder = encoder_named(name).build()
    load_imagenet_weights(encoder, name)
    state = {key: value.numpy() for key, value in encoder.state_dict().items()}
    return {key: value.astype(np.float16) if value.dtype.kind == "f" else value for key, value in state.items()}


def _depths_of(source: Source) -> NDArray[np.uint16]:
    """The different valid depths of a source in millimetres, sorted."""
    seen = np.zeros(1 << 16, bool)
    for index in range(len(source)):
        seen[millimetres(source[index].depth)] = True
    return (np.flatnonzero(seen[1:]) + 1).astype(np.uint16)


def _parts(origin: Origin, folder: Path) -> list[tuple[str, NDArray[np.int64]]]:
    """Indices of frames by chunk, each chunk spread over the whole of its part."""
    val = set(origin.open(folder, "#val").names) if origin.validates else set()
    held_back = np.array([name in val for name in origin.open(folder).names])
    parts = []
    for part, indices in ((TRAIN, np.flatnonzero(~held_back)), (VAL, np.flatnonzero(held_back))):
        chunks = -(-len(indices) // FRAMES_PER_CHUNK)
        parts += [(part, indices[first::chunks]) for first in range(chunks)]
    return parts


@dataclass(frozen=True)
class _Job:
    """A chunk to be packed."""

    number: int
    origin: Origin
    folder: Path
    levels: NDArray[np.uint16]
    part: str
    indices: NDArray[np.int64]


def _pack_chunk(job: _Job) -> Packed:
    source = job.origin.open(job.folder)
    samples = [source[int(index)] for index in job.indices]
    focals = _focals(job.origin, job.folder)
    images, depths = np.stack([sample.image for sample in samples]), millimetres(np.stack([sample.depth for sample in samples]))
    count, height, width, _ = images.shape
    luma, chroma = quantisation(job.origin.coarseness)
    image, depth = encode_images(images, luma, chroma), encode_depths(depths, job.levels)
    valid = depths > 0
    decoded = decode_depths(depth, count, height, width, job.levels)
    if not np.array_equal(decoded > 0, valid):
        raise AssertionError(f"'{job.origin.name}': other pixels are valid than before")
    error = np.abs(decoded[valid] / depths[valid].astype(np.float64) - 1).max(initial=0.0)
    entry = {
        "source": job.number,
        "part": job.part,
        "height": height,
        "width": width,
        "names": [sample.name for sample in samples],
        "focals": [focals.get(Path(sample.name).stem, job.origin.focal) for sample in samples],
    }
    return Packed(entry, image, depth, psnr(images, decode_images(image, count, height, width, luma, chroma)), float(error))


def _focals(origin: Origin, folder: Path) -> dict[str, float]:
    """Focal lengths by the frames' stems, as multiples of the width, where a frames.tsv beside the frames knows them for 320 pixels."""
    table = folder / origin.spec.partition(":")[2] / "frames.tsv"
    if not table.is_file():
        return {}
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["id"]: float(row["fx_at_320px"]) / 320 for row in rows if row["fx_at_320px"] != "?"}


def report(chunks: list[Packed], origins: tuple[Origin, ...]) -> str:
    """Frames, sizes, PSNR and depth error by source."""
    lines = [f"{'source':16}{'train':>6}{'val':>5}{'image MB':>10}{'depth MB':>10}{'PSNR median':>13}{'min':>7}{'depth error':>13}"]
    for number, origin in enumerate(origins):
        own = [chunk for chunk in chunks if chunk.entry["source"] == number]
        if not own:
            lines.append(f"{origin.name:16}{0:6}")
            continue
        train, val = (sum(len(chunk.entry["names"]) for chunk in own if chunk.entry["part"] == part) for part in (TRAIN, VAL))
        image, depth = sum(len(chunk.image) for chunk in own) / 1e6, sum(len(chunk.depth) for chunk in own) / 1e6
        quality, error = np.concatenate([chunk.psnr for chunk in own]), max(chunk.depth_error for chunk in own)
        lines.append(
            f"{origin.name:16}{train:6}{val:5}{image:10.2f}{depth:10.2f}{np.median(quality):13.2f}{quality.min():7.2f}{error:13.2%}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/training.npz"))
    parser.add_argument("--max-mb", type=float, default=50.0, help="of 10^6 bytes")
    parser.add_argument("--encoders", nargs="*", default=["lite0"], help="whose ImageNet weights go along")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if "FCRN_TEST_DATA" not in os.environ:
        raise SystemExit("FCRN_TEST_DATA is not set: give the folder that holds nyu_train795.zip, rooms_train.zip and more_rgbd/")
    start = time.monotonic()
    chunks = pack(
        ORIGINS, Path(os.environ["FCRN_TEST_DATA"]), tuple(options.encoders), options.out, int(options.max_mb * 1e6), options.workers
    )
    packed = time.monotonic()
    frames = sum(len(chunk.images) for chunk in unpack(options.out).chunks)
    print(report(chunks, ORIGINS))
    size, unpacked = options.out.stat().st_size / 1e6, time.monotonic() - packed
    times = f"packed in {packed - start:.0f} s, unpacked in {unpacked:.1f} s ({os.cpu_count()} cores)"
    print(f"{options.out}: {size:.2f} MB, {frames} frames; {times}")


if __name__ == "__main__":
    main()
