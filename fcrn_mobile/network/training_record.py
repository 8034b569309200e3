"""What a checkpoint says of its training, read without torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from fcrn_mobile.depth_contract import UNITS

__all__ = ["METRES", "UP_TO_SCALE", "TrainingRecord"]

#: Units of depth: of a network whose scale is known, and of one that learned from a video, where it can't be.
METRES, UP_TO_SCALE = UNITS["metres"], UNITS["scale"]


@dataclass(frozen=True)
class TrainingRecord:
    """What a network was trained on and how, or where it was imported from. A field at its default is not in the record.

    Attributes:
        data, val_data: data specs.
        frames, val_frames: how many they held.
        camera: that its metres hold for, as ``data.cameras.TrainingCamera`` has it; None where it is not known, or in older records.
        transforms: augmentations, in words.
        depth: ``METRES`` or ``UP_TO_SCALE``.
        encoder_weights: what the encoder started from.
        start: checkpoint that training started from; None for none.
        hyperparameters: by name.
        teachers: checkpoints that it learned from, each its name and SHA-256.
        extended_at: numbers of epochs at which the run was set to more.
        monitor: what the run validated itself by; None where it had not been decided.
        processes: in which it was trained.
        command: as typed.
        versions: of the tool and of torch.
        epoch, step: that the checkpoint is of.
        terms: under which the data may be used, a line each.
        imported_from: format of a foreign file.
        file, sha256: name and hash of that file.
        place: of the weights in it.
        others: what other versions and makers say, by key.
    """

    data: str = ""
    frames: int | None = None
    val_data: str = ""
    val_frames: int | None = None
    camera: dict[str, Any] | None = None
    transforms: list[str] | None = None
    depth: str = ""
    encoder_weights: str = ""
    start: str | None = ""
    hyperparameters: dict[str, Any] | None = None
    teachers: list[str] | None = None
    extended_at: list[int] | None = None
    monitor: dict[str, Any] | None = field(default_factory=dict)
    processes: int | None = None
    command: str | None = None
    versions: dict[str, str] | None = None
    epoch: int | None = None
    step: int | None = None
    terms: list[str] | None = None
    imported_from: str = ""
    file: str = ""
    sha256: str = ""
    place: str = ""
    others: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingRecord":
        """What ``to_json`` or another version wrote."""
        names = {item.name for item in fields(cls)} - {"others"}
        others = {key: value for key, value in values.items() if key not in names}
        return cls(**{key: value for key, value in values.items() if key in names}, others=others)

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint's metadata hold it."""
        values, empty = asdict(self), asdict(TrainingRecord())
        others = values.pop("others")
        return {key: value for key, value in values.items() if value != empty[key]} | others

    @property
    def units(self) -> str:
        """``METRES`` or ``UP_TO_SCALE``; a record that does not say is in metres."""
        return self.depth or METRES
