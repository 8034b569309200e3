"""One training run, from sources to checkpoints."""

import logging
import shlex
import warnings
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_only

import fcrn_mobile
from fcrn_mobile.data.cameras import UNKNOWN
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.mixture import portable_mixture
from fcrn_mobile.data.module import DataModule
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.network.encoders import encoder_named, load_imagenet_weights
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.runs.examples import Drawing
from fcrn_mobile.runs.folder import BEST, LAST, RECORD, STATE, TRACKED, clear, naming_a_full_disk, require_new
from fcrn_mobile.runs.lock import claimed
from fcrn_mobile.training.callbacks import RunCheckpoints
from fcrn_mobile.training.distributed import synchronise_batch_norms
from fcrn_mobile.training.divergence import DivergenceError
from fcrn_mobile.training.mlflow_store import check_track
from fcrn_mobile.training.regularisation import require_regularisable
from fcrn_mobile.training.run import PRETRAINED, RANDOM, Run, extended, load_run, save_run
from fcrn_mobile.training.teacher import load_teachers
from fcrn_mobile.training.tracking import Tracking, epochs_done, flat_configuration, run_loggers
from fcrn_mobile.whole_file import make_folder

__all__ = ["is_first_process", "log", "resume", "train", "uses_bf16"]

log = logging.getLogger(__name__)


def train(run: Run, out: Path, progress: bool = False, draw: Drawing | None = None) -> Checkpoint:
    """Train from the start.

    Args:
        run: what to do.
        out: the run's folder; it must not exist, be empty, or hold a run that failed within its first epoch. Receives run.json,
            metrics.csv, TensorBoard events, pictures/, best.safetensors, last.safetensors and last.ckpt.
        progress: show a progress bar with the remaining time on standard error.
        draw: makes the pictures; None for none.

    Returns:
        The best checkpoint by the run's ``monitor``.

    Raises:
        InputError: unusable data, weights or folder; another process trains there; a loss or weights that are not finite.
        KeyboardInterrupt: after last.safetensors was written.
    """
    # Lightning starts the other processes with the same command, when the first has made the folder.
    if is_first_process():
        require_new(out)
    run, network, data = _prepared(run, out)
    make_folder(out)
    with claimed(out) if is_first_process() else nullcontext(), naming_a_full_disk(out):
        if is_first_process():
            # Another process may have started in the meantime, and ended too.
            require_new(out, claimed_here=True)
            (out / TRACKED).unlink(missing_ok=True)
        return _begin(run, network, data, out, progress, draw)


def resume(out: Path, progress: bool = False, epochs: int | None = None, draw: Drawing | None = None) -> Checkpoint:
    """Continue a run from its last whole epoch; one without any begins again, as it was set.

    Args:
        out: the run's folder.
        progress, draw: as of ``train``.
        epochs: to be done in all, if a finished run is to go on, see ``Run.extended_at``.

    Raises:
        InputError: ``out`` holds no run to continue, another process trains there, or the run cannot be set to ``epochs``.
    """
    if not (out / RECORD).is_file():
        raise InputError(f"'{out}' holds no run to resume (no {RECORD}): start it with --out {shlex.quote(str(out))}")
    with claimed(out) if is_first_process() else nullcontext(), naming_a_full_disk(out):
        run = load_run(out / RECORD)
        if not (out / STATE).is_file():
            if epochs is not None and epochs != run.hyper.epochs:
                raise InputError(f"no epoch of '{out}' has ended, so --epochs has nothing to add to: leave it out, and it begins again")
            log.info("no epoch of '%s' has ended: it begins again", out)
            return _begin(*_prepared(run, out), out, progress, draw)
        return _continue(run, out, progress, epochs, draw)


def is_first_process() -> bool:
    """Whether this process is the run's only or first one, which alone writes and prints."""
    return rank_zero_only.rank == 0


def _prepared(run: Run, out: Path) -> tuple[Run, FCRN, DataModule[Any]]:
    """The run with all that its data and objective settle, its network before the first step, and its data."""
    objective = run.hyper.objective
    teachers = tuple(teacher.sha256 for teacher in load_teachers(objective.teachers))
    data = objective.data(run)
    run = replace(run, network=objective.network(run.network, data))
    network = _fresh_network(run)
    require_regularisable(network, run.hyper)
    if run.start is None and run.encoder_weights != RANDOM:
        objective.start(network, data)
    if run.track is not None and is_first_process():
        check_track(run.track, out)
    return replace(run, monitor=objective.monitor(data.has_depth), teachers=teachers), network, data


def _begin(run: Run, network: FCRN, data: DataModule[Any], out: Path, progress: bool, draw: Drawing | None) -> Checkpoint:
    if is_first_process():
        clear(out)
        save_run(run, out / RECORD)
    return _fit(run, network, data, out, progress, draw)


def _continue(run: Run, out: Path, progress: bool, epochs: int | None, draw: Drawing | None) -> Checkpoint:
    state = out / STATE
    done = epochs_done(state)
    if epochs is not None:
        run = extended(run, epochs, done, out)
    if done >= run.hyper.epochs:
        log.info("'%s' has done all of its %d epochs: add to them with --epochs", out, done)
        return _best(out, run)
    load_teachers(run.hyper.objective.teachers, run.teachers)
    data = run.hyper.objective.data(run)
    if epochs is not None and is_first_process():
        save_run(run, out / RECORD)
    return _fit(run, FCRN(run.network), data, out, progress, draw, resume=state)


