"""One training run, from sources to checkpoints."""

import json
import logging
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

import fcrn_mobile
from fcrn_mobile.data.module import DepthDataModule
from fcrn_mobile.data.spec import open_source, portable
from fcrn_mobile.data.transforms import Augmentation
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.network.encoders import load_imagenet_weights
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.resnet import RESNETS
from fcrn_mobile.training.callbacks import RunCheckpoints
from fcrn_mobile.training.module import DepthTraining, Hyperparameters

PRETRAINED = "imagenet"
RANDOM = "random"


@dataclass(frozen=True)
class Run:
    """All that a training run depends on; stored as ``run.json`` in its folder.

    Attributes:
        network: what is trained.
        hyper: how.
        data: data spec; without a ``#split``, its ``#train`` part.
        val_data: data spec of validation; None takes the ``#val`` part of ``data``.
        encoder_weights: ``imagenet`` (packaged weights), ``random``, or the path of a state dict.
        command: the command line, for the checkpoint's metadata.
    """

    network: FCRNConfig
    hyper: Hyperparameters
    data: str
    val_data: str | None = None
    encoder_weights: str = PRETRAINED
    command: str = ""

    @property
    def specs(self) -> tuple[str, str]:
        """Data specs of training and validation.

        Raises:
            InputError: ``data`` names a split and ``val_data`` is missing.
        """
        if self.val_data:
            return self.data, self.val_data
        if "#" in self.data:
            raise InputError(f"data '{self.data}' names a split: give --val-data too, or leave the split out")
        return f"{self.data}#train", f"{self.data}#val"


def train(run: Run, out: Path, progress: bool = False) -> Checkpoint:
    """Train from the start.

    Args:
        run: what to do.
        out: the run's folder; it must not exist or be empty. Receives run.json, metrics.csv, TensorBoard events,
            best.safetensors, last.safetensors and last.ckpt.
        progress: show a progress bar with the remaining time on standard error.

    Returns:
        The best checkpoint by validation abs_rel.

    Raises:
        InputError: unusable data, weights or folder; a loss that is not finite.
        KeyboardInterrupt: after last.safetensors was written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' exists: choose another --out, or continue it with --resume {out}")
    data = _data_module(run)
    seed_everything(run.hyper.seed, verbose=False)
    network = FCRN(run.network)
    if run.encoder_weights != RANDOM:
        path = None if run.encoder_weights == PRETRAINED else Path(run.encoder_weights)
        load_imagenet_weights(network.encoder, run.network.encoder, path)
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(json.dumps(asdict(run), indent=2) + "\n")
    return _fit(run, network, data, out, progress, resume=None)


def resume(out: Path, progress: bool = False) -> Checkpoint:
    """Continue a run from its last whole epoch.

    Raises:
        InputError: ``out`` holds no run to continue.
    """
    if not (out / "run.json").is_file() or not (out / "last.ckpt").is_file():
        raise InputError(f"'{out}' holds no run to resume (run.json and last.ckpt): start it with --out {out}")
    run = load_run(out / "run.json")
    return _fit(run, FCRN(run.network), _data_module(run), out, progress, resume=out / "last.ckpt")


def load_run(path: Path) -> Run:
    """Read a ``run.json``."""
    fields: dict[str, Any] = json.loads(path.read_text())
    return Run(network=FCRNConfig.from_json(fields.pop("network")), hyper=Hyperparameters(**fields.pop("hyper")), **fields)


def _data_module(run: Run) -> DepthDataModule:
    train_spec, val_spec = run.specs
    size = run.network.input_size
    hyper = run.hyper
    return DepthDataModule(
        open_source(train_spec),
        open_source(val_spec),
        size,
        Augmentation(size),
        hyper.batch_size,
        hyper.workers,
        hyper.seed,
        hyper.cache_mb,
    )


def _fit(run: Run, network: FCRN, data: DepthDataModule, out: Path, progress: bool, resume: Path | None) -> Checkpoint:
    seed_everything(run.hyper.seed, verbose=False)
    callbacks: list[Callback] = [RunCheckpoints(out, _training_record(run, data))]
    if progress:
        callbacks.append(TQDMProgressBar())
    _quieten_lightning()
    trainer = Trainer(
        max_epochs=run.hyper.epochs,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if _uses_bf16(run) else "32-true",
        logger=[CSVLogger(out, name="", version=""), TensorBoardLogger(out, name="", version="", default_hp_metric=False)],
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    module = DepthTraining(network.to(memory_format=torch.channels_last), run.hyper)  # type: ignore[call-overload]
    # weights_only: the resumed file holds tensors and plain values alone.
    try:
        trainer.fit(module, data, ckpt_path=str(resume) if resume else None, weights_only=True)
    except SystemExit as error:
        # Lightning answers Ctrl-C by leaving the process; our caller decides that.
        raise KeyboardInterrupt from error
    best = out / "best.safetensors"
    if not best.is_file():
        raise InputError(f"no epoch of '{out}' ended with a finite abs_rel: lower --lr, or check the validation data")
    return load_checkpoint(str(best))


def _training_record(run: Run, data: DepthDataModule) -> dict[str, Any]:
    train_spec, val_spec = run.specs
    return {
        # The place of the data on this machine is nobody else's business.
        "data": portable(train_spec),
        "frames": len(data.frames),
        "val_data": portable(val_spec),
        "val_frames": len(data.validation_frames),
        "encoder_weights": portable(run.encoder_weights),
        "hyperparameters": asdict(run.hyper),
        "command": run.command,
        "versions": {"fcrn-mobile": fcrn_mobile.__version__, "torch": torch.__version__},
    }


def _uses_bf16(run: Run) -> bool:
    # On a CPU, bfloat16 doubles the training speed of a ResNet-18 and does nothing for depthwise convolutions.
    return run.hyper.precision == "bf16" or (run.hyper.precision == "auto" and run.network.encoder in RESNETS)


def _quieten_lightning() -> None:
    """Keep Lightning's advice on workers and accelerators off the user's screen; errors still show."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*lr_scheduler\.step.*")
