"""Write what the Swift package is compared with: colours, statistics, depth planes, geometry, sensors, reports, metadata.

Every figure comes from Python (NumPy, matplotlib, or this toolkit), none from Swift. The same files come out on every
machine: ``tests/ios`` makes them anew and compares byte for byte.

    .venv/bin/python ios_demo/scripts/make_fixtures.py
"""

import json
import math
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fcrn_mobile.conversion.artefact import provenance
from fcrn_mobile.conversion.contract import Port, violations
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.exif_focal import equivalent_focal_px
from fcrn_mobile.depth_contract import DepthContract, Framing
from fcrn_mobile.evaluation.align import MEDIAN, aligned, median_scale
from fcrn_mobile.evaluation.metrics import align, metrics_from_moments, pixel_moments, protocol
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import UP_TO_SCALE, TrainingRecord
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.palette import DEPTH, SIGNED_DIFFERENCE
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.report.figures import colour_map
from fcrn_mobile.validation.fidelity import Fidelity
from fcrn_mobile.validation.host_outputs import HostFrame, HostOutputs

IOS_DEMO = Path(__file__).resolve().parent.parent
FIXTURES = Path("DepthCore/Tests/DepthCoreTests/Fixtures")
TABLE = Path("DepthCore/Sources/DepthCore/ColormapTable.swift")

#: Settings of the recipe that ``ModelRecipe`` in Swift reads.
RECIPE_KEYS = ("name", "precision", "input_size", "output", "compute_units", "budget")

STATISTICS = {"mean_ms": np.mean, "median_ms": np.median, "min_ms": np.min, "max_ms": np.max} | {
    f"p{percent}_ms": lambda samples, q=percent / 100: np.quantile(samples, q) for percent in (90, 95, 99)
}


def fixtures() -> dict[Path, bytes]:
    """Path below ios_demo → content, of every generated file."""
    half = _half_plane()
    files = {
        "colours.bin": _colours(DEPTH).tobytes(),
        "difference_colours.bin": _colours(SIGNED_DIFFERENCE).tobytes(),
        "statistics.json": _json([{"samples_ms": samples} | statistics(samples) for samples in _sample_sets()]),
        **_planes(half),
        "colour_map.bin": colour_map(half.astype(np.float32)).tobytes(),
        "geometry.json": _json(_geometry()),
        "focal.json": _json(_focal_lengths()),
        "orientations.json": _json(_orientations()),
        "equivalent_focal.json": _json(_equivalent_focal_lengths()),
        "clouds.json": _json(_clouds()),
        "agreement.json": _json(_agreements()),
        "difference.json": _json(_differences()),
        **_clip(),
        "host_outputs.json": _json(_host_outputs()),
        "fidelity.json": _json(_fidelities()),
        "fidelity_report.json": _json(_fidelity_report()),
        "bench_device.json": _json(_device_report()),
        "bench_device_v1.json": _json(_first_report()),
        "bench_host.json": _json(_host_report()),
        "contract.json": _json(_contract()),
        **_specification(),
        "contract_violations.json": _json(_violations()),
    }
    return {TABLE: _table()} | {FIXTURES / name: content for name, content in files.items()}


