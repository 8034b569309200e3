"""What a run leaves behind: checkpoints at every epoch, and a line per epoch."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import save_checkpoint
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.runs.folder import BEST, LAST, STATE
from fcrn_mobile.training.divergence import DivergenceError
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.whole_file import replaced_whole

__all__ = ["RunCheckpoints", "log", "summary"]

log = logging.getLogger(__name__)


class RunCheckpoints(Callback):
    """Writes ``last.safetensors`` and ``last.ckpt`` after every epoch and when training stops early, and
    ``best.safetensors`` when what the module monitors in validation (its abs_rel) is the lowest so far.

    Args:
        folder: the run's folder.
        training: goes into the checkpoints' metadata.
    """

    def __init__(self, folder: Path, training: TrainingRecord) -> None:
        self.folder = folder
        self.training = training
        self.best = float("inf")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, DepthTraining)
        metrics = pl_module.validation.compute()
        score = float(metrics[pl_module.monitor])
        if score < self.best:
            self.best = score
            self._write(BEST, trainer, pl_module, metrics)
        self._write(LAST, trainer, pl_module, metrics)
        self._write_state(trainer)
        if not trainer.is_global_zero:
            return
        log.info(
            "epoch %d/%s  loss %.4f  %s  best %s %.4f",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            float(trainer.callback_metrics["train/loss_epoch"]),
            summary(metrics),
            pl_module.monitor,
            self.best,
        )

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # last.ckpt stays at the last whole epoch, from which --resume continues. Weights on the way to infinity are of no use, nor are
        # those of a first epoch that the data ended.
        useless = isinstance(exception, DivergenceError) or (isinstance(exception, InputError) and not (self.folder / STATE).is_file())
        if trainer.global_step > 0 and isinstance(pl_module, DepthTraining) and not useless:
            # On a full disk this fails as the write before it did, which is the error to report.
            with suppress(InputError):
                self._write(LAST, trainer, pl_module, {})

    def _write(self, name: str, trainer: Trainer, module: DepthTraining, metrics: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            training = replace(self.training, epoch=trainer.current_epoch + 1, step=trainer.global_step)
            with self._naming(name):
                save_checkpoint(module.result, self.folder / name, training, metrics, quantization=module.quantization)

    def _write_state(self, trainer: Trainer) -> None:
        """All that ``--resume`` needs; it appears whole, which Lightning's own file does only with temporary files on the same disk."""
        file = self.folder / STATE
        # Every process takes part in saving, one writes.
        with self._naming(STATE), replaced_whole(file) if trainer.is_global_zero else nullcontext(file) as partial:
            trainer.save_checkpoint(partial)

    @contextmanager
    def _naming(self, file: str) -> Iterator[None]:
        """Say which file could not be written, as the system's own error for a full disk does not."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"cannot write '{self.folder / file}' ({reason}): make room, then continue with --resume {self.folder}"
            ) from error


def summary(metrics: Mapping[str, Any]) -> str:
    """An epoch's validation in one line: the metrics of depth, or the objective's own loss."""
    if "abs_rel" not in metrics:
        return f"val loss {metrics['loss']:.4f}"
    scaled = "  (median-scaled)" if metrics.get("alignment") == "median" else ""
    drift = f"fidelity {metrics['fidelity']:.4f}  " if "fidelity" in metrics else ""
    return f"{drift}abs_rel {metrics['abs_rel']:.4f}  rmse {metrics['rmse']:.4f}  delta1 {metrics['delta1']:.4f}{scaled}"
