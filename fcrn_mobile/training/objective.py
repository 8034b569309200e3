"""What an objective is: what a network learns from, with the settings that are its own."""

from abc import ABC, abstractmethod
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.canonical import resolved_camera
from fcrn_mobile.data.mixture import open_mixture
from fcrn_mobile.data.module import DataModule, depth_data
from fcrn_mobile.data.source import Source
from fcrn_mobile.data.spec import open_source
from fcrn_mobile.data.transforms import Augmentation, AugmentationSettings
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.training_record import METRES
from fcrn_mobile.runs.monitor import Monitor, monitor_of
from fcrn_mobile.training.loop import LoopSettings

if TYPE_CHECKING:
    from fcrn_mobile.training.module import DepthTraining

__all__ = ["Objective", "Plan"]


class Plan(Protocol):
    """What an objective has to know of a run (``run.Run``)."""

    @property
    def network(self) -> FCRNConfig: ...

    @property
    def hyper(self) -> LoopSettings: ...

    @property
    def data(self) -> str: ...

    @property
    def val_data(self) -> str | None: ...

    @property
    def specs(self) -> tuple[str, str]: ...

    @property
    def start(self) -> str | None: ...

    @property
    def one_camera(self) -> bool: ...


class Objective(ABC):
    """What a network learns from; a frozen dataclass, whose fields are its settings.

    What is not said otherwise here is that of training on frames with true depth. A new objective is a subclass in a module of its own
    that stands in ``hyperparameters.OBJECTIVES``, and its settings are options of ``cli/train``.

    Attributes:
        name: by which a run asks for it.
    """

    name: ClassVar[str]

    @abstractmethod
    def module(self, network: FCRN, hyper: LoopSettings, has_depth: bool) -> "DepthTraining":
        """What trains a network; ``has_depth`` tells whether validation frames come with true depth."""

    def flat(self) -> dict[str, Any]:
        """Its name and its settings, by their names in a run's record and with values that JSON knows."""
        settings = asdict(self)  # type: ignore[call-overload] # every subclass is a dataclass
        return {"objective": self.name} | {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}

    @property
    def teachers(self) -> tuple[str, ...]:
        """Checkpoints that are learned from."""
        return ()

    def portable(self) -> "Objective":
        """The same, for records that travel: what it names on this machine by portable names."""
        return self

    def data(self, run: Plan) -> DataModule[Any]:
        """What a run trains on and is validated with.

        Raises:
            InputError: unusable data.
        """
        hyper, (_, val) = run.hyper, run.specs
        size, augmentation = run.network.input_size, _augmentation(run)
        validation = open_source(val)
        return depth_data(self.training_source(run, validation), validation, size, augmentation, hyper.loading)

    def training_source(self, run: Plan, validation: Source) -> Source:
        """The frames that a run trains on.

        Raises:
            InputError: unusable data.
        """
        return open_mixture(run.specs[0], resolved_camera(validation) if run.one_camera else None)

    def transforms(self, run: Plan) -> list[str]:
        """What happens to training data at random, to be read by people."""
        return _augmentation(run).steps

    def network(self, config: FCRNConfig, data: DataModule[Any]) -> FCRNConfig:
        """A network's configuration with what the objective and its data settle."""
        return config

    def start(self, network: FCRN, data: DataModule[Any]) -> None:  # noqa: B027 - most have nothing to set
        """Set what a network behind a trained encoder predicts first."""

    def units(self, run: Plan) -> str:
        """The unit of the depth that a run's network learns."""
        return METRES

    def camera(self, run: Plan, data: DataModule[Any]) -> TrainingCamera:
        """What the metres of a run's network hold for."""
        return resolved_camera(data.frames.source)

    def monitor(self, has_depth: bool) -> Monitor:
        """What chooses the best checkpoint."""
        return monitor_of(quantized=False, has_depth=has_depth)


def _augmentation(run: Plan) -> Augmentation:
    hyper = run.hyper
    return Augmentation(run.network.input_size, **{item.name: getattr(hyper, item.name) for item in fields(AugmentationSettings)})
