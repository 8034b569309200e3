"""Train the recipe of the built-in network on a machine with a GPU, from one packed file, with torch and numpy alone.

    PYTHONPATH=. python benchmarks/training/gpu/train.py runs/training.npz --config benchmarks/training/builtin-lateral.toml \\
        --out runs/gpu --minutes 9 --teacher --passes 8 --set batch_size=64 --set lr=2e-3

Frames stay on the device, and so does their augmentation. --minutes ends the run in time: its schedule is planned from the measured
speed of the first steps, for as many epochs as the configuration says or as many as fit. With --teacher a larger network is trained
first, from which the network then learns beside the truth, also where there is none. Each has a folder, OUT/teacher and OUT/student,
with what the last epoch left: last.pt and best.pt (weights, which finish.py turns into a checkpoint) and state.pt, from which the same
command goes on. OUT/log.jsonl has a line per epoch. Without a GPU: --no-compile, and patience.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frames import training_frames, validation_frames
from loop import LAST, STATE, Data, Learner, Teacher, fit, forward_of, load_network
from packed import PackedFrames, unpack
from schedule import Clock, Plan
from settings import Settings, read_settings

from fcrn_mobile import __version__
from fcrn_mobile.network.encoders import encoder_named
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig

TEACHER, STUDENT, LOG = "teacher", "student", "log.jsonl"
TEACHER_WIDTHS = "512,256,128,80,48"


def main(arguments: list[str] | None = None) -> None:
    options = parsed(arguments)
    clock = Clock(options.minutes * 60 if options.minutes else None)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    settings = read_settings(options.config, "\n".join(options.set))
    packed = unpack(options.packed)
    config = settings.network()
    weights = {name: float(weight) for name, _, weight in (item.partition("=") for item in options.weight)}
    training = training_frames(packed, settings, config.input_size, weights, options.passes, device)
    data = Data(training, validation_frames(packed, config.input_size, device), config.input_size)
    options.out.mkdir(parents=True, exist_ok=True)
    log = _logger(options.out / LOG)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    log(
        {
            "device": where,
            "torch": torch.__version__,
            "frames": len(training.images),
            "epoch_frames": len(training),
            "seconds": clock.elapsed,
        }
    )
    record = training_record(packed, data, settings, options)

    teacher = None
    if options.teacher:
        folder = options.out / TEACHER
        widths = tuple(int(width) for width in options.teacher_widths.split(","))
        encoder = encoder_named(options.teacher_encoder)
        mean, std = encoder.mean, encoder.std
        larger = replace(config, preset=TEACHER, encoder=options.teacher_encoder, widths=widths, mean=mean, std=std)
        if not _finished(folder):
            learner = Learner(fresh_network(larger, packed, data, settings), settings, _plan(settings, data), options.compile)
            fit(learner, data, folder, clock.share(options.teacher_share), record, _named(log, TEACHER))
        network = load_network(folder / LAST, device).to(memory_format=torch.channels_last)
        teacher = Teacher(forward_of(network, device.type == "cuda", options.compile), options.teacher_weight)
        record |= {"teacher": {"encoder": larger.encoder, "widths": larger.widths, "weight": options.teacher_weight}}
    learner = Learner(fresh_network(config, packed, data, settings), settings, _plan(settings, data), options.compile, teacher)
    fit(learner, data, options.out / STUDENT, clock, record, _named(log, STUDENT))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed", type=Path, help="written by pack.py")
    parser.add_argument("--config", type=Path, help="as of fcrn-mobile train")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a line of TOML that wins over the configuration")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--minutes", type=float, help="the whole command is to take, reading and compiling included")
    parser.add_argument("--passes", type=float, default=1.0, help="of the mixture that an epoch shows")
    parser.add_argument("--weight", action="append", default=[], metavar="SOURCE=W", help="in place of the packed file's")
    parser.add_argument("--teacher", action="store_true", help="train a larger network first, and learn from it")
    parser.add_argument("--teacher-encoder", default="lite0")
    parser.add_argument("--teacher-widths", default=TEACHER_WIDTHS)
    parser.add_argument("--teacher-weight", type=float, default=0.5, help="of the loss against the teacher, the truth's is the rest")
    parser.add_argument("--teacher-share", type=float, default=0.4, help="of the time that is left when its training begins")
    parser.add_argument("--device", help="cuda or cpu")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args(arguments)


def fresh_network(config: FCRNConfig, packed: PackedFrames, data: Data, settings: Settings) -> FCRN:
    """A network before its first step: ImageNet weights in the encoder, the mean depth in the head.

    Raises:
        SystemExit: the packed file has no weights of its encoder.
    """
    torch.manual_seed(settings.manual_seed)
    network = FCRN(config)
    if settings.encoder_weights != "random":
        if config.encoder not in packed.encoders:
            raise SystemExit(f"no ImageNet weights of '{config.encoder}' in the packed file: pack it with --encoders {config.encoder}")
        network.encoder.load_state_dict(packed.encoders[config.encoder])
        network.start_at(data.training.mean_depth())
    return network.to(data.training.images.device)


def training_record(packed: PackedFrames, data: Data, settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """What a checkpoint says of its training."""
    training = data.training
    parts = [f"{source['spec']}*{weight:g}" for source, weight in zip(packed.sources, training.weights, strict=True)]
    validated = {packed.sources[chunk.source]["spec"] for chunk in packed.chunks if chunk.part == "val"}
    return {
        "data": " + ".join(part.replace("*", "#train*", 1) if part.partition("*")[0] in validated else part for part in parts),
        "frames": len(training.images),
        "val_data": " + ".join(f"{spec}#val" for spec in sorted(validated)),
        "val_frames": len(data.validation),
        "depth": "metres",
        "encoder_weights": settings.encoder_weights,
        "hyperparameters": settings.record(),
        "script": "benchmarks/training/gpu/train.py",
        "minutes": options.minutes,
        "versions": {"fcrn-mobile": __version__, "torch": torch.__version__, "numpy": np.__version__},
    }


def _plan(settings: Settings, data: Data) -> Plan:
    return Plan.of(settings.epochs * max(1, len(data.training) // settings.batch_size))


def _finished(folder: Path) -> bool:
    """Whether all planned steps of a folder's training have been done."""
    return (folder / STATE).is_file() and torch.load(folder / STATE, map_location="cpu", weights_only=True)["plan"]["left"] == 0


def _logger(path: Path) -> Callable[[dict[str, Any]], None]:
    """Prints a line and adds it to a file."""

    def log(line: dict[str, Any]) -> None:
        text = json.dumps(
            {"at": round(time.time()), **{key: round(value, 5) if type(value) is float else value for key, value in line.items()}}
        )
        print(text, flush=True)
        with path.open("a") as file:
            file.write(text + "\n")

    return log


def _named(log: Callable[[dict[str, Any]], None], name: str) -> Callable[[dict[str, Any]], None]:
    return lambda line: log({"network": name, **line})


if __name__ == "__main__":
    main()
