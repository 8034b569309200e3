"""What a run logs besides its checkpoints, and where to: CSV and TensorBoard always, MLflow by request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image
from torch.utils.tensorboard.summary import hparams

from fcrn_mobile.data.module import ResizedFrames
from fcrn_mobile.data.source import evenly
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.formulas import shown
from fcrn_mobile.runs.examples import Drawing, Example
from fcrn_mobile.runs.folder import BEST, LAST, METRICS, PICTURES
from fcrn_mobile.runs.history import kept_rows
from fcrn_mobile.training.callbacks import summary
from fcrn_mobile.training.mlflow_store import MLflowRun, open_run
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.whole_file import replaced_whole

__all__ = ["EXAMPLES", "Setting", "Tracking", "epochs_done", "flat_configuration", "run_loggers"]

#: A value of the configuration as every logger shows it.
Setting = bool | int | float | str
EXAMPLES = 3


def run_loggers(folder: Path, track: str | None, checkpoint: Path | None) -> list[Logger]:
    """The loggers of a run.

    Args:
        folder: of the run; metrics.csv and TensorBoard's events go there.
        track: None, ``mlflow`` or ``mlflow:URI``.
        checkpoint: what the run continues from. What was logged up to there is kept; what an interrupted epoch logged behind it
            will be logged again, so it is dropped (MLflow can't drop: there those steps stand twice).

    Raises:
        InputError: see ``mlflow_store.open_run``.
    """
    step = _step(checkpoint) if checkpoint else None
    table = CSVLogger(folder, name="", version="")
    board = TensorBoardLogger(folder, name="", version="", default_hp_metric=False, purge_step=step)
    if rank_zero_only.rank != 0:
        return [table, board]
    if step is not None:
        rows = kept_rows(folder / METRICS, step)
        # Lightning deletes the metrics.csv that it finds.
        table.experiment.metrics.extend(rows)
        table.save()
    return [table, board] if track is None else [table, board, open_run(track, folder)]


def flat_configuration(values: Mapping[str, Any], prefix: str = "") -> dict[str, Setting]:
    """Nested settings under one level of names: hyper-parameters by their own names, ``versions`` as ``versions/torch``.

    Lists become one text; what is None is left out.
    """
    flat: dict[str, Setting] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flat_configuration(value, "" if key in ("hyperparameters", "network") else f"{prefix}{key}/")
        elif isinstance(value, list | tuple):
            flat[prefix + key] = ("; " if any(isinstance(item, str) for item in value) else ", ").join(str(item) for item in value)
        elif value is not None:
            # A version of torch's is a text with a class of its own.
            flat[prefix + key] = str(value) if isinstance(value, str) else value
    return flat


class Tracking(Callback):
    """Logs a run's configuration at its start, example depth maps after every epoch, and its checkpoints at the end.

    The pictures go to ``RUN/pictures/epoch_NNN.png`` and to the loggers. CSV takes numbers only.

    Args:
        folder: the run's.
        configuration: flat, see ``flat_configuration``.
        frames: of validation; up to three, evenly spaced, are the examples.
        draw: makes a picture of them; None for no pictures.
    """

    def __init__(self, folder: Path, configuration: dict[str, Setting], frames: ResizedFrames, draw: Drawing | None) -> None:
        self.folder = folder
        self.configuration = configuration
        self.frames = frames
        self.draw = draw
        self.indices = evenly(len(frames), EXAMPLES)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.log_hyperparams(self.configuration)
            if isinstance(logger, TensorBoardLogger):
                _show_configuration(logger, self.configuration)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, DepthTraining)
        if not trainer.is_global_zero or self.draw is None:
            return
        epoch = trainer.current_epoch + 1
        title = f"epoch {epoch}   {summary(pl_module.validation.compute())}"
        picture = self.draw(self._examples(pl_module), title)
        path = self.folder / PICTURES / f"epoch_{epoch:03d}.png"
        path.parent.mkdir(exist_ok=True)
        with replaced_whole(path) as partial:
            Image.fromarray(picture).save(partial)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                # Epochs are logged at their last step, counted from 0.
                logger.experiment.add_image("examples", picture, trainer.global_step - 1, dataformats="HWC")
            elif isinstance(logger, MLflowRun):
                logger.add_file(path, PICTURES)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hand_over(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._hand_over(trainer)

    def _hand_over(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MLflowRun) and trainer.is_global_zero:
                for name in (BEST, LAST):
                    if (self.folder / name).is_file():
                        logger.add_file(self.folder / name, "checkpoints")

    @torch.no_grad()
    def _examples(self, module: DepthTraining) -> list[Example]:
        network = module.result
        images, samples = zip(*(self.frames[index] for index in self.indices), strict=True)
        training = network.training
        network.eval()
        predictions = network(torch.stack(images).to(module.device, memory_format=torch.channels_last))
        network.train(training)
        return [
            Example(sample.image, sample.depth, module.shown(prediction[0].float().cpu().numpy(), sample))
            for sample, prediction in zip(samples, predictions, strict=True)
        ]


def epochs_done(checkpoint: Path) -> int:
    """Whole epochs before a checkpoint of the trainer."""
    return int(_read(checkpoint)["epoch"]) + 1


def _step(checkpoint: Path) -> int:
    """Optimizer steps before a checkpoint of the trainer."""
    return int(_read(checkpoint)["global_step"])


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    # A damaged zip or pickle ends in nearly any error.
    except Exception as error:
        raise InputError(f"'{checkpoint}' is damaged ({str(error).splitlines()[0][:150]}): start a new run") from error
    return content


def _show_configuration(board: TensorBoardLogger, configuration: dict[str, Setting]) -> None:
    """The configuration as a page of text, and as columns of the table of hyper-parameters."""
    cells = {key: str(value).replace("|", "\\|") for key, value in configuration.items()}
    lines = ["| setting | value |", "|---|---|", *(f"| {key} | {value} |" for key, value in cells.items())]
    board.experiment.add_text("configuration", "\n".join(lines))
    # The metrics, tags that every validated epoch logs, are named alone: their values are those that the epochs log.
    experiment, start, _ = hparams(configuration, {f"val/{name}": 0.0 for name in shown()})
    writer = board.experiment.file_writer
    writer.add_summary(experiment)
    writer.add_summary(start)
