"""All that a training run depends on, and how it is written down: as a TOML configuration, and as the run.json of its folder."""

import json
import shlex
import typing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fcrn_mobile.data.mixture import parse_mixture, training_and_validation
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.fcrn import FCRNConfig, preset
from fcrn_mobile.runs.monitor import Monitor
from fcrn_mobile.shipped import CONFIGURATIONS
from fcrn_mobile.toml_file import checked, known_keys
from fcrn_mobile.training.distillation import FineTuning
from fcrn_mobile.training.hyperparameters import Hyperparameters, setting_kinds
from fcrn_mobile.whole_file import replaced_whole

__all__ = [
    "PRESET",
    "PRETRAINED",
    "RANDOM",
    "Run",
    "Settings",
    "extended",
    "load_run",
    "make_run",
    "make_settings",
    "read_config",
    "save_run",
]

PRETRAINED = "imagenet"
RANDOM = "random"
PRESET = "fcrn-lite0"


@dataclass(frozen=True)
class Run:
    """All that a training run depends on; stored as ``run.json`` in its folder.

    Attributes:
        network: what is trained.
        hyper: how.
        data: data spec, or several with weights as ``data.mixture`` writes them; without a ``#split``, its ``#train`` part.
        val_data: data spec of validation; None takes the ``#val`` part of ``data``, of several the first one's.
        encoder_weights: ``imagenet`` (packaged weights), ``random``, or the path of a state dict.
        start: checkpoint whose weights training starts from; None starts from ``encoder_weights``.
        devices: processes per machine, each with a device of its own where there are accelerators.
        nodes: machines.
        track: where else to log: None, ``mlflow`` or ``mlflow:URI``, see ``mlflow_store``.
        command: the command line as typed.
        monitor: what it validates itself by; None before it has been started, and in records of versions that did not say.
        extended_at: numbers of epochs that had been set, and done, when the run was set to more. Each time the learning-rate schedule
            ``one-cycle`` began anew, over the epochs that were added; the others went on.
        teachers: SHA-256 of the checkpoints that it learns from; none before it has been started.
        one_camera: whether several sources are labelled for one camera, see ``data.canonical``; not in records of versions that had none.
    """

    network: FCRNConfig
    hyper: Hyperparameters
    data: str
    val_data: str | None = None
    encoder_weights: str = PRETRAINED
    start: str | None = None
    devices: int = 1
    nodes: int = 1
    track: str | None = None
    command: str = ""
    monitor: Monitor | None = None
    extended_at: tuple[int, ...] = ()
    teachers: tuple[str, ...] = ()
    one_camera: bool = False

    def __post_init__(self) -> None:
        for name in ("devices", "nodes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give a positive number")

    @property
    def specs(self) -> tuple[str, str]:
        """Data specs of training and validation.

        Raises:
            InputError: ``data`` names a split and ``val_data`` is missing.
        """
        return training_and_validation(self.data, self.val_data)


