"""The FCRN that iro-cp released for TensorFlow, written from its description in channels-last float64: its file and its forward pass."""

import pickle
import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Layers = dict[str, dict[str, np.ndarray]]

STAGES = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}
SMALL = (16, 12, 8, 6, 4)


def random_layers(widths: tuple[int, ...] = SMALL, seed: int = 0, dtype: str = "<f4") -> Layers:
    """Every layer of the release under its name; the encoder in its true size, the decoder in the given widths."""
    rng = np.random.default_rng(seed)
    layers: Layers = {}

    def conv(name: str, rows: int, columns: int, i: int, o: int, biased: bool = False) -> None:
        kernel = rng.normal(0, (rows * columns * i) ** -0.5, (rows, columns, i, o))
        layers[name] = {"weights": kernel.astype(dtype)} | ({"biases": rng.normal(0, 0.3, o).astype(dtype)} if biased else {})

    def bn(name: str, o: int) -> None:
        layers[name] = {
            "scale": rng.uniform(0.5, 1, o).astype(dtype),
            "offset": rng.normal(0, 0.3, o).astype(dtype),
            "mean": rng.normal(0, 0.3, o).astype(dtype),
            "variance": rng.uniform(0.02, 1, o).astype(dtype),
        }

    conv("conv1", 7, 7, 3, 64, biased=True)
    layers["conv1"]["weights"] /= 100  # pixels are large
    bn("bn_conv1", 64)
    i = 64
    for stage, letters in STAGES.items():
        width = 16 * 2**stage
        for letter in letters:
            if letter == "a":
                conv(f"res{stage}a_branch1", 1, 1, i, 4 * width)
                bn(f"bn{stage}a_branch1", 4 * width)
            for part, k, a, b in (("a", 1, i, width), ("b", 3, width, width), ("c", 1, width, 4 * width)):
                conv(f"res{stage}{letter}_branch2{part}", k, k, a, b)
                bn(f"bn{stage}{letter}_branch2{part}", b)
            i = 4 * width
    conv("layer1", 1, 1, 2048, widths[0], biased=True)
    bn("layer1_BN", widths[0])
    for scale, a, b in zip((2, 4, 8, 16), widths[:-1], widths[1:], strict=True):
        for branch in ("br1", "br2"):
            for letter, rows, columns in (("A", 3, 3), ("B", 2, 3), ("C", 3, 2), ("D", 2, 2)):
                conv(f"layer{scale}x_{branch}_Conv{letter}", rows, columns, a, b, biased=True)
            bn(f"layer{scale}x_{branch}_BN", b)
        conv(f"layer{scale}x_Conv", 3, 3, b, b, biased=True)
        bn(f"layer{scale}x_BN", b)
    conv("ConvPred", 3, 3, widths[-1], 1, biased=True)
    return layers


