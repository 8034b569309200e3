"""Checkpoints: one .safetensors with the weights and, in its metadata, all that rebuilds the network. Nothing is unpickled."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import fcrn_mobile
from fcrn_mobile.data.spec import recorded_camera
from fcrn_mobile.depth_contract import Depth, DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.foreign_keys import some
from fcrn_mobile.network.forms import BUILTIN, NetworkSpec
from fcrn_mobile.network.other_models import not_a_network
from fcrn_mobile.network.quantized import Quantization, unpack
from fcrn_mobile.network.training_record import METRES, TrainingRecord
from fcrn_mobile.network.unpooling import Form
from fcrn_mobile.whole_file import replaced_whole

__all__ = ["Checkpoint", "checkpoint_path", "load_checkpoint", "not_finite", "open_checkpoint", "save_checkpoint"]

_CONFIG_FIELDS = {item.name for item in fields(FCRNConfig)}
#: Fields that every version has written; the others have come since and have the older behaviour as their default.
_ALWAYS_WRITTEN = {item.name for item in fields(FCRNConfig) if item.default is MISSING}


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and where it comes from: a ``FloatNetwork``, see there.

    Attributes:
        name: ``builtin``, or the file's name without its suffix.
        network: float32, in evaluation mode; where ``quantization`` is given, rewritten for deployment and limited to it.
        training: what it was trained on and how.
        metrics: validation metrics at the time of saving; empty if never validated.
        tool_version: the version that wrote it.
        sha256: hash of the whole file.
        quantization: what it was trained to be stored as; None for a float network.
        path: of its file.
    """

    name: str
    network: FCRN
    training: TrainingRecord = field(default_factory=TrainingRecord)
    metrics: dict[str, Any] = field(default_factory=dict)
    tool_version: str = fcrn_mobile.__version__
    sha256: str = ""
    quantization: Quantization | None = None
    path: Path = Path()

    @property
    def kind(self) -> str:
        """The preset."""
        return self.network.config.preset

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels that it was trained for."""
        return self.network.config.input_size

    def deployed(self, form: Form = "four") -> FCRN:
        """A rewritten copy, see ``deploy``."""
        return deploy(self.network, form)

    @property
    def units(self) -> str:
        """``METRES`` or ``UP_TO_SCALE``, as ``training`` says."""
        return self.training.units

    @property
    def contract(self) -> DepthContract:
        """RGB in 0..1 of any size to depth, in metres for the camera of its training data, or up to scale."""
        depth: Depth = "metres" if self.units == METRES else "scale"
        camera = recorded_camera(self.training.camera, self.training.data)
        focal = (camera.focal_px, camera.width_px) if depth == "metres" and camera.relative_focal else (None, None)
        return DepthContract(depth, mean=(0, 0, 0), std=(1, 1, 1), focal_length=focal[0], focal_width=focal[1])


def save_checkpoint(
    network: FCRN,
    path: Path,
    training: TrainingRecord | None = None,
    metrics: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    quantization: Quantization | None = None,
) -> None:
    """Write a checkpoint; the file appears whole or not at all.

    Args:
        network: what to save; it is not changed.
        path: destination, replaced if it exists.
        training, metrics: JSON-serialisable, see ``Checkpoint``; None for nothing to say.
        dtype: storage of convolution kernels. Vectors (batch norms, biases) stay float32: they are small and sensitive.
        quantization: of a deployed network, whose weights are then stored as the integers or indices that it gives.

    Raises:
        InputError: a weight is not finite; nothing is written.
        OSError: the file cannot be written; it names the file.
    """
    tensors = {key: _stored(value, dtype) for key, value in network.state_dict().items()}
    metadata = {
        "config": json.dumps(asdict(network.config)),
        "training": json.dumps((training or TrainingRecord()).to_json()),
        "metrics": json.dumps(metrics or {}),
        "tool_version": fcrn_mobile.__version__,
    }
    if quantization is not None:
        tensors, metadata["quantization"] = quantization.packed(tensors)
    if names := not_finite(tensors):
        raise InputError(f"weights are not finite ({names}): '{path}' is not written; train with a lower --lr")
    try:
        with replaced_whole(path) as partial:
            partial.write_bytes(save(tensors, metadata))
    except OSError as error:
        # A full disk's own error names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def checkpoint_path(name: str) -> Path:
    """The file behind ``builtin`` or a path."""
    if name == BUILTIN:
        return Path(str(resources.files("fcrn_mobile") / "network" / "builtin.safetensors"))
    return Path(name)


def load_checkpoint(name: str) -> Checkpoint:
    """Rebuild the network of a checkpoint.

    Args:
        name: ``builtin`` or a .safetensors path.

    Raises:
        InputError: no such file, damaged, not a checkpoint of this project, or weights that do not fit its configuration or are not
            finite.
    """
    path = checkpoint_path(name)
    if what := not_a_network(name):
        raise InputError(f"{what}: give '{BUILTIN}' or a .safetensors file")
    if not path.is_file():
        raise InputError(f"no checkpoint at '{name}': give an existing .safetensors file or '{BUILTIN}'")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise InputError(f"'{name}' is not a readable .safetensors file ({error}): train or download it again") from error
    config, quantization = _config(name, metadata), None
    if names := not_finite(tensors):
        raise InputError(f"weights in '{name}' are not finite ({names}): train again with a lower --lr, or give a checkpoint from before")
    try:
        if "quantization" in metadata:
            network, quantization = unpack(config, tensors, metadata["quantization"])
        else:
            network = FCRN(config)
            network.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in tensors.items()})
    except (RuntimeError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = brief(error, 200)
        raise InputError(f"weights in '{name}' do not fit its own configuration ({reason}): train or download it again") from error
    return Checkpoint(
        name=BUILTIN if name == BUILTIN else path.stem,
        network=network.eval(),
        training=TrainingRecord.from_json(json.loads(metadata.get("training", "{}"))),
        metrics=json.loads(metadata.get("metrics", "{}")),
        tool_version=metadata.get("tool_version", "unknown"),
        sha256=sha256_of([path]),
        quantization=quantization,
        path=path,
    )


def open_checkpoint(spec: NetworkSpec) -> Checkpoint:
    """As ``load_checkpoint``, for the registry of forms."""
    return load_checkpoint(spec.model)


def not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The first names of tensors that hold NaN or infinity, and how many there are; empty if all are finite."""
    return some([name for name, value in tensors.items() if value.is_floating_point() and not torch.isfinite(value).all()])


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return (value.to(dtype) if value.is_floating_point() and value.dim() > 1 else value).contiguous()


def _config(name: str, metadata: dict[str, str]) -> FCRNConfig:
    if "config" not in metadata:
        raise InputError(f"'{name}' holds weights but not what network they belong to: give one written by 'fcrn-mobile train' or 'import'")
    values: dict[str, Any] = json.loads(metadata["config"])
    odd = ", ".join(sorted((set(values) - _CONFIG_FIELDS) | (_ALWAYS_WRITTEN - set(values))))
    if odd:
        raise InputError(f"'{name}' was written by version {metadata.get('tool_version')} and differs in {odd}: use that version")
    return FCRNConfig.from_json(values)
