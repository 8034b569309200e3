"""``fcrn-mobile train``."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, print_metrics, show_progress, write_json
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.cli.shipped_file import ShippedFile
from fcrn_mobile.errors import InputError
from fcrn_mobile.quantize.scheme import LEARNED
from fcrn_mobile.shipped import CONFIGURATIONS

if TYPE_CHECKING:
    from fcrn_mobile.runs.examples import Drawing

__all__ = ["Integers", "Numbers", "command", "next_commands"]


class Integers(click.ParamType):
    """Whole numbers with a separator between them."""

    name = "integers"
    words = "whole numbers"
    number: type[float] = int

    def __init__(self, separator: str) -> None:
        self.separator = separator

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        """``224x320`` → [224, 320]; a default as it is."""
        try:
            return value if isinstance(value, list) else [self.number(part) for part in value.split(self.separator)]
        except ValueError:
            self.fail(f"'{value}': give {self.words} with '{self.separator}' between them", param, ctx)


class Numbers(Integers):
    """Numbers with a separator between them."""

    name = "numbers"
    words = "numbers"
    number = float


@click.command("train", cls=Command)
@click.option(
    "--config",
    type=ShippedFile(CONFIGURATIONS),
    metavar="NAME|FILE",
    help="Settings as TOML, such as article-1 or mine.toml; options given beside it win.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="SPEC[*WEIGHT]",
    help="Training data; without a #split its #train part, and its #val part for validation. Several: each epoch shows WEIGHT times a "
    "source's frames, and the first one's #val part is for validation.",
)
@click.option("--val-data", metavar="SPEC", help="Validation data, if not the #val part of --data.")
@click.option("--objective", default="supervised", show_default=True, metavar="supervised|video|stereo", help="What depth is learned from.")
@click.option("--preset", default="fcrn-lite0", show_default=True, help="Network.")
@click.option(
    "--decoder",
    help="Up-blocks other than the preset's: deconv2, deconv3, deconv4, upconv, upproj, upproj-bilinear, upproj-deconv, fastproj.",
)
@click.option("--laterals", metavar="none|add|concat", help="How the encoder's finer maps enter the decoder, if not as the preset's do.")
@click.option(
    "--widths",
    type=Integers(","),
    metavar="A,B,C,D,E",
    help="Decoder widths other than the preset's; one more is an up-block to full resolution.",
)
@click.option("--input-size", type=Integers("x"), metavar="HxW", help="Input size other than the preset's.")
@click.option("--encoder-weights", default="imagenet", show_default=True, metavar="imagenet|random|FILE", help="Start of the encoder.")
@click.option("--out", type=OutputFolder(path_type=str), help="Folder of the run.")
@click.option("--resume", metavar="RUN|CHECKPOINT", help="Continue the run in this folder; or start from a checkpoint.")
@click.option("--quantization", default="none", metavar="|".join(LEARNED), help="Fine-tune the checkpoint of --resume for it.")
@click.option("--epochs", type=int, default=30, show_default=True, help="In all; with --resume RUN, more than a finished run has done.")
@click.option("--batch-size", type=int, default=8, show_default=True, help="Per device.")
@click.option("--loss", default="l1", show_default=True, metavar="berhu|l1|l2|huber|log-l1|relative-l1", help="Of depth.")
@click.option("--gradient", type=float, default=0.0, show_default=True, help="Weight of multi-scale gradient matching beside the loss.")
@click.option("--log-gradient", type=float, default=0.0, show_default=True, help="Weight of the same on the logarithm of depth.")
@click.option("--silog", type=float, default=0.0, show_default=True, help="Weight of the scale-invariant logarithmic error.")
@click.option("--normals", type=float, default=0.0, show_default=True, help="Weight of the difference of surface normals.")
@click.option("--virtual-normals", type=float, default=0.0, show_default=True, help="Weight of the same for planes through distant pixels.")
@click.option(
    "--teacher",
    multiple=True,
    default=None,
    metavar="CHECKPOINT",
    help="A trained network whose depth is learned beside the truth. Several: their mean.",
)
@click.option(
    "--unlabelled",
    multiple=True,
    default=None,
    metavar="SPEC[*WEIGHT]",
    help="Pictures on which the teacher is learned from alone: images:PATH, or data whose depth is not to be looked at.",
)
@click.option("--teacher-weight", type=float, default=0.5, show_default=True, help="Of the loss against it; the truth has the rest.")
@click.option("--teacher-flip/--no-teacher-flip", default=True, show_default=True, help="Whether teachers see mirror images too.")
@click.option(
    "--teacher-scales",
    type=Numbers(","),
    default=[1.0],
    metavar="S,S",
    help="Shares of its input size at which each teacher predicts.  [default: 1]",
)
@click.option("--optimizer", default="adamw", show_default=True, metavar="adamw|sgd", help="What takes the steps.")
@click.option("--lr", type=float, default=1e-3, show_default=True, help="Learning rate, of one-cycle the largest.")
@click.option("--schedule", default="one-cycle", show_default=True, metavar="one-cycle|plateau|constant", help="Of the learning rate.")
@click.option("--lr-patience", type=int, default=2, show_default=True, help="Of plateau, in epochs.")
@click.option("--momentum", type=float, default=0.9, show_default=True, help="Of sgd.")
@click.option("--weight-decay", type=float, default=1e-2, show_default=True, help="Of the optimizer.")
@click.option("--accumulate", type=int, default=1, show_default=True, help="Batches whose gradients make one step.")
@click.option("--clip-norm", type=float, default=0.0, show_default=True, help="Largest norm of the gradients; 0 for none.")
@click.option("--ema", type=float, default=0.0, show_default=True, help="Decay of a moving average of the weights; 0 for none.")
@click.option(
    "--reestimate-batch-norm", is_flag=True, default=False, help="Measure batch norms anew after the last epoch, on unaugmented images."
)
@click.option(
    "--manual-seed",
    "--seed",
    "manual_seed",
    type=int,
    default=1,
    show_default=True,
    help="Of the weights, the order of frames and the augmentation.",
)
@click.option(
    "--precision", default="auto", show_default=True, metavar="auto|32|bf16", help="Of the computation; auto: bf16 for ResNets, else 32."
)
@click.option("--resize", type=float, default=1.0, show_default=True, help="Frames are made this many times the input size, then cropped.")
@click.option("--max-scale", type=float, default=1.5, show_default=True, help="Of the augmentation, which divides depth by it.")
@click.option("--max-degrees", type=float, default=5.0, show_default=True, help="Largest rotation of the augmentation.")
@click.option("--jitter", type=float, default=0.4, show_default=True, help="Strength of the colour jitter.")
@click.option("--random-crop/--centre-crop", default=True, show_default=True, help="Crop anywhere, or in the centre.")
@click.option("--hue", type=float, default=0.0, show_default=True, help="Largest turn of the hue, as a share of the circle.")
@click.option("--gamma", type=float, default=0.0, show_default=True, help="G: the image is raised to a power from 1/(1+G) to 1+G.")
@click.option("--cut-depth", type=float, default=0.0, show_default=True, help="Probability that a piece of depth is pasted into the image.")
@click.option("--cut-out", type=float, default=0.0, show_default=True, help="Probability that rectangles of true depth are left out.")
@click.option("--stochastic-depth", type=float, default=0.0, show_default=True, help="Of leaving out the encoder's last residual block.")
@click.option("--drop-out", type=float, default=0.0, show_default=True, help="Of leaving out values in front of the prediction.")
@click.option(
    "--drop-coarse", type=float, default=0.0, show_default=True, help="Of leaving out what a lateral gets from the coarser level."
)
@click.option("--workers", type=int, default=0, show_default=True, help="Loader processes.")
@click.option("--cache-mb", type=int, default=0, show_default=True, help="Decoded frames to keep in memory, per loader process.")
@click.option("--protocol", default="eigen", show_default=True, help="Of the validation metrics.")
@click.option("--print-freq", type=int, default=10, show_default=True, help="Batches between two logged losses.")
@click.option("--ssim", type=float, default=0.85, show_default=True, help="Video, stereo: weight of SSIM beside L1.")
@click.option("--smoothness", type=float, default=None, help="Weight of the smoothness term.  [default: video 0.01, stereo 0.1]")
@click.option("--scales", type=int, default=4, show_default=True, help="Video, stereo: of the decoder that get a loss, at most.")
@click.option("--explainability", type=float, default=0.0, show_default=True, help="Video: weight of the masks' regulariser; 0: no masks.")
@click.option("--minimum/--mean", default=True, show_default=True, help="Video: of each pixel's error over the neighbouring frames.")
@click.option("--automask/--no-automask", default=True, show_default=True, help="Video: leave out pixels that do not change.")
@click.option("--devices", type=int, default=1, show_default=True, help="Processes per machine.")
@click.option("--nodes", type=int, default=1, show_default=True, help="Machines.")
@click.option("--track", metavar="mlflow[:URI]", help="Log to MLflow too; without a URI to mlflow.db beside RUN.")
@json_option
@click.pass_context
def command(context: click.Context, config: Path | None, json_out: str | None, **options: Any) -> None:
    """Train a network; the best checkpoint by validation abs_rel is RUN/best.safetensors.

    --resume RUN goes on as RUN was set. With more --epochs it adds to a finished run: the one-cycle schedule runs once more, over the
    added epochs; plateau and constant go on. A run that ended within its first epoch begins again.

    Without true depth: --objective video learns from frames:PATH?fx=PIXELS (a folder or a video), up to scale; --objective stereo from
    stereo:PATH?fx=PIXELS&baseline=METRES, in metres; both from kitti:PATH. Validated by their own loss, or on RGB-D --val-data.
    """
    settings = _read(config) if config else {}
    settings |= {name: value for name, value in options.items() if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    resume, out = settings.get("resume"), settings.get("out") or ""
    run_folder = Path(resume) if resume and Path(resume).is_dir() else None
    # Before torch and Lightning are imported, which takes seconds.
    if run_folder:
        for name in (name for name in settings if name not in ("resume", "epochs")):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} does not go with --resume {resume}, which continues that run as it was set: leave {option} out")
    elif not (out and settings.get("data")):
        raise InputError("nothing to train: give --data SPEC and --out RUN, or --resume RUN")
    from fcrn_mobile.data.mixture import join_parts
    from fcrn_mobile.runs.folder import BEST, RECORD
    from fcrn_mobile.training import run as runs
    from fcrn_mobile.training import train as training

    draw_examples = _draw_examples()  # behind the training libraries: what is missing is named by the extra that has both
    if run_folder:
        checkpoint, folder = training.resume(run_folder, show_progress(), settings.get("epochs"), draw_examples), run_folder
    else:
        settings |= {name: join_parts(options[name]) for name in ("data", "teacher", "unlabelled") if options[name]}
        run = runs.make_run(settings, shlex.join(["fcrn-mobile", *sys.argv[1:]]))
        checkpoint, folder = training.train(run, Path(out), show_progress(), draw_examples), Path(out)
    if not training.is_first_process():
        return
    best = folder / BEST
    if json_out:
        write_json(json_out, {"checkpoint": str(best), "metrics": checkpoint.metrics, "training": checkpoint.training.to_json()})
    if json_out != "-":
        print_metrics(checkpoint.metrics)
        print(f"best checkpoint: {best}")
        if checkpoint.quantization is not None:
            record = runs.load_run(folder / RECORD)
            for line in next_commands(best, checkpoint.quantization.settings["precision"], record.start, record.specs[1]):
                print(f"next: {line}")


def _draw_examples() -> "Drawing":
    from fcrn_mobile.report.examples import draw_examples

    return draw_examples


def _read(config: Path) -> dict[str, Any]:
    from fcrn_mobile.training.run import read_config

    return read_config(config)


def next_commands(best: Path, precision: str, start: str | None, data: str) -> list[str]:
    """What makes a package of a fine-tuned checkpoint, and what holds it against the float network that fine-tuning started from.

    Args:
        best: the checkpoint.
        precision: what it was fine-tuned for.
        start: the float network.
        data: data spec of validation.
    """
    package = str(best.parent / f"{precision}.mlpackage")
    return [
        shlex.join(["fcrn-mobile", "export", str(best), "--precision", precision, "--out", package]),
        shlex.join(["fcrn-mobile", "validate", start or "builtin", package, "--data", data]),
    ]
