"""The training loop: steps, moving average, validation, the state to resume from, and an end in time."""

import copy
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from eigen import image_metrics
from frames import Batches, TrainingFrames, ValidationFrames
from schedule import Clock, Plan, one_cycle
from settings import Settings
from torch import Tensor

from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.training.average import averaged_values, newest_share
from fcrn_mobile.training.losses import depth_loss

STATE, BEST, LAST = "state.pt", "best.pt", "last.pt"
#: Steps before the first one whose time counts (compilation, choice of kernels), steps that count, and what is kept in reserve.
WARM_UP, MEASURED = 3, 8
RESERVE = 0.04

#: From images N×3×H×W in 0..1 to metres N×1×h×w in float32.
Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Teacher:
    """A trained network whose predictions are learned beside the truth.

    Attributes:
        predict: of the network in evaluation mode.
        weight: of its loss, 0 to 1; the truth's is the rest.
    """

    predict: Forward
    weight: float

    @torch.no_grad()
    def depths(self, images: Tensor, inside: Tensor) -> Tensor:
        """The mean of what it predicts of the pictures and of their mirror images, 0 where they do not show the frame."""
        depths = (self.predict(images) + self.predict(images.flip(-1)).flip(-1)) / 2
        shown = F.interpolate(inside.float(), size=depths.shape[-2:], mode="nearest") > 0
        return depths.clamp_min(0) * shown