def statistics(samples: list[float]) -> dict[str, float]:
    """Mean, median, percentiles, least, greatest, FPS, as NumPy gives them."""
    values = {key: float(function(samples)) for key, function in STATISTICS.items()}
    return values | {"fps": 1000 / values["median_ms"]}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _colours(name: str) -> NDArray[np.uint8]:
    """256×3, from the low to the high end, rounded as ``colour_map`` does."""
    colours: NDArray[np.uint8] = (colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return colours


def _table() -> bytes:
    parts = ["// swift-format-ignore-file\n// matplotlib's, written by scripts/make_fixtures.py: change them there.\n"]
    for variable, name in (("depthColours", DEPTH), ("differenceColours", SIGNED_DIFFERENCE)):
        values = ",\n".join("  " + ", ".join(map(str, row)) for row in _colours(name).reshape(-1, 24))
        parts.append(f"\n/// {name}.\nlet {variable}: [UInt8] = [\n{values},\n]\n")
    return "".join(parts).encode()


def _sample_sets() -> list[list[float]]:
    random = np.random.default_rng(1)
    skewed = [random.lognormal(3, 0.4, size=count).round(6).tolist() for count in (1, 2, 3, 10, 11, 100, 999)]
    return [*skewed, [5.0] * 7, [0.1, 0.2, 0.3, 1e6]]


def _half_plane() -> NDArray[np.float16]:
    """13×7 metres with everything that half precision can hold."""
    plane = np.random.default_rng(2).uniform(0.4, 9.5, size=(7, 13)).astype(np.float16)
    plane[2, 3:9] = np.nan, np.inf, -np.inf, 0.0, -0.0, -1.5
    plane[4, :3] = np.float16(6e-8), np.float16(6.1e-5), np.float16(65504)
    return plane


def _planes(half: NDArray[np.float16]) -> dict[str, bytes]:
    """Each type of value in rows padded to 64 bytes, the padding filled with bytes that would be seen as depth."""
    random = np.random.default_rng(3)
    planes: dict[str, NDArray[Any]] = {
        "half": half,
        "float": random.uniform(0.4, 80, size=(5, 18)).astype("<f4"),
        "double": random.uniform(0.4, 80, size=(6, 9)),
    }
    files, described = {}, []
    for name, plane in planes.items():
        row = plane.shape[1] * plane.itemsize
        padded = -(-row // 64) * 64 + 64
        rows = np.full((plane.shape[0], padded), 0x44, np.uint8)
        rows[:, :row] = plane.view(np.uint8)
        files[f"plane_{name}.bin"] = rows.tobytes()
        files[f"plane_{name}_expected.bin"] = plane.astype("<f4").tobytes()
        described.append({"scalar": name, "width": plane.shape[1], "height": plane.shape[0], "bytes_per_row": padded})
    return files | {"planes.json": _json(described)}


def _geometry() -> list[dict[str, Any]]:
    """Which pixel of a stored image lies in the middle of a pixel of the depth map."""
    cases = []
    for view, seen in _views():
        rows, columns = _shown(seen)
        places = [(i, j) for j in {*rows, sum(rows) // 2} for i in {*columns, sum(columns) // 2}]
        points = [{"depth": [i + 0.5, j + 0.5], "image": [float(v) + 0.5 for v in seen[j, i]]} for i, j in places]
        cases.append(view | {"shown": (rows, columns), "points": points})
    return cases


def _views() -> Iterator[tuple[dict[str, Any], NDArray[Any]]]:
    """Ways to bring an image to a model, each with the pixel of the stored image that lies in the middle of each pixel of the depth map: an
    image that holds its own coordinates is turned, cropped, and sampled. Sizes are such that all of this takes whole pixels.
    """
    for turns, rotation in enumerate((0, 90, 180, 270)):
        for mode, image, model, depth in (
            ("crop", (640, 480), (320, 224), (160, 112)),
            ("crop", (480, 640), (320, 224), (160, 112)),
            ("crop", (640, 480), (224, 320), (112, 160)),
            ("crop", (480, 640), (224, 320), (112, 160)),
            ("stretch", (480, 480), (320, 224), (160, 96)),
            ("letterbox", (300, 420), (60, 36), (20, 12)),
            ("letterbox", (420, 300), (36, 60), (12, 20)),
        ):
            y, x = np.mgrid[: image[1], : image[0]]
            upright = np.rot90(np.stack((x, y), axis=-1), -turns)
            if mode == "crop":
                upright = _centre(upright, model)
            if mode == "letterbox":
                upright = _between_bars(upright, model)
            down, across = upright.shape[0] // depth[1], upright.shape[1] // depth[0]
            if (down * depth[1], across * depth[0]) != upright.shape[:2] or down % 2 + across % 2 != 2:
                continue
            seen = upright[down // 2 :: down, across // 2 :: across]
            yield {"framing": mode, "rotation": rotation, "image": image, "model": model, "depth": depth}, seen


def _clouds() -> list[dict[str, Any]]:
    """Where pixels of the shown part of a depth map lie in space: the ray of the stored pixel in the camera's coordinates, as long as the
    depth says, then turned about the axis as the image was. The axis goes through the image beside its middle, pixels are not square.
    """
    random, cases = np.random.default_rng(8), []
    for view, seen in _views():
        (width, height), turns = view["image"], view["rotation"] // 90
        camera = {"fx": 0.8 * width, "fy": 0.82 * width, "cx": 0.53 * width, "cy": 0.46 * height}
        (top, bottom), (left, right) = _shown(seen)
        points = []
        for j, i in sorted({(j, i) for j in (top, top + 1, (top + bottom) // 2, bottom) for i in (left, (left + right) // 3, right)}):
            z = float(np.float32(random.uniform(0.5, 8)))
            x, y = ((seen[j, i] + 0.5 - (camera["cx"], camera["cy"])) / (camera["fx"], camera["fy"]) * z).tolist()
            for _ in range(turns):
                x, y = -y, x
            points.append({"pixel": [i - left, j - top], "position": [x, y, z]})
        cases.append(view | camera | {"shown": [right - left + 1, bottom - top + 1], "points": points})
    return cases


def _orientations() -> list[dict[str, Any]]:
    """What Pillow makes of an image of each EXIF orientation: its size, the linear part of the map from stored to upright coordinates, and
    where the axis of a camera comes to lie.
    """
    width, height, column, row = 40, 30, 22, 13
    cases = []
    for number in range(1, 9):
        y, x = np.mgrid[:height, :width]
        image = Image.fromarray((x + width * y).astype(np.int32))
        image.getexif()[0x0112] = number
        upright = np.asarray(ImageOps.exif_transpose(image))

        def place(x: int, y: int, upright: NDArray[np.int32] = upright) -> NDArray[np.int64]:
            return np.argwhere(upright == x + width * y)[0][::-1]

        axis, (a, b), (c, d) = place(column, row), place(1, 0) - place(0, 0), place(0, 1) - place(0, 0)
        focal = (51.0, 50.0) if a else (50.0, 51.0)
        stored = {"image": (width, height), "camera": [51.0, 50.0, column + 0.5, row + 0.5]}
        moved = {"upright": upright.shape[::-1], "seen": [*focal, *(axis + 0.5).tolist()]}
        cases.append({"exif": number, "transform": [int(value) for value in (a, b, c, d)], **stored, **moved})
    return cases


def _equivalent_focal_lengths() -> list[dict[str, Any]]:
    """Of pictures of several shapes, as ``fcrn-mobile`` reads them."""
    pictures = ((13.0, 4032, 3024), (26.0, 3024, 4032), (77.0, 1280, 720), (50.0, 3000, 2000))
    return [{"millimetres": f, "picture": (w, h), "pixels": equivalent_focal_px(f, w, h)} for f, w, h in pictures]


def _shown(seen: NDArray[Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row and column that show the image, not bars."""
    inside = (seen >= 0).all(axis=-1)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


def _centre(image: NDArray[Any], model: tuple[int, int]) -> NDArray[Any]:
    height, width = image.shape[:2]
    tall, wide = min(height, width * model[1] // model[0]), min(width, height * model[0] // model[1])
    top, left = (height - tall) // 2, (width - wide) // 2
    return image[top : top + tall, left : left + wide]


def _between_bars(image: NDArray[Any], model: tuple[int, int]) -> NDArray[Any]:
    """The image in the middle of a canvas of the model's shape; -1 in the bars."""
    height, width = image.shape[:2]
    tall, wide = max(height, width * model[1] // model[0]), max(width, height * model[0] // model[1])
    top, left = (tall - height) // 2, (wide - width) // 2
    return np.pad(image, ((top, tall - height - top), (left, wide - width - left), (0, 0)), constant_values=-1)


#: Cameras as AVFoundation may give them: pixels of the stored image, focal lengths. Only the odd one has pixels that are not square.
_CAMERAS = (((1280, 720), (961.3, 961.3)), ((720, 1280), (940.0, 940.0)), ((1920, 1440), (1444.1, 1399.5)))


def _focal_lengths() -> list[dict[str, Any]]:
    """By what depth is multiplied, for every turn, framing and shape of a model.

    Two rays of a pinhole camera, a thousandth of their distance apart along the rows of the upright image, are projected into the stored
    image, and turned, cropped and scaled by matrices into the model's: how far apart they are there, in widths of it, over the same for the
    training camera, is the ratio of the focal lengths.
    """
    cases, network = [], {"data": "example", "focal_px": 518.9, "width_px": 640}
    for turns, rotation in enumerate((0, 90, 180, 270)):
        for (width, height), (fx, fy) in _CAMERAS:
            for framing in get_args(Framing):
                for model in ((320, 224), (224, 320), (256, 256)):
                    camera = np.array([[fx, 0, width / 2], [0, fy, height / 2], [0, 0, 1]])
                    upright, size = _turned(turns, width, height), (width, height) if turns % 2 == 0 else (height, width)
                    matrix = _framed(framing, size, model) @ upright @ camera
                    # The direction in the stored image that is to the right in the upright one.
                    right = np.linalg.inv(upright[:2, :2]) @ (1, 0)
                    ends = [matrix @ (*(share * right), 1) for share in (-5e-4, 5e-4)]
                    focal = float(np.subtract(*(end[0] / end[2] for end in reversed(ends)))) / 1e-3
                    factor = focal / model[0] / (network["focal_px"] / network["width_px"])
                    stored = {"image": (width, height), "fx": fx, "fy": fy, "rotation": rotation, "model": model, "framing": framing}
                    matrix = matrix @ np.linalg.inv(camera)
                    across, down = (float(np.linalg.norm(axis[:2])) for axis in matrix[:2])
                    known = {"camera": network, "stretched": max(across / down, down / across), "matrix": _attached(camera)}
                    cases.append(stored | known | {"factor": factor})
    return cases


def _turned(turns: int, width: int, height: int) -> NDArray[np.float64]:
    """Pixels of a stored image → of it turned clockwise by quarters."""
    matrix = np.eye(3)
    for quarter in range(turns):
        side = height if quarter % 2 == 0 else width
        matrix = np.array([[0, -1, side], [1, 0, 0], [0, 0, 1]]) @ matrix
    return matrix


def _framed(framing: str, size: tuple[int, int], model: tuple[int, int]) -> NDArray[np.float64]:
    """Pixels of an upright image → of the model's."""
    across, down = model[0] / size[0], model[1] / size[1]
    if framing != "stretch":
        across = down = max(across, down) if framing == "crop" else min(across, down)
    return np.array([[across, 0, (model[0] - size[0] * across) / 2], [0, down, (model[1] - size[1] * down) / 2], [0, 0, 1]])


def _attached(camera: NDArray[np.float64]) -> str:
    """A ``matrix_float3x3`` in base64: columns of three floats, each padded to four."""
    return b64encode(np.vstack([camera, [[7, 7, 7]]]).T.astype("<f4").tobytes()).decode()


def _agreements() -> list[dict[str, Any]]:
    """A model's depth of a part of a sensor's map, compared by the evaluation of the command line, over pixels where both have depth.

    The part has an odd number of rows and columns, so that no pixel of it lies on the centre of one of the model's.
    """
    random = np.random.default_rng(5)
    cases = []
    for (height, width), (left, top, across, down) in (((8, 12), (0, 0, 31, 21)), ((8, 12), (3, 5, 25, 17)), ((12, 8), (4, 0, 19, 33))):
        model = random.uniform(0.5, 6, size=(height, width)).astype(np.float32)
        model[2, 3:5] = np.nan
        sensor = random.uniform(0.5, 5, size=(down + 2 * top, across + 2 * left)).astype(np.float32)
        sensor[random.random(sensor.shape) < 0.2] = np.nan
        truth = sensor[top : top + down, left : left + across]
        prediction = align(model, down, across, protocol("full"))
        counted = np.isfinite(truth) & np.isfinite(prediction)
        for is_aligned in (False, True):
            values = aligned(prediction, truth, counted, MEDIAN) if is_aligned else prediction
            metrics = metrics_from_moments(pixel_moments(values.astype(np.float64), truth, counted))
            figures = {key: metrics[key] for key in ("abs_rel", "delta1")} | {"scale": median_scale(prediction[counted], truth[counted])}
            maps = {"model": _map(model), "sensor": _map(sensor), "region": [left, top, across, down]}
            cases.append(maps | {"aligned": is_aligned, "pixels": int(counted.sum())} | figures)
    return cases


#: What the maps of a comparison count, and which of them is multiplied by the ratio of the medians, if one is.
_ALIGNMENTS = (("metres", "metres", "none"), ("up to scale", "metres", "first"), ("metres", "up to scale", "second"))


def _differences() -> list[dict[str, Any]]:
    """Two depth maps of parts of one image: the second's depth at the first's pixels by ``np.interp`` along rows and columns, and
    (second - first) / first there.

    The parts are such that no pixel's centre lies on the border of the other part.
    """
    random = np.random.default_rng(8)
    whole, part, other = [0, 0, 96, 72], [7.3, 5.9, 61.7, 50.2], [20.1, 0, 75.9, 64.4]
    cases = []
    for units in (*_ALIGNMENTS, ("up to scale", "up to scale", "second")):
        for (size, region), (other_size, other_region) in (
            (((6, 8), whole), ((6, 8), whole)),
            (((6, 8), whole), ((9, 13), part)),
            (((12, 10), part), ((5, 7), other)),
        ):
            first, second = (random.uniform(0.5, 6, size=shape).astype(np.float32) for shape in (size, other_size))
            first[2, 1:5] = np.nan, 0, -1, np.inf
            second[3, 3] = np.nan
            maps = [_map(first) | {"region": region, "unit": units[0]}, _map(second) | {"region": other_region, "unit": units[1]}]
            cases.append({"maps": maps, "aligned": units[2]} | _difference(first, region, second, other_region, units[2]))
    return cases


def _difference(
    first: NDArray[np.float32], region: list[float], second: NDArray[np.float32], other_region: list[float], multiplied: str
) -> dict[str, Any]:
    seen = np.where(np.isfinite(second) & (second > 0), second.astype(np.float64), 0)
    here = _looked_up(seen, other_region, first.shape, region)
    unknown = _looked_up((seen == 0).astype(np.float64), other_region, first.shape, region)
    counted = np.isfinite(first) & (first > 0) & (unknown == 0)
    own, other = first[counted].astype(np.float64), here[counted]
    ratio = np.median(own) / np.median(other)
    factors = {"none": (1.0, 1.0), "first": (1 / ratio, 1.0), "second": (1.0, ratio)}[multiplied]
    relative = np.full(first.shape, np.nan, np.float32)
    relative[counted] = other * factors[1] / (own * factors[0]) - 1
    rows, columns = (np.flatnonzero((~np.isnan(unknown)).any(axis=axis)) for axis in (1, 0))
    return {
        "relative": _map(relative[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]),
        "median": float(np.median(np.abs(relative[counted]))),
        "pixels": int(counted.sum()),
        "factors": [float(factor) for factor in factors],
    }


def _looked_up(values: NDArray[np.float64], region: list[float], shape: tuple[int, ...], other_region: list[float]) -> NDArray[np.float64]:
    """A map's values at the centres of the pixels of another map of the same image, level beyond the outermost centres; NaN outside."""
    axes = []
    for axis in (0, 1):
        start, length = other_region[1 - axis], other_region[3 - axis]
        centres = start + (np.arange(shape[axis]) + 0.5) * length / shape[axis]
        own_start, own_length = region[1 - axis], region[3 - axis]
        places = own_start + (np.arange(values.shape[axis]) + 0.5) * own_length / values.shape[axis]
        axes.append((centres, places, (centres >= own_start) & (centres < own_start + own_length)))
    (rows, own_rows, inside), (columns, own_columns, within) = axes
    down = np.stack([np.interp(rows, own_rows, column) for column in values.T], axis=1)
    both = np.stack([np.interp(columns, own_columns, row) for row in down])
    return np.where(inside[:, None] & within, both, np.nan)


def _map(depth: NDArray[np.float32]) -> dict[str, Any]:
    return {"width": depth.shape[1], "height": depth.shape[0], "floats": b64encode(depth.astype("<f4").tobytes()).decode()}


def _clip() -> dict[str, bytes]:
    """A sensor's depth in metres, and the file of millimetres that a recorded clip has of it."""
    depth = np.random.default_rng(6).uniform(0.2, 5, size=(24, 40)).astype("<f4")
    # Each in turn: no depth, what 16 bits of millimetres cannot hold, and the last that they can.
    depth[1, 5:13] = np.nan, np.inf, -np.inf, 0.0, -1.0, 65.535, 0.0004, 65.534
    millimetres = (np.float32(1000) * depth).astype(float)
    with np.errstate(invalid="ignore"):
        pixels = np.where((millimetres >= 0.5) & (millimetres < 65_534.5), np.floor(millimetres + 0.5), 0).astype(">u2")
    return {"clip_sensor.bin": depth.tobytes(), "clip_depth.png": _grey_png(pixels)}


def _grey_png(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits whose rows lie in one block that is not compressed: the same bytes with every version of zlib."""
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    stream = b"\x78\x01" + struct.pack("<BHH", 1, len(rows), len(rows) ^ 0xFFFF) + rows + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", stream), (b"IEND", b""))
    parts = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _result(name: str, units: str, count: int) -> dict[str, Any]:
    samples = np.random.default_rng(count).lognormal(2.5, 0.2, size=count).round(4).tolist()
    subject = {"model": name, "backend": "example", "device": "made-up figures", "compute_units": units}
    return {**subject, "samples_ms": samples, **statistics(samples), "load_ms": 211.5, "peak_memory_bytes": 187_400_192}


def _device_report() -> dict[str, Any]:
    """All that the app writes. The figures are random numbers."""
    report = _first_report()
    cast = {"operator": "ios17.cast", "unit": "cpu"}
    operators = [{"operator": "ios17.conv", "output": "x_1", "unit": "neuralEngine", "cost": 0.25}, cast]
    isolated = {"spans": "prediction", "preprocess_ms": 0.75, "load_kind": "cold", "reload_ms": 31.5, "operators": operators}
    for result in report["results"]:
        start = result["started_s"] + result["load_ms"] / 1000
        result["sample_times_s"] = (start + np.cumsum(result["samples_ms"]) / 1000).round(6).tolist()
        result |= isolated if result["mode"] == "isolated" else {}
    power = [
        {"t_s": 0.0, "low_power_mode": True, "battery_state": "unplugged", "battery_level": 0.8},
        {"t_s": 60.5, "low_power_mode": True, "battery_state": "unknown"},
    ]
    plan = {"warm_up": 10, "runs": 12, "rounds": 3, "cool_down_s": 5.0, "soak_s": 600.0}
    return report | {"schema_version": 2, "plan": plan, "power": power}


def _first_report() -> dict[str, Any]:
    """What the app wrote in version 1 of the schema."""
    recipe = {"name": "fcrn-fp16", "precision": "fp16", "input_size": None, "budget": {"fidelity": "0.01"}, "options": {"bits": 4}}
    more = {"mode": "isolated", "checkpoint_sha256": "0123456789abcdef" * 4, "recipe": recipe}
    live = {**_result("fcrn-fp16", "cpuAndNeuralEngine", 9), **more, "mode": "live", "started_s": 42.125}
    return {
        "schema_version": 1,
        "created": "2026-01-02T03:04:05Z",
        "machine": {"processor": "made-up", "cores": 6, "system": "example 17.4", "versions": {"DepthDemo": "0.1.0"}},
        "results": [{**_result("fcrn-fp16", units, 12), **more, "started_s": 0.5} for units in ("all", "cpuOnly")] + [live],
        "thermal": [{"t_s": 0.0, "state": "nominal"}, {"t_s": 31.25, "state": "fair"}, {"t_s": 60.5, "state": "fair"}],
    }


def _host_report() -> dict[str, Any]:
    """What ``fcrn-mobile bench --json`` writes. The figures are random numbers."""
    versions = {"fcrn-mobile": "0.1.0", "torch": "2.13.0", "python": "3.11.2"}
    machine = {"processor": "made-up", "cores": 2, "threads": 2, "load_1min": 0.25, "system": "example", "versions": versions}
    return {"schema_version": 2, "machine": machine, "results": [_result("builtin", "cpuOnly", 5)]}


def _host_frames() -> list[HostFrame]:
    """Two pictures of 8×6 pixels, and outputs of 4×3 that are no package's."""
    random, frames = np.random.default_rng(5), []
    for name in ("first", "second"):
        output = random.uniform(0.5, 9, (3, 4)).astype(np.float32)
        outputs = {"float32": output, "float16": output.astype(np.float16).astype(np.float32)}
        frames.append(HostFrame(name, random.integers(0, 256, (6, 8, 3), np.uint8), outputs))
    return frames


def _host_outputs() -> dict[str, Any]:
    """What ``ios-install`` puts beside a package."""
    written = Metadata.from_dict(_contract()["metadata"])
    return HostOutputs("example", _host_frames(), "sample", "metres", 0.01, written).to_json("ab" * 32, "cd" * 32) | {
        "versions": {"fcrn-mobile": "0.1.0"}
    }


def _fidelities() -> list[dict[str, Any]]:
    """Outputs of 5×3, how far they are apart; null for what is no finite number."""
    random = np.random.default_rng(6)
    reference = random.uniform(0.5, 9, (3, 5)).astype(np.float32)
    noisy = (reference * random.normal(1, 0.02, (3, 5))).astype(np.float32)
    shallow = reference.copy()
    shallow[0] = 0, 5e-4, -1, 1e-3, 2e-3
    unknown, endless = reference.copy(), reference.copy()
    unknown[1, 2], endless[2, 4] = np.nan, np.inf
    pairs = [(reference, reference), (reference * np.float32(1.01), reference), (noisy, reference), (shallow, reference)]
    pairs += [(reference, shallow), (unknown, reference), (endless, reference), (np.zeros_like(reference),) * 2]
    return [{"candidate": _floats(one), "reference": _floats(other), **_fidelity(one, other)} for one, other in pairs]


def _fidelity(candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> dict[str, float | None]:
    values = Fidelity().update(candidate, reference)
    figures = {"abs_rel": values.abs_rel, "psnr_db": values.psnr_db, "max_abs": values.max_abs}
    return {key: value if math.isfinite(value) else None for key, value in figures.items()}


def _fidelity_report() -> dict[str, Any]:
    """What the app writes where one choice of compute units gives the host's outputs, and another is off by 0.1 % and 1.9 %."""
    host, results = _host_outputs(), []
    for units, factors in (("cpuOnly", (1, 1)), ("cpuAndNeuralEngine", (1.001, 1.019))):
        for arithmetic in ("float32", "float16"):
            meter, frames = Fidelity(), []
            for frame, factor in zip(_host_frames(), factors, strict=True):
                outputs = frame.outputs["float32"] * np.float32(factor), frame.outputs[arithmetic]
                meter.update(*outputs)
                frames.append({"name": frame.name} | _known(_fidelity(*outputs)))
            differing = [frame["name"] for frame in frames if not frame["abs_rel"] <= host["tolerance_abs_rel"]]
            mean = meter.compute()
            figures = _known({"abs_rel": mean.abs_rel, "psnr_db": mean.psnr_db, "max_abs": mean.max_abs})
            first = {"first_difference": differing[0]} if differing else {}
            results.append({"compute_units": units, "backend": "coreml", "host": arithmetic, **figures, **first, "frames": frames})
    shared = ("exported_sha256", "package_sha256", "hosts", "data", "unit", "tolerance_abs_rel")
    return {
        "schema_version": 1,
        "kind": "fidelity",
        "created": "2026-01-02T03:04:05Z",
        "machine": {"processor": "made-up", "cores": 6, "system": "example 17.4", "versions": {"DepthDemo": "0.1.0"}},
        "model": "example",
        **{key: host[key] for key in shared},
        "results": results,
    }


def _known(figures: dict[str, float | None]) -> dict[str, Any]:
    """Those that are finite numbers."""
    return {key: value for key, value in figures.items() if value is not None and math.isfinite(value)}


def _floats(values: NDArray[np.float32]) -> str:
    return b64encode(values.astype("<f4").tobytes()).decode()


def _contract() -> dict[str, Any]:
    """Metadata as ``export`` writes them, and the sizes that go with them."""
    checkpoint = Checkpoint(
        name="example",
        network=FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96))),
        training=TrainingRecord(data="folder:rooms#train", camera={"data": "rooms", "focal_px": 577.5, "width_px": 640}),
        sha256="fedcba9876543210" * 4,
    )
    recipe = Recipe(name="fcrn-int8", precision="int8", input_size=(64, 96), budget={"fidelity": "0.05"})
    metadata = provenance(checkpoint, recipe, coreml=True) | Metadata(**DepthContract(framing="crop").to_metadata()).to_dict()
    settings = json.loads(metadata["fcrn_mobile.recipe"])
    # Neither a release nor a new setting that the app doesn't read changes what it is tested with.
    metadata |= {
        "fcrn_mobile.version": "0.1.0",
        "fcrn_mobile.recipe": json.dumps({key: settings[key] for key in RECIPE_KEYS} | {"of_a_later_version": [1.5, True]}),
    }
    return {"metadata": metadata, "input": [96, 64], "depth": [48, 32]}


def _specification() -> dict[str, bytes]:
    """A model without layers as coremltools writes it, for iOS 16 by its version and for iOS 18 by its recipe."""
    with quiet_coremltools():
        from coremltools.proto import Model_pb2
    recipe = json.dumps({"name": "example", "compute_units": "cpuAndGPU", "target": "iOS18"})
    user_defined = {"fcrn_mobile.recipe": recipe, "fcrn_mobile.output_units": "metres", "of_a_later_version": "ä"}
    model = Model_pb2.Model(specificationVersion=7)
    model.description.metadata.author = "made up"
    model.description.metadata.userDefined.update(user_defined)
    return {
        "specification.mlmodel": model.SerializeToString(deterministic=True),
        "specification.json": _json({"specificationVersion": 7, "userDefined": user_defined}),
    }


def _violations() -> list[dict[str, Any]]:
    """Models that fit or break the contract, and the first thing that is said of each; null where it fits.

    What is wrong inside a recipe is found by two parsers of JSON, and said in their words: there, only the beginning is stored.
    """
    fitting = _contract()["metadata"]
    picture, depth = Port("image", "colour", (64, 96)), Port("depth", "half", (32, 48))
    numbers, label = Port("x", "array", (1, 3, 64, 96)), Port("label", "other")
    ports: list[tuple[list[Port], list[Port]]] = [
        ([picture], [depth]),
        ([], [depth]),
        ([picture, numbers], [depth]),
        ([numbers], [depth]),
        ([label], [depth]),
        ([Port("image", "colour", (64, 80))], [depth]),
        ([picture], []),
        ([picture], [depth, numbers]),
        ([picture], [label]),
        ([picture], [picture]),
        ([picture], [Port("depth", "array", (1, 1, 32, 48))]),
        *(([picture], [Port("depth", "array", shape)]) for shape in ((), (48,), (1, 2, 32, 48), (1, 1, 0, 48))),
    ]
    changes: list[dict[str, str]] = [
        *({key: ""} for key in fitting),
        {"fcrn_mobile.output_units": UP_TO_SCALE},
        {"fcrn_mobile.output_units": "feet"},
        *({"fcrn_mobile.contract": text} for text in ("{}", '{"framing": null}', "[]", "{", '{"framing": "fill"}', '{"framing": 1}')),
        *({"fcrn_mobile.camera": text} for text in ("{}", "7", '{"focal_px": "long"}')),
        {"fcrn_mobile.checkpoint_sha256": "abc"},
        {"fcrn_mobile.checkpoint_sha256": "f" * 63 + "G"},
        *({"fcrn_mobile.recipe": text} for text in ("[]", "{", "null", "7")),
        *({"fcrn_mobile.recipe": _recipe_with(fitting, key, value)} for key, value in _RECIPE_CHANGES),
    ]
    cases = [(inputs, outputs, fitting) for inputs, outputs in ports] + [([picture], [depth], fitting | change) for change in changes]
    cases += [([picture], [depth], foreign) for foreign in ({}, {"fcrn_mobile.output_units": UP_TO_SCALE})]
    return [
        {
            "inputs": [_port(port) for port in inputs],
            "outputs": [_port(port) for port in outputs],
            "metadata": metadata,
            "violation": _beginning(next(iter(violations(inputs, outputs, metadata)), None)),
        }
        for inputs, outputs, metadata in cases
    ]


#: Setting of the recipe → another value; None takes it away.
_RECIPE_CHANGES: list[tuple[str, Any]] = [
    ("input_size", None),
    ("input_size", [64, 80]),
    ("input_size", [64]),
    ("input_size", "big"),
    ("precision", None),
    ("compute_units", "gpu"),
    ("output", "array"),
    ("output", "video"),
    ("budget", None),
    ("budget", {"fidelity": 0.05}),
]


def _recipe_with(metadata: dict[str, str], key: str, value: Any) -> str:
    settings = json.loads(metadata["fcrn_mobile.recipe"]) | {key: value}
    return json.dumps({name: setting for name, setting in settings.items() if setting is not None})


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "kind": port.kind, "shape": list(port.shape)}


def _beginning(line: str | None) -> str | None:
    return "its recipe cannot be read (" if line and line.startswith("its recipe cannot be read (") else line


def main() -> None:
    for path, content in fixtures().items():
        (IOS_DEMO / path).parent.mkdir(parents=True, exist_ok=True)
        (IOS_DEMO / path).write_bytes(content)
        print(f"{path}: {len(content)} bytes")


if __name__ == "__main__":
    main()
