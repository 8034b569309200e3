"""``fcrn-mobile train``."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from fcrn_mobile.cli.common import json_option, print_metrics, show_progress, write_json
from fcrn_mobile.errors import InputError


@click.command("train")
@click.option("--data", metavar="SPEC", help="Training data; without a #split its #train part, and its #val part for validation.")
@click.option("--val-data", metavar="SPEC", help="Validation data, if not the #val part of --data.")
@click.option("--preset", default="fcrn-lite0", show_default=True, help="Network.")
@click.option("--decoder", help="Up-block other than the preset's: deconv2, deconv3, upconv, upproj.")
@click.option("--widths", metavar="A,B,C,D,E", help="Decoder widths other than the preset's.")
@click.option("--input-size", metavar="HxW", help="Input size other than the preset's.")
@click.option("--encoder-weights", default="imagenet", show_default=True, metavar="imagenet|random|FILE", help="Start of the encoder.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue the run in this folder with its own settings.")
@click.option("--epochs", type=int, default=30, show_default=True)
@click.option("--batch-size", type=int, default=8, show_default=True)
@click.option("--loss", default="l1", show_default=True, metavar="berhu|l1|l2|huber")
@click.option("--optimizer", default="adamw", show_default=True, metavar="adamw|sgd")
@click.option("--lr", type=float, default=1e-3, show_default=True)
@click.option("--schedule", default="one-cycle", show_default=True, metavar="one-cycle|plateau|constant")
@click.option("--lr-patience", type=int, default=2, show_default=True, help="Of plateau, in epochs.")
@click.option("--momentum", type=float, default=0.9, show_default=True, help="Of sgd.")
@click.option("--weight-decay", type=float, default=1e-2, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--precision", default="auto", show_default=True, metavar="auto|32|bf16")
@click.option("--workers", type=int, default=0, show_default=True, help="Loader processes.")
@click.option("--cache-mb", type=int, default=0, show_default=True, help="Decoded frames to keep in memory, per loader process.")
@click.option("--protocol", default="eigen", show_default=True, help="Of the validation metrics.")
@json_option
def command(
    data: str | None,
    val_data: str | None,
    preset: str,
    decoder: str | None,
    widths: str | None,
    input_size: str | None,
    encoder_weights: str,
    out: Path | None,
    resume: Path | None,
    json_out: str | None,
    **hyper: Any,
) -> None:
    """Train a network; the best checkpoint by validation abs_rel is RUN/best.safetensors."""
    if not resume and not (data and out):
        raise InputError("nothing to train: give --data SPEC and --out RUN, or --resume RUN")
    from fcrn_mobile.network import fcrn
    from fcrn_mobile.training import train as training

    if resume:
        checkpoint, folder = training.resume(resume, show_progress()), resume
    else:
        assert data is not None
        assert out is not None
        changes: dict[str, Any] = {}
        if decoder:
            changes["decoder"] = decoder
        if widths:
            changes["widths"] = _integers(widths, ",", "--widths", "256,128,64,32,16")
        if input_size:
            changes["input_size"] = _integers(input_size, "x", "--input-size", "224x320")
        run = training.Run(
            network=fcrn.preset(preset, **changes),
            hyper=training.Hyperparameters(**hyper),
            data=data,
            val_data=val_data,
            encoder_weights=encoder_weights,
            command=_command_line(),
        )
        checkpoint, folder = training.train(run, out, show_progress()), out
    if json_out:
        write_json(
            json_out, {"checkpoint": str(folder / "best.safetensors"), "metrics": checkpoint.metrics, "training": checkpoint.training}
        )
    if json_out != "-":
        print_metrics(checkpoint.metrics)
        print(f"best checkpoint: {folder / 'best.safetensors'}")


def _integers(text: str, separator: str, option: str, example: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(separator))
    except ValueError as error:
        raise InputError(f"{option} '{text}': write it as {example}") from error


def _command_line() -> str:
    """The command as typed, with data named by file alone."""
    from fcrn_mobile.data.spec import portable

    return shlex.join(["fcrn-mobile", *(word if "\n" in word else portable(word) for word in sys.argv[1:])])
