"""What a package makes of a few pictures on this machine: put beside it in the app, so that a phone's outputs can be held against it.

One file, ``NAME.fidelity.json`` beside ``NAME.mlpackage``, since Xcode lays what is in folders below ``Models`` flat, where two models'
files would meet. Pictures are RGB bytes of the model's own size, row by row: brought there by the framing that the app uses, they reach the
phone as they are. Outputs are float32 values, little-endian, row by row. Both are in base64.

The pictures are of the built-in sample, so many that they and their outputs stay below ``LIMIT``, spread evenly over it.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fcrn_mobile
from fcrn_mobile.conversion.artefact import recipe_of
from fcrn_mobile.data.framing import Frame
from fcrn_mobile.data.source import evenly
from fcrn_mobile.data.spec import open_images
from fcrn_mobile.depth_contract import UNITS, Framing
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import FIDELITY, parse_limit
from fcrn_mobile.json_text import json_text
from fcrn_mobile.mil.arithmetic import FLOAT16, FLOAT32
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.reading import package_hash
from fcrn_mobile.runtimes import Runtime, open_runtime
from fcrn_mobile.validation.fidelity import FORMULAS
from fcrn_mobile.whole_file import write_whole

__all__ = ["ARITHMETICS", "LIMIT", "SUFFIX", "HostFrame", "HostOutputs", "host_outputs", "host_outputs_beside"]

#: After a package's name.
SUFFIX = ".fidelity.json"
#: Of the MIL runtime, whose outputs are stored; the first is what a budget is held to: the package's own numbers, unrounded.
ARITHMETICS = (FLOAT32.name, FLOAT16.name)
#: Bytes of pictures and outputs, unless one picture alone has more.
LIMIT = 2**20
#: A frame whose abs_rel is above this differs, where the package names no budget on fidelity.
_TOLERANCE = 0.01
_MOST = 8


@dataclass(frozen=True, eq=False)
class HostFrame:
    """One picture.

    Attributes:
        name: in its source.
        picture: H×W×3 uint8 RGB, of the model's size.
        outputs: arithmetic → h×w float32, of the model's depth.
    """

    name: str
    picture: NDArray[np.uint8]
    outputs: Mapping[str, NDArray[np.float32]]

    def to_json(self) -> dict[str, str]:
        """As the app reads it."""
        outputs = {arithmetic: _encoded(output.astype("<f4")) for arithmetic, output in self.outputs.items()}
        return {"name": self.name, "rgb": _encoded(self.picture)} | outputs


@dataclass(frozen=True, eq=False)
class HostOutputs:
    """What lies beside a package in the app.

    Attributes:
        model: the package's name.
        frames: at least one, all of one size.
        data: spec of the source.
        units: of the depth.
        tolerance: abs_rel above which a frame differs.
        metadata: of the package.
    """

    model: str
    frames: Sequence[HostFrame]
    data: str
    units: str
    tolerance: float
    metadata: Metadata

    def to_json(self, exported_hash: str, installed_hash: str) -> dict[str, Any]:
        """As the app reads it.

        Args:
            exported_hash, installed_hash: of the package and of its copy in the app, whose metadata may say more (``package_hash``).
        """
        first, *_ = self.frames
        content = {
            "schema_version": 1,
            "model": self.model,
            "exported_sha256": exported_hash,
            "package_sha256": installed_hash,
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
            "hosts": {arithmetic: f"MIL runtime, simulated {arithmetic} arithmetic" for arithmetic in first.outputs},
            "data": self.data,
            "unit": self.units,
            "rule": FORMULAS["metres"],
            "tolerance_abs_rel": self.tolerance,
            "input_size": list(first.picture.shape[:2]),
            "output_size": list(next(iter(first.outputs.values())).shape),
            "frames": [frame.to_json() for frame in self.frames],
        }
        if self.metadata.checkpoint_sha256:
            content["checkpoint_sha256"] = self.metadata.checkpoint_sha256
        return content | ({"recipe": self.metadata.settings()} if self.metadata.recipe else {})

    def write(self, installed: Path, package: Path) -> Path:
        """Write it beside the installed copy of a package, in the place of an older one.

        Raises:
            InputError: the disk takes no more.
        """
        target = host_outputs_beside(installed)
        write_whole(target, json_text(self.to_json(package_hash(package), package_hash(installed))))
        return target


def host_outputs_beside(package: Path) -> Path:
    """Where they lie, of a package in the app's folder."""
    return package.with_name(package.stem + SUFFIX)


def host_outputs(package: Path, framing: Framing | None = None, model_config: Path | None = None, data: str = "sample") -> HostOutputs:
    """Run a package on some of a source's pictures, in each of ``ARITHMETICS``.

    Args:
        package: an .mlpackage that gives depth in metres or up to scale.
        framing: of pictures in the app; None: the model's own.
        model_config: as of ``open_runtime``.
        data: spec of the source.

    Raises:
        InputError: it cannot be run, or its recipe cannot be read.
    """
    runtimes: dict[str, Runtime] = {each: open_runtime(str(package), "mil", each, model_config=model_config) for each in ARITHMETICS}
    first, *_ = runtimes.values()
    source = open_images(data)
    opening = _frame(source[0].image, source[0].name, runtimes, framing)
    frames, room = [opening], opening.picture.nbytes + sum(output.nbytes for output in opening.outputs.values())
    for index in evenly(len(source), min(LIMIT // room, _MOST))[1:]:
        frames.append(_frame(source[index].image, source[index].name, runtimes, framing))
    if bad := next((frame.name for frame in frames if not all(np.isfinite(output).all() for output in frame.outputs.values())), None):
        raise InputError(f"'{package}' gives depth that is no finite number for '{bad}' of {data}: validate says where it overflows")
    budget = recipe_of(first.metadata, package).get("budget") or {}
    tolerance = parse_limit(f"{FIDELITY}={budget[FIDELITY]}").amount if FIDELITY in budget else _TOLERANCE
    units = UNITS[first.contract.depth]
    return HostOutputs(package.stem, frames, data, units, tolerance, Metadata.from_dict(first.metadata))


def _frame(image: NDArray[np.uint8], name: str, runtimes: Mapping[str, Runtime], framing: Framing | None) -> HostFrame:
    first = next(iter(runtimes.values()))
    picture = Frame((image.shape[0], image.shape[1]), first.input_size, framing or first.contract.framing).fill(image)
    return HostFrame(name, picture, {arithmetic: runtime.predict(picture) for arithmetic, runtime in runtimes.items()})


def _encoded(values: NDArray[Any]) -> str:
    return b64encode(np.ascontiguousarray(values).tobytes()).decode()
