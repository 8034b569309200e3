"""How a network is trained: frozen dataclasses in which a bad value is an error, and one table of their settings by name."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.runs.monitor import Monitor
from fcrn_mobile.training.distillation import FineTuning
from fcrn_mobile.training.loop import LoopSettings
from fcrn_mobile.training.objective import Objective
from fcrn_mobile.training.quantization import NONE
from fcrn_mobile.training.selfsupervised.stereo import Stereo
from fcrn_mobile.training.selfsupervised.video import Video
from fcrn_mobile.training.supervised import Supervised

__all__ = ["OBJECTIVES", "Hyperparameters", "setting_kinds"]

#: Objectives by the setting ``objective``; ``FineTuning`` is chosen by the setting ``quantization``.
OBJECTIVES: dict[str, type[Supervised | Video | Stereo]] = {kind.name: kind for kind in (Supervised, Video, Stereo)}


@dataclass(frozen=True)
class Hyperparameters(LoopSettings):
    """How a network is trained, and on what.

    Attributes:
        objective: what depth is learned from, and by which loss.

    Raises:
        InputError: a value that is not allowed.
    """

    objective: Objective = field(default_factory=Supervised)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Hyperparameters":
        """From settings by name, as ``flat`` gives them; what is missing takes its default.

        Raises:
            InputError: a value that is not allowed, or a setting that the objective has no use for.
            TypeError: an unknown setting.
        """
        others = {name: value for name, value in values.items() if name not in _OF_OBJECTIVES}
        return cls(**others, objective=_objective(values))

    def flat(self) -> dict[str, Any]:
        """All settings by name; those of other objectives have their defaults."""
        own = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "objective"}
        return own | _OF_OBJECTIVES | self.objective.flat()

    def monitor(self, has_depth: bool) -> Monitor:
        return self.objective.monitor(has_depth)


#: Settings of objectives → default.
_OF_OBJECTIVES = Video().flat() | Stereo().flat() | Supervised().flat() | {"quantization": NONE}


def setting_kinds() -> dict[str, Any]:
    """The settings by name → the kind of their values."""
    kinds = {name: kind for settings in (Hyperparameters, FineTuning, *OBJECTIVES.values()) for name, kind in _kinds(settings).items()}
    return kinds | {"objective": str}


def _kinds(settings: type) -> dict[str, Any]:
    hints = typing.get_type_hints(settings)
    return {item.name: hints[item.name] for item in fields(settings)}


def _objective(values: Mapping[str, Any]) -> Objective:
    """The objective that settings ask for; those of all others are looked at too."""
    name, quantization = values.get("objective", Supervised.name), values.get("quantization", NONE)
    require_known("objective", name, OBJECTIVES)
    # JSON and click know lists, a frozen dataclass has tuples.
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    objectives = {
        key: kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values}) for key, kind in OBJECTIVES.items()
    }
    supervised = objectives[Supervised.name]
    if name != Supervised.name and isinstance(supervised, Supervised):
        for setting in (*supervised.terms, *(["teacher"] if supervised.teacher else [])):
            raise InputError(f"{setting} needs true depth, and objective '{name}' has none: leave it out")
    return objectives[name] if quantization == NONE else FineTuning(quantization)
