"""What an artefact says of itself: one record for all of its keys, written by an export and read by everything that opens a model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcrn_mobile.depth_contract import UNITS, DepthContract, config_beside, read_contract
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.network.float_network import FloatNetwork

__all__ = ["COMPUTE_UNITS", "NO_CONFIGS", "Metadata", "ModelConfigs", "key", "model_contract"]

_PREFIX = "fcrn_mobile."
#: Compute units as a recipe and reports name them → as coremltools does.
COMPUTE_UNITS = {"all": "ALL", "cpuAndNeuralEngine": "CPU_AND_NE", "cpuAndGPU": "CPU_AND_GPU", "cpuOnly": "CPU_ONLY"}


@dataclass(frozen=True)
class Metadata:
    """An artefact's user-defined metadata under ``fcrn_mobile.*``; None where it does not say.

    Attributes:
        version: of the tool that wrote it.
        recipe: the settings that it was made with, as JSON; see ``settings``.
        network: preset.
        checkpoint_sha256: hash of the checkpoint's file.
        training_data: what the network learned from, as a data spec.
        camera: that its metres hold for, as JSON of a ``TrainingCamera``; None where it isn't known, in artefacts of earlier versions also
            where ``training_data`` tells.
        output_units: one of ``depth_contract.UNITS``.
        input_values: how to fill the input, where its type leaves that open.
        contract: what else the contract of a depth model says, as JSON; see ``depth_contract``.
        calibration: the images that it was measured on, as JSON; see ``conversion/calibration.py``.
        source_sha256: of the float package that it was compressed from, see ``reading.package_hash``.
        graph: by what the graph of a network from outside was taken, see ``conversion/capture.py``.
    """

    version: str | None = None
    recipe: str | None = None
    network: str | None = None
    checkpoint_sha256: str | None = None
    training_data: str | None = None
    camera: str | None = None
    output_units: str | None = None
    input_values: str | None = None
    contract: str | None = None
    calibration: str | None = None
    source_sha256: str | None = None
    graph: str | None = None

    @classmethod
    def of(cls, network: "FloatNetwork", version: str) -> "Metadata":
        """What a float network tells of itself, in words of a version of the tool; how its input is filled, each artefact says itself."""
        training, contract = network.training, network.contract
        focal, width = contract.camera or (None, None)
        facts = DepthContract(contract.depth, framing=contract.framing, focal_length=focal, focal_width=width).to_metadata()
        if training.camera:
            facts["camera"] = json.dumps(training.camera)
        elif training.data:
            from fcrn_mobile.data.spec import training_camera

            facts.pop("camera", None)
            if contract.is_metric and (camera := training_camera(training.data)).relative_focal:
                facts["camera"] = json.dumps(asdict(camera))
        return cls(version=version, checkpoint_sha256=network.sha256, training_data=training.data or "unknown", **facts)

    @classmethod
    def from_dict(cls, written: Mapping[str, str]) -> "Metadata":
        """Of all metadata of an artefact, whoever wrote it."""
        return cls(**{name: written.get(_PREFIX + name) for name in cls.__dataclass_fields__})

    def to_dict(self) -> dict[str, str]:
        """Key → value, as an artefact holds them."""
        return {key(name): value for name, value in asdict(self).items() if value is not None}

    @property
    def is_metric(self) -> bool:
        """Whether depth is in metres, not up to a scale that nobody knows; an artefact that does not say is in metres."""
        return self.output_units not in (UNITS["scale"], UNITS["inverse"])

    def depth_contract(self) -> DepthContract | None:
        """What it says of the picture that the model takes and of its depth; None for nothing.

        Exports that say other things alone are in metres, but not what was compressed of another maker's.

        Raises:
            InputError: what it says is not readable, or not allowed.
        """
        contract = DepthContract.from_metadata(asdict(self))
        if contract is None:
            if self == Metadata() or self.source_sha256:
                return None
            contract = DepthContract()
        if not contract.is_metric or contract.camera or self.camera is not None or not self.training_data:
            return contract
        from fcrn_mobile.data.spec import training_camera

        camera = training_camera(self.training_data)  # as versions before the record of cameras say it
        return replace(contract, focal_length=camera.focal_px, focal_width=camera.width_px) if camera.relative_focal else contract

    def settings(self) -> dict[str, Any]:
        """The recipe's settings; empty where there is none.

        Raises:
            ValueError: it is not JSON.
            TypeError: it is JSON of something else.
        """
        settings = {} if self.recipe is None else json.loads(self.recipe)
        if not isinstance(settings, dict):
            raise TypeError("it is not JSON of an export")
        return settings


@dataclass(frozen=True)
class ModelConfigs:
    """The model configs that a user names.

    Attributes:
        files: by model, of those that have one.
    """

    files: Mapping[Path, Path] = field(default_factory=dict)

    def of(self, model: str | Path) -> Path | None:
        """A model's, however its path is written; None for none."""
        return self.files.get(Path(model))


NO_CONFIGS = ModelConfigs()


def key(name: str) -> str:
    """The key of a field."""
    return _PREFIX + name


def model_contract(model: Path | None, written: Mapping[str, str], config: Path | None = None) -> DepthContract | None:
    """The contract of a depth model.

    Args:
        model: its file, beside which a model config may lie; None for none.
        written: all metadata of it, whoever wrote them.
        config: a model config that the user names, which counts before what the metadata say.

    Returns:
        None where nobody says anything.

    Raises:
        InputError: what is said is not readable, or not allowed.
    """
    try:
        own = Metadata.from_dict(written).depth_contract()
    except InputError as error:
        raise InputError(f"metadata of '{model or 'the model'}': {error}") from error
    file = config or (config_beside(model) if model and own is None else None)
    return read_contract(file, own) if file else own