@dataclass(frozen=True)
class Settings:
    """A run's settings by the flat names that a configuration and the command line share, beside those of ``Hyperparameters``.

    Attributes:
        data, val_data, encoder_weights, devices, nodes, track: see ``Run``.
        out: the run's folder.
        resume: a run's folder to continue, or a checkpoint to start from.
        preset: the network, changed by ``decoder``, ``laterals``, ``widths`` and ``input_size`` (height, width).
    """

    data: str | None = None
    val_data: str | None = None
    out: str | None = None
    resume: str | None = None
    preset: str = PRESET
    decoder: str | None = None
    laterals: str | None = None
    widths: list[int] | None = None
    input_size: list[int] | None = None
    encoder_weights: str = PRETRAINED
    devices: int = 1
    nodes: int = 1
    track: str | None = None
    hyper: Hyperparameters = field(default_factory=Hyperparameters)


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML configuration, each a top-level key: a file, or by name one that comes with the tool, such as ``article-1``.

    Raises:
        InputError: no such file, not TOML, an unknown key or a value of the wrong kind; names file, key and remedy.
    """
    values = CONFIGURATIONS.read(path)
    kinds = _kinds(Settings) | setting_kinds()
    kinds.pop("hyper")
    try:
        return {key: checked(value, kinds[key], key) for key, value in known_keys(values, kinds).items()}
    except InputError as error:
        raise InputError(f"configuration '{path}': {error}") from error


def make_settings(values: dict[str, Any]) -> Settings:
    """Settings from flat values.

    Raises:
        InputError: a hyper-parameter that is not allowed.
    """
    own = _kinds(Settings)
    hyper = Hyperparameters.of({key: value for key, value in values.items() if key not in own})
    return Settings(hyper=hyper, **{key: value for key, value in values.items() if key in own})


def make_run(values: dict[str, Any], command: str = "") -> Run:
    """A run from flat values that were given; the rest takes its default.

    Raises:
        InputError: no data, an unknown preset, settings that exclude each other, an unreadable checkpoint to start from.
    """
    values = FineTuning.completed(values)
    settings = make_settings(values)
    if settings.data is None:
        raise InputError("no data to train on: give --data SPEC")
    return Run(
        network=_network(settings, values),
        hyper=settings.hyper,
        data=settings.data,
        val_data=settings.val_data,
        encoder_weights=settings.encoder_weights,
        start=settings.resume,
        devices=settings.devices,
        nodes=settings.nodes,
        track=settings.track,
        command=command,
        one_camera=len(parse_mixture(settings.data)) > 1,
    )


def load_run(path: Path) -> Run:
    """Read a ``run.json``.

    Raises:
        InputError: not written by this version.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        network, hyper, monitor = fields.pop("network"), fields.pop("hyper"), fields.pop("monitor", None)
        return Run(
            network=FCRNConfig.from_json(network),
            hyper=Hyperparameters.of(hyper),
            monitor=Monitor(**monitor) if monitor else None,
            extended_at=tuple(fields.pop("extended_at", ())),
            teachers=tuple(fields.pop("teachers", ())),
            **fields,
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"'{path}' is not the record of a run that this version can read ({error}): start a new run") from error


def save_run(run: Run, path: Path) -> None:
    """Write a ``run.json``; it appears whole or not at all."""
    with replaced_whole(path) as partial:
        partial.write_text(json.dumps(asdict(run) | {"hyper": run.hyper.flat()}, indent=2) + "\n", encoding="utf-8")


def extended(run: Run, epochs: int, done: int, folder: Path) -> Run:
    """A finished run set to more epochs; a run that has been set to as many stays as it is.

    Args:
        run: as recorded.
        epochs: to be done in all.
        done: epochs done.
        folder: of the run, for messages.

    Raises:
        InputError: fewer epochs, or the run is not finished.
    """
    set_to = run.hyper.epochs
    if epochs == set_to:
        return run
    if epochs < set_to:
        raise InputError(f"--epochs {epochs}: '{folder}' is set to {set_to}, which --epochs can only add to: give more than {set_to}")
    if done < set_to:
        command = f"--resume {shlex.quote(str(folder))}"
        raise InputError(f"'{folder}' has done {done} of its {set_to} epochs: end it with {command} alone, then add to it with --epochs")
    return replace(run, hyper=replace(run.hyper, epochs=epochs), extended_at=(*run.extended_at, set_to))


def _network(settings: Settings, options: dict[str, Any]) -> FCRNConfig:
    changes: dict[str, Any] = {}
    if settings.widths is not None:
        changes["widths"] = tuple(settings.widths)
    if settings.input_size is not None:
        changes["input_size"] = tuple(settings.input_size)
    if settings.decoder is not None:
        changes["decoder"] = settings.decoder
    if settings.laterals is not None:
        changes["laterals"] = settings.laterals
    if settings.resume is None:
        return preset(settings.preset, **changes)
    if "encoder_weights" in options:
        raise InputError(f"--encoder-weights does not go with --resume {settings.resume}, which has weights of its own: leave it out")
    start = load_checkpoint(settings.resume)
    if start.quantization is not None:
        precision = start.quantization.settings["precision"]
        raise InputError(f"'{settings.resume}' is quantized ({precision}): give --resume the float checkpoint that it was trained from")
    config = start.network.config
    fields = changes | ({"preset": settings.preset} if "preset" in options else {})
    for key in ("preset", "decoder", "laterals", "widths"):
        own = getattr(config, key)
        if fields.get(key, own) != own:
            raise InputError(f"--{key} {options[key]}: '{settings.resume}' has {own}, which training goes on with: leave it out")
    return replace(config, **changes)


def _kinds(settings: type) -> dict[str, Any]:
    return typing.get_type_hints(settings)