def forward_of(network: FCRN, bf16: bool, compiled: bool) -> Forward:
    """What runs a network, mixed or not; the last convolution stays in float32, since bfloat16 has steps of a centimetre at 3 m.

    A network that cannot be compiled here runs as it is, and says so.
    """

    def forward(images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            decoded = network.decoded(images)[-1]
        depths = network.head(decoded.float())
        return F.relu(depths) if network.config.head_relu else depths

    if network.config.inverse_depth is not None:
        raise SystemExit("this training knows no networks that predict inverse depth")
    return _Compiled(forward) if compiled else forward


class _Compiled:
    def __init__(self, forward: Forward) -> None:
        self.forward: Forward = torch.compile(forward)
        self.plain = forward

    def __call__(self, images: Tensor) -> Tensor:
        try:
            return self.forward(images)
        except Exception as error:
            if self.forward is self.plain:
                raise
            print(f"not compiled: {str(error).splitlines()[0][:200]}", flush=True)
            self.forward = self.plain
            return self.plain(images)


class MovingAverage:
    """As ``training.average.MovingAverage``, with one call per step instead of one per tensor, which a GPU would wait for."""

    def __init__(self, network: FCRN, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay, self.steps = decay, 0
        pairs = list(zip(averaged_values(self.network), averaged_values(network), strict=True))
        self.floats = tuple(zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True))
        self.counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights after a step."""
        self.steps += 1
        average, current = map(list, self.floats)
        torch._foreach_lerp_(average, current, newest_share(self.steps, self.decay))
        for average_count, count in self.counts:
            average_count.copy_(count)


class Learner:
    """A network in training, and one step of it.

    Args:
        network: trained in place, on its device.
        settings: how.
        plan: the schedule.
        compiled: whether the network runs compiled.
        teacher: learned from, too.
    """

    def __init__(self, network: FCRN, settings: Settings, plan: Plan, compiled: bool = False, teacher: Teacher | None = None) -> None:
        device = next(network.parameters()).device
        self.network = network.train().to(memory_format=torch.channels_last)
        self.settings, self.plan, self.teacher = settings, plan, teacher
        bf16 = settings.precision == "bf16" or (settings.precision == "auto" and device.type == "cuda")
        self.forward = forward_of(network, bf16, compiled)
        self.average = MovingAverage(network, settings.ema) if settings.ema else None
        self.optimizer = torch.optim.AdamW(
            network.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=device.type == "cuda" or None
        )

    @property
    def result(self) -> FCRN:
        """The network that is validated and saved."""
        return self.average.network if self.average else self.network

    def step(self, images: Tensor, depths: Tensor, inside: Tensor) -> Tensor:
        """One step; returns its loss."""
        rate, beta = one_cycle(self.plan.position, self.plan.total, self.settings.lr)
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (beta, group["betas"][1])
        prediction = self.forward(images)
        loss = depth_loss(self.settings.loss, prediction, depths, self.settings.terms)
        if self.teacher:
            taught = depth_loss(self.settings.loss, prediction, self.teacher.depths(images, inside), self.settings.terms)
            loss = (1 - self.teacher.weight) * loss + self.teacher.weight * taught
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update()
        self.plan.step()
        return loss.detach()

    @torch.no_grad()
    def validate(self, frames: ValidationFrames) -> dict[str, float]:
        """Means over the frames that were held back, in float32; empty if there are none."""
        network = self.result.eval()
        gathered: dict[str, list[Tensor]] = {}
        for images, depths in zip(frames.images, frames.depths, strict=True):
            metrics = image_metrics(network(images.float().div(255).contiguous(memory_format=torch.channels_last)), depths)
            for name, values in metrics.items():
                gathered.setdefault(name, []).append(values)
        self.network.train()
        return {name: float(torch.cat(values).mean()) for name, values in gathered.items()}

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        average = {"weights": self.average.network.state_dict(), "steps": self.average.steps} if self.average else None
        return {
            "network": self.network.state_dict(),
            "average": average,
            "optimizer": self.optimizer.state_dict(),
            "plan": asdict(self.plan),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state``."""
        self.network.load_state_dict(state["network"])
        if self.average:
            self.average.network.load_state_dict(state["average"]["weights"])
            self.average.steps = state["average"]["steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.plan = Plan(**state["plan"])


@dataclass(frozen=True)
class Data:
    """What is trained on, and what is held back."""

    training: TrainingFrames
    validation: ValidationFrames
    size: tuple[int, int]


def fit(learner: Learner, data: Data, folder: Path, clock: Clock, record: Mapping[str, Any], log: Callable[[dict[str, Any]], None]) -> None:
    """Train to the end of the plan or of the time, from the last whole epoch in ``folder`` if there is one.

    Args:
        learner: before its first step.
        data: frames.
        folder: receives ``state.pt`` after each epoch, and ``last.pt`` and ``best.pt``: the result's weights with ``record``.
        clock: the plan is fitted into it, by the measured time of a few steps that are undone, and later by that of each epoch.
        record: goes into the weights' files.
        log: is given each epoch's line.

    Raises:
        SystemExit: a loss that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch, best = 0, math.inf
    pace = _rehearsed(learner, data) if clock.seconds is not None else Pace(0.0, 0.0, 1)
    if (folder / STATE).is_file():
        state = torch.load(folder / STATE, map_location=data.training.images.device, weights_only=True)
        learner.load(state)
        epoch, best = state["epoch"], state["best"]
    while learner.plan.left > 0:
        if clock.seconds is not None:
            learner.plan.fit(pace.steps_in(clock.left))
        # What terms of the loss draw, the same in an epoch that is repeated after a break.
        torch.manual_seed(learner.settings.manual_seed + epoch)
        begun, losses = clock.elapsed, _epoch(learner, Batches(data.training, learner.settings, data.size, epoch), clock, pace)
        trained = clock.elapsed
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise SystemExit(f"the loss is {loss} in epoch {epoch + 1}: lower lr; '{folder}' keeps the epoch before")
        epoch += 1
        metrics = learner.validate(data.validation)
        better = metrics.get("abs_rel", -epoch) < best
        best = min(best, metrics.get("abs_rel", -epoch))
        _save(learner, folder, {"epoch": epoch, "best": best}, dict(record) | {"epoch": epoch}, metrics, better)
        pace = Pace((trained - begun) / len(losses), clock.elapsed - trained, len(losses))
        rate = len(losses) * learner.settings.batch_size / (trained - begun)
        line = {"epoch": epoch, "steps": len(losses), "steps_left": learner.plan.left, "loss": loss, **metrics}
        log(line | {"seconds": round(clock.elapsed, 2), "frames_per_second": round(rate, 1)})


@dataclass(frozen=True)
class Pace:
    """How fast training goes: seconds per step, seconds between two epochs (validation, saving), steps per epoch."""

    step: float
    between: float
    steps: int

    def steps_in(self, seconds: float) -> int:
        """Steps that fit, with a reserve."""
        return int((seconds * (1 - RESERVE) - self.between) / (self.step + self.between / self.steps))


def _epoch(learner: Learner, batches: Batches, clock: Clock, pace: Pace) -> list[Tensor]:
    """Losses of an epoch's steps; ends early where the plan does, and gives up the plan where time is up all the same."""
    losses = []
    for step in range(min(len(batches), learner.plan.left)):
        losses.append(learner.step(*batches[step]))
        if clock.left < pace.between:
            learner.plan.left = 0
            break
    return losses


def _rehearsed(learner: Learner, data: Data) -> Pace:
    """The pace of a few steps and a validation, which are undone."""
    before = copy.deepcopy(learner.state())
    batches = Batches(data.training, learner.settings, data.size, 0)
    learner.validate(data.validation)
    for step in range(WARM_UP):
        learner.step(*batches[step % len(batches)])
    times = [_now(data)]
    for step in range(MEASURED):
        learner.step(*batches[step % len(batches)])
    times.append(_now(data))
    learner.validate(data.validation)
    times.append(_now(data))
    learner.load(before)
    return Pace((times[1] - times[0]) / MEASURED, times[2] - times[1], len(batches))


def _now(data: Data) -> float:
    """Seconds, once the device has done all that it was told."""
    if data.training.images.is_cuda:
        torch.cuda.synchronize()
    return time.monotonic()


def _save(
    learner: Learner, folder: Path, progress: dict[str, Any], record: dict[str, Any], metrics: dict[str, float], better: bool
) -> None:
    _write(learner.state() | progress, folder / STATE)
    result = learner.result
    weights = {key: value.half() if value.is_floating_point() and value.dim() > 1 else value for key, value in result.state_dict().items()}
    exported = {"config": json.dumps(asdict(result.config)), "weights": {key: value.cpu().contiguous() for key, value in weights.items()}}
    exported |= {"training": json.dumps(record), "metrics": json.dumps(metrics)}
    for name in (LAST, BEST) if better else (LAST,):
        _write(exported, folder / name)


def _write(value: Any, path: Path) -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(value, partial)
    partial.replace(path)


def load_network(path: Path, device: torch.device | None = None) -> FCRN:
    """The network of a ``last.pt`` or ``best.pt``, float32 in evaluation mode."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    network = FCRN(FCRNConfig.from_json(json.loads(stored["config"])))
    network.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in stored["weights"].items()})
    return network.eval().to(device)