def depth(layers: Layers, pixels: Tensor, settle: bool = False) -> Tensor:
    """Forward pass: N×H×W×3 pixels in 0..255, float64 → N×h×w×1 metres. ``settle`` first takes each batch norm's statistics from them."""

    def conv(x: Tensor, name: str, stride: int = 1, pads: tuple[int, int, int, int] | None = None) -> Tensor:
        kernel = torch.from_numpy(layers[name]["weights"].astype(np.float64))
        rows, columns = kernel.shape[:2]
        top, bottom, left, right = pads or ((rows - 1) // 2, (rows - 1) // 2, (columns - 1) // 2, (columns - 1) // 2)
        x = F.pad(x, (0, 0, left, right, top, bottom))
        y = F.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), stride=stride).permute(0, 2, 3, 1)
        return y + torch.from_numpy(layers[name]["biases"].astype(np.float64)) if "biases" in layers[name] else y

    def bn(x: Tensor, name: str) -> Tensor:
        if settle:
            mean_of, variance_of = x.mean((0, 1, 2)), x.var((0, 1, 2))
            layers[name] |= {"mean": mean_of.numpy().astype(np.float32), "variance": variance_of.numpy().astype(np.float32)}
        scale, offset, mean, variance = (
            torch.from_numpy(layers[name][key].astype(np.float64)) for key in ("scale", "offset", "mean", "variance")
        )
        return (x - mean) / torch.sqrt(variance + 1e-4) * scale + offset

    def interleaved(x: Tensor, name: str) -> Tensor:
        n, h, w, _ = x.shape
        a = conv(x, f"{name}_ConvA", pads=(1, 1, 1, 1))
        out = x.new_zeros(n, 2 * h, 2 * w, a.shape[3])
        out[:, 0::2, 0::2] = a
        out[:, 1::2, 0::2] = conv(x, f"{name}_ConvB", pads=(1, 0, 1, 1))
        out[:, 0::2, 1::2] = conv(x, f"{name}_ConvC", pads=(1, 1, 1, 0))
        out[:, 1::2, 1::2] = conv(x, f"{name}_ConvD", pads=(1, 0, 1, 0))
        return bn(out, f"{name}_BN")

    x = max_pool(F.relu(bn(conv(pixels, "conv1", 2), "bn_conv1")))
    for stage, letters in STAGES.items():
        for letter in letters:
            stride = 2 if letter == "a" and stage > 2 else 1
            name = f"{stage}{letter}_branch"
            shortcut = bn(conv(x, f"res{name}1", stride), f"bn{name}1") if letter == "a" else x
            y = F.relu(bn(conv(x, f"res{name}2a", stride), f"bn{name}2a"))
            y = F.relu(bn(conv(y, f"res{name}2b"), f"bn{name}2b"))
            x = F.relu(shortcut + bn(conv(y, f"res{name}2c"), f"bn{name}2c"))
    x = bn(conv(x, "layer1"), "layer1_BN")
    for scale in (2, 4, 8, 16):
        upper = F.relu(interleaved(x, f"layer{scale}x_br1"))
        upper = bn(conv(upper, f"layer{scale}x_Conv"), f"layer{scale}x_BN")
        x = F.relu(upper + interleaved(x, f"layer{scale}x_br2"))
    return F.relu(conv(x, "ConvPred"))


def max_pool(x: Tensor) -> Tensor:
    """3×3 of stride 2, SAME: of the padding that ⌈size/2⌉ windows need, the smaller half stands before."""
    for axis in (1, 2):
        size = x.shape[axis]
        count = (size + 1) // 2
        total = (count - 1) * 2 + 3 - size
        edge = torch.full_like(x.narrow(axis, 0, 1), -torch.inf)
        x = torch.cat([edge] * (total // 2) + [x] + [edge] * (total - total // 2), dim=axis)
        x = x.unfold(axis, 3, 2).amax(-1)
    return x


def save_as_python_2(layers: Layers, path: Path) -> None:
    """The .npy as NumPy wrote it under Python 2: protocol 2, names and raw numbers as byte strings."""

    def text(value: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(value)) + value

    def array(dtype: bytes, shape: tuple[int, ...], data: bytes) -> bytes:
        made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR"
        kind = (
            b"cnumpy\ndtype\n(" + text(dtype) + b"K\x00K\x01tR(K\x03" + text(b"|" if dtype[:1] == b"O" else b"<") + b"NNNJ\xff\xff\xff\xff"
        )
        kind += b"J\xff\xff\xff\xffK" + (b"\x3f" if dtype[:1] == b"O" else b"\x00") + b"tb"
        size = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in shape) + b"t"
        return made + b"(K\x01" + size + kind + b"\x89" + data + b"tb"

    def mapping(items: list[tuple[str, bytes]]) -> bytes:
        return b"}(" + b"".join(text(name.encode()) + value for name, value in items) + b"u"

    inner = mapping(
        [
            (name, mapping([(key, array(b"f4", value.shape, text(value.astype("<f4").tobytes()))) for key, value in layer.items()]))
            for name, layer in layers.items()
        ]
    )
    header = b"{'descr': 'O', 'fortran_order': False, 'shape': (), }"
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    program = b"\x80\x02" + array(b"O8", (), b"]" + inner + b"a") + b"."
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + program)


def save_pickle(program: bytes | object, path: Path) -> None:
    """A .npy of an object array whose pickle is the given program, or is made of the given object."""
    np.save(path, np.array(None, dtype=object), allow_pickle=True)
    whole = path.read_bytes()
    header = whole[: 10 + struct.unpack("<H", whole[8:10])[0]]
    path.write_bytes(header + (program if isinstance(program, bytes) else pickle.dumps(program)))