def _fresh_network(run: Run) -> FCRN:
    seed_everything(run.hyper.manual_seed, verbose=False)
    network = FCRN(run.network)
    if run.start is not None:
        weights = load_checkpoint(run.start).network
        if weights.config.inverse_depth is None and network.config.inverse_depth is not None:
            # A head that predicts metres says nothing in inverse depth.
            weights.head.load_state_dict(network.head.state_dict())
        network.load_state_dict(weights.state_dict())
    elif run.encoder_weights != RANDOM:
        path = None if run.encoder_weights == PRETRAINED else Path(run.encoder_weights)
        load_imagenet_weights(network.encoder, run.network.encoder, path)
    return network


def _fit(
    run: Run, network: FCRN, data: DataModule[Any], out: Path, progress: bool, draw: Drawing | None, resume: Path | None = None
) -> Checkpoint:
    hyper = run.hyper
    seed_everything(hyper.manual_seed, verbose=False)
    record = _training_record(run, data)
    configuration = flat_configuration({"network": asdict(run.network)} | record.to_json())
    callbacks: list[Callback] = [RunCheckpoints(out, record), Tracking(out, configuration, data.validation_frames, draw)]
    if progress and is_first_process():
        callbacks.append(TQDMProgressBar())
    _quieten_lightning()
    several = run.devices * run.nodes > 1
    if several and not torch.cuda.is_available():
        synchronise_batch_norms(network)
    trainer = Trainer(
        max_epochs=hyper.epochs,
        accelerator="auto",
        devices=run.devices,
        num_nodes=run.nodes,
        strategy="ddp" if several else "auto",
        sync_batchnorm=several and torch.cuda.is_available(),
        use_distributed_sampler=False,
        precision="bf16-mixed" if uses_bf16(hyper.precision, run.network.encoder) else "32-true",
        accumulate_grad_batches=hyper.accumulate,
        gradient_clip_val=hyper.clip_norm or None,
        logger=run_loggers(out, run.track, resume),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=progress and is_first_process(),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=hyper.print_freq,
    )
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = hyper.objective.module(network, hyper, data.has_depth)
    module.first_epoch = run.extended_at[-1] if run.extended_at else 0
    # weights_only: the resumed file holds tensors and plain values alone.
    try:
        trainer.fit(module, data, ckpt_path=str(resume) if resume else None, weights_only=True)
    except SystemExit as error:
        # Lightning answers Ctrl-C by leaving the process; our caller decides that.
        raise KeyboardInterrupt from error
    except DivergenceError as error:
        raise DivergenceError(f"{error}{_kept(out)}") from error
    trainer.strategy.barrier()
    return _best(out, run)


def _best(out: Path, run: Run) -> Checkpoint:
    best = out / BEST
    if not best.is_file():
        metric = run.monitor.metric if run.monitor else "abs_rel"
        raise InputError(f"no epoch of '{out}' ended with a finite {metric}: lower --lr, or check the validation data")
    return load_checkpoint(str(best))


def _kept(out: Path) -> str:
    """What a run that diverged still has, as the end of a sentence."""
    if not (out / STATE).is_file():
        return f"; no epoch had ended, so --out {shlex.quote(str(out))} may start again"
    last = out / LAST
    return f"; '{last}' keeps the epoch before: go on from it with --resume {shlex.quote(str(last))} and another --out"


def _training_record(run: Run, data: DataModule[Any]) -> TrainingRecord:
    train_spec, val_spec = run.specs
    objective = run.hyper.objective
    camera = objective.camera(run, data)
    teachers = [f"{portable(name)} {digest}" for name, digest in zip(objective.teachers, run.teachers, strict=True)]
    return TrainingRecord(
        # The place of the data on this machine is nobody else's business.
        data=portable_mixture(train_spec),
        frames=len(data.frames),
        val_data=portable(val_spec),
        val_frames=len(data.validation_frames),
        camera=None if camera == UNKNOWN else asdict(camera),
        transforms=objective.transforms(run),
        depth=objective.units(run),
        encoder_weights=portable(run.encoder_weights),
        start=portable(run.start) if run.start else None,
        hyperparameters=replace(run.hyper, objective=objective.portable()).flat(),
        teachers=teachers or None,
        extended_at=list(run.extended_at),
        monitor=asdict(run.monitor) if run.monitor else None,
        processes=run.devices * run.nodes,
        command=shlex.join(word if "\n" in word else portable(word) for word in shlex.split(run.command)),
        versions={"fcrn-mobile": fcrn_mobile.__version__, "torch": torch.__version__},
    )


def uses_bf16(precision: str, encoder: str) -> bool:
    """Whether training under a ``precision`` runs in mixed bfloat16."""
    return precision == "bf16" or (precision == "auto" and encoder_named(encoder).faster_in_bf16)


def _quieten_lightning() -> None:
    """Keep Lightning's advice on workers and accelerators off the user's screen; errors still show."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*lr_scheduler\.step.*")
