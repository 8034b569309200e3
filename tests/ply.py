"""A reader of PLY that knows nothing of the writer."""

from pathlib import Path

import numpy as np


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """N×3 positions and N×3 colours, read by the header's own words (Turk's description of the format)."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    (count,) = (int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    kinds = {"float": "<f4", "uchar": "u1"}
    properties = [line.split()[1:] for line in lines if line.startswith("property")]
    record = np.dtype([(name, kinds[kind]) for kind, name in properties])
    assert len(body) == count * record.itemsize
    points = np.frombuffer(body, record)
    return np.stack([points[name] for name in "xyz"], axis=1), np.stack([points[name] for name in ("red", "green", "blue")], axis=1)
