"""Training from a packed file does what the package's training does, resumes, ends in time, and needs torch and numpy alone."""

import json
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import augmentation
import eigen
import finish
import frames
import loop
import numpy as np
import packed
import pytest
import schedule
import settings
import torch
import train
from lightning import Callback, LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from fcrn_mobile.data.batches import TrainingBatch
from fcrn_mobile.data.source import Sample
from fcrn_mobile.data.transforms import Augmentation
from fcrn_mobile.evaluation.metrics import METRICS, PROTOCOLS, DepthMetrics
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.training import run
from fcrn_mobile.training.hyperparameters import Hyperparameters, setting_kinds
from fcrn_mobile.training.selfsupervised.stereo import Stereo
from fcrn_mobile.training.selfsupervised.video import Video

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks/training/gpu/train.py"
#: What a machine with a GPU need not have.
BLOCKED = ("lightning", "safetensors", "coremltools", "PIL", "scipy", "torchmetrics", "onnx", "filelock", "click", "matplotlib", "h5py")


class Losses(Callback):
    """Of each step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.values.append(float(outputs["loss"]))


class Given(LightningDataModule):
    """The same batches in each epoch."""

    def __init__(self, batches: list[TrainingBatch]) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: TrainingBatch, device: torch.device, dataloader_idx: int) -> TrainingBatch:
        return batch


def batches_of(count: int, size: tuple[int, int]) -> list[TrainingBatch]:
    """Two frames each, a third of their pixels without depth."""
    generator = torch.Generator().manual_seed(3)
    batches = []
    for _ in range(count):
        images = torch.rand(2, 3, *size, generator=generator).contiguous(memory_format=torch.channels_last)
        depths = 1 + 3 * images.mean(1, keepdim=True) + torch.rand(2, 1, *size, generator=generator)
        batches.append(TrainingBatch(images, depths * (torch.rand(depths.shape, generator=generator) > 0.3), ("a", "b")))
    return batches


@pytest.mark.parametrize("loss, terms", [("berhu", {"gradient": 0.5, "normals": 0.2}), ("l1", {"log_gradient": 0.5, "silog": 0.3})])
def test_steps_equal_those_of_the_package(loss: str, terms: dict[str, float]) -> None:
    config = preset("fcrn-lite0-lateral", widths=(16, 8, 8, 8, 8), input_size=(64, 64))
    options: Any = {"epochs": 2, "batch_size": 2, "loss": loss, "lr": 2e-3, "weight_decay": 0.1, "clip_norm": 1.0, "ema": 0.9} | terms
    torch.manual_seed(0)
    ours, theirs = FCRN(config), FCRN(config)
    theirs.load_state_dict(ours.state_dict())
    batches, recorded = batches_of(3, (64, 64)), Losses()
    hyper = Hyperparameters.of(options)
    module = hyper.objective.module(theirs.to(memory_format=torch.channels_last), hyper, has_depth=True)
    quiet: Any = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=2, accelerator="cpu", gradient_clip_val=1.0, limit_val_batches=0, callbacks=[recorded], **quiet)
    trainer.fit(module, Given(batches))

    learner = loop.Learner(ours, settings.Settings(**options), schedule.Plan.of(6))
    inside = torch.ones(2, 1, 64, 64, dtype=torch.bool)
    losses = [float(learner.step(batch.images, batch.depths, inside)) for batch in batches * 2]

    assert losses == pytest.approx(recorded.values, rel=1e-5)
    assert len(losses) == 6 and losses[-1] < losses[0]
    for key, value in module.result.state_dict().items():
        assert torch.allclose(learner.result.state_dict()[key], value, rtol=1e-5, atol=1e-6), key


def test_the_schedule_is_that_of_torch() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], 3e-3)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=17)
    plan = schedule.Plan.of(17)
    for _ in range(17):
        group = optimizer.param_groups[0]
        assert schedule.one_cycle(plan.position, plan.total, 3e-3) == pytest.approx((group["lr"], group["betas"][0]))
        optimizer.step()
        plan.step()
        if plan.left:
            cycle.step()
    assert plan.left == 0


def test_a_plan_fitted_into_less_time_ends_where_the_whole_one_does() -> None:
    # Slower than planned after 40 steps, faster again after 44 and as fast as ever after 50.
    plan, positions, fits = schedule.Plan.of(100), [], {20: 80, 40: 12, 44: 20, 50: 1000}
    while plan.left:
        if len(positions) in fits:
            plan.fit(fits[len(positions)])
        positions.append(plan.position)
        plan.step()
    assert positions[:41] == list(range(41))
    assert np.diff(positions).min() >= 0.95 and np.diff(positions)[40] > 5
    assert positions[-1] == pytest.approx(99)


def test_metrics_equal_those_of_the_evaluation() -> None:
    rng = np.random.default_rng(0)
    depths = np.where(rng.random((3, 48, 64)) < 0.2, 0, rng.uniform(0.5, 11, (3, 48, 64))).astype(np.float32)
    for size in ((24, 32), (48, 64), (60, 90)):
        predictions = rng.uniform(-0.5, 11, (3, *size)).astype(np.float32)
        meter = DepthMetrics(PROTOCOLS["eigen"])
        for index in range(3):
            meter.update(predictions[index], depths[index], str(index))
        computed = eigen.image_metrics(torch.from_numpy(predictions)[:, None], torch.from_numpy(depths)[:, None])
        means, expected = {name: float(values.mean()) for name, values in computed.items()}, meter.compute()
        assert means == pytest.approx({name: expected[name] for name in METRICS}, rel=1e-5)


class Fixed:
    """Random numbers as the package's augmentation asks for them."""

    def __init__(
        self, degrees: float, scale: float, corner: tuple[int, int], flipped: bool, factors: list[float], order: list[int]
    ) -> None:
        self.uniforms, self.integers_, self.flipped, self.order = (
            [degrees, scale, *(factors[step] for step in order)],
            list(corner),
            flipped,
            order,
        )

    def uniform(self, low: float, high: float) -> float:
        return self.uniforms.pop(0)

    def integers(self, below: int) -> int:
        return self.integers_.pop(0)

    def random(self) -> float:
        return 0.0 if self.flipped else 1.0

    def permutation(self, count: int) -> list[int]:
        return self.order


@pytest.mark.parametrize(
    "degrees, scale, place, flipped, resize", [(4.0, 1.3, (0.2, 0.9), True, 1.0), (-5.0, 1.0, (0.5, 0.5), False, 1.25)]
)
def test_augmentation_equals_that_of_the_package(degrees: float, scale: float, place: Any, flipped: bool, resize: float) -> None:
    height, width = size = (60, 80)
    full = (round(height * resize), round(width * resize))
    rows, columns = np.mgrid[: full[0], : full[1]]
    image = np.stack([128 + 100 * np.sin(rows / 9 + k) * np.cos(columns / (7 + k)) for k in range(3)], axis=2).round().astype(np.uint8)
    depth = np.where(columns > 40, 3.0, 1.0 + rows / 40).astype(np.float32)
    factors, order = [1.3, 0.7, 1.2], [2, 0, 1]
    larger = tuple(round(side * scale) for side in full)
    corner = tuple(int((side - part + 1) * share) for side, part, share in zip(larger, size, place, strict=True))
    rng: Any = Fixed(degrees, scale, corner, flipped, factors, order)
    expected = Augmentation(size, resize=resize)(Sample(image, depth, "a"), rng)

    one = (np.array([value]) for value in (degrees, scale, place, flipped))
    affine = torch.from_numpy(augmentation.placed(size, resize, *one)).float()
    draws = augmentation.Draws(affine, torch.tensor([scale]), torch.tensor([factors]), torch.tensor([order]))
    images, depths, inside = augmentation.augment(
        torch.from_numpy(image).permute(2, 0, 1)[None] / 255, torch.from_numpy(depth)[None, None], draws, size
    )
    agreed = inside[0, 0].numpy() & (expected.depth > 0)
    assert (inside[0, 0].numpy() == (expected.depth > 0)).mean() > 0.99
    difference = np.abs(images[0].permute(1, 2, 0).numpy() * 255 - expected.image)[agreed]
    # Pillow cuts off fractions at each of its steps.
    assert np.median(difference) < 2.5 and np.quantile(difference, 0.98) < 6
    error = np.abs(depths[0, 0].numpy() - expected.depth)[agreed]
    assert np.median(error) < 1e-6 and (error < 0.04).mean() > 0.98


def test_an_epoch_shows_sources_by_weight_and_no_frame_again_before_all_others() -> None:
    empty = torch.zeros(0)
    shown = frames.TrainingFrames(empty, empty, empty, np.array([0] * 7 + [1] * 10), ("a", "b"), (2.0, 0.3))
    orders = [shown.order(5, epoch) for epoch in range(10)]
    assert all(len(order) == len(shown) == 17 for order in orders)
    counts = np.bincount(np.concatenate(orders), minlength=17)
    assert counts[:7].tolist() == [20] * 7 and counts[7:].tolist() == [3] * 10
    assert not np.array_equal(orders[0], orders[1]) and np.array_equal(orders[3], shown.order(5, 3))


def test_depth_is_that_of_the_reference_camera(packed_file: Path) -> None:
    read, tiny = packed.unpack(packed_file, 1), settings.Settings(batch_size=2)
    data = frames.training_frames(read, tiny, (48, 64), {"rooms": 0.0}, 1.0, torch.device("cpu"))
    known = torch.from_numpy(data.sources) == 0
    assert torch.allclose(data.metres[known], torch.tensor(518.9 / 640 / 0.8 / 1000))
    blind = data.metres[torch.from_numpy(data.sources) == 1] * 1000
    assert sorted(blind.tolist()) == pytest.approx([518.9 / 640 / (270 / 320)] * 3 + [1.0])
    assert len(data) == 12 + 4


def test_settings_are_those_of_the_package() -> None:
    hyper = Hyperparameters().flat()
    own = {field.name: field.default for field in fields(settings.Settings)} | settings.FIXED
    shared = hyper.keys() & own.keys()
    assert len(shared) > 20 and {name: own[name] for name in shared} == {name: hyper[name] for name in shared}
    read = settings.read_settings(ROOT / "benchmarks/training/builtin-lateral.toml", "batch_size = 64")
    assert (read.preset, read.gradient, read.ema, read.batch_size) == ("fcrn-lite0-lateral", 0.5, 0.998, 64)
    with pytest.raises(SystemExit, match="optimizer is 'sgd'"):
        settings.read_settings(ROOT / "benchmarks/training/paper.toml")
    with pytest.raises(SystemExit, match="unknown key 'lrr'"):
        settings.read_settings(None, "lrr = 1")


def test_every_setting_of_the_package_is_known_fixed_or_passed_over() -> None:
    """One that ``train --config`` learns later has to be decided on here, or a configuration with it would stop on the GPU."""
    package = (setting_kinds().keys() | {field.name for field in fields(run.Settings)}) - {"hyper"}
    elsewhere = {"resume", "teacher", "unlabelled", "teacher_weight", "teacher_flip", "teacher_scales"}  # options of the script, if any
    of_views = {field.name for kind in (Video, Stereo) for field in fields(kind)}
    own = {field.name for field in fields(settings.Settings)} | settings.FIXED.keys() | set(settings.PASSED_OVER)
    assert own == package - elsewhere - of_views


def weights_of(path: Path) -> dict[str, Tensor]:
    return torch.load(path, weights_only=True)["network"]


def test_a_resumed_training_equals_an_uninterrupted_one(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command += ["--set", "epochs=3", "--set", "ema=0.9"]
    train.main(command)
    broken_off = [*command, "--out", str(tmp_path / "resumed")]
    original = loop.fit

    def stopped(learner: Any, data: Any, folder: Any, clock: Any, record: Any, log: Any) -> None:
        def once(line: dict[str, Any]) -> None:
            raise KeyboardInterrupt

        original(learner, data, folder, clock, record, once)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "fit", stopped)
        train.main(broken_off)
    state = torch.load(tmp_path / "resumed/student/state.pt", weights_only=True)
    assert state["epoch"] == 1 and state["plan"]["left"] > 0
    train.main(broken_off)
    whole, resumed = (torch.load(tmp_path / name / "student/state.pt", weights_only=True) for name in ("out", "resumed"))
    assert whole["epoch"] == resumed["epoch"] == 3
    for part in (lambda state: state["network"], lambda state: state["average"]["weights"]):
        assert all(torch.equal(value, part(resumed)[key]) for key, value in part(whole).items())


@pytest.mark.speed
def test_minutes_end_in_time_with_the_schedule_at_its_end(command: list[str], tmp_path: Path) -> None:
    begun = time.monotonic()
    train.main([*command, "--set", "epochs=100000", "--minutes", "0.06"])
    assert time.monotonic() - begun < 0.06 * 60 + 0.5
    plan = torch.load(tmp_path / "out/student/state.pt", weights_only=True)["plan"]
    assert plan["left"] == 0
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert lines[-1]["steps_left"] == 0 and lines[-1]["seconds"] > 0.06 * 60 * 0.7
    assert plan["position"] > 0.9 * (plan["total"] - 1)


def test_without_haste_minutes_change_nothing(command: list[str], tmp_path: Path) -> None:
    train.main([*command, "--set", "epochs=2"])
    train.main([*command, "--set", "epochs=2", "--minutes", "5", "--out", str(tmp_path / "planned")])
    ours, planned = (weights_of(tmp_path / name / "student/state.pt") for name in ("out", "planned"))
    assert all(torch.equal(value, planned[key]) for key, value in ours.items())


def test_a_student_learns_from_its_teacher_where_there_is_no_truth(command: list[str], tmp_path: Path) -> None:
    train.main([*command, "--set", "epochs=1", "--teacher", "--teacher-encoder", "plain", "--teacher-widths", "24,16,8,8"])
    network = loop.load_network(tmp_path / "out/teacher/last.pt")
    assert network.config.widths == (24, 16, 8, 8) and (tmp_path / "out/student/last.pt").is_file()
    names = [json.loads(line).get("network") for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert names == [None, "teacher", "student"]

    torch.manual_seed(1)
    images, inside = torch.rand(2, 3, 32, 48), torch.ones(2, 1, 32, 48, dtype=torch.bool)
    inside[..., :4] = False
    teacher = loop.Teacher(lambda images: images.mean(1, keepdim=True)[..., ::2, ::2] + torch.linspace(0, 1, 24), 0.5)
    depths = teacher.depths(images, inside)
    assert torch.all(depths[..., :2] == 0) and torch.all(depths[..., 2:] > 0)
    left_right = (teacher.predict(images.flip(-1)).flip(-1) + teacher.predict(images)) / 2
    assert torch.allclose(depths[..., 2:], left_right[..., 2:])
    learner = loop.Learner(FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8))), settings.Settings(), schedule.Plan.of(9), teacher=teacher)
    before = learner.network.head.weight.clone()
    assert float(learner.step(images, torch.zeros(2, 1, 32, 48), inside)) > 0
    assert not torch.equal(before, learner.network.head.weight)


def test_the_finished_checkpoint_predicts_what_the_script_does(command: list[str], tmp_path: Path) -> None:
    train.main([*command, "--set", "epochs=1", "--set", "ema=0.5"])
    finish.finish(tmp_path / "out/student/best.pt", tmp_path / "done.safetensors")
    checkpoint = load_checkpoint(str(tmp_path / "done.safetensors"))
    network = FCRN(checkpoint.network.config)
    network.load_state_dict(torch.load(tmp_path / "out/student/state.pt", weights_only=True)["average"]["weights"])
    images = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        predicted, expected = checkpoint.network(images), loop.forward_of(network.eval(), False, False)(images)
        stored = loop.load_network(tmp_path / "out/student/best.pt")(images)
    assert torch.equal(predicted, stored)
    assert torch.allclose(predicted, expected, rtol=5e-3, atol=5e-3)
    assert checkpoint.training.val_data == "folder:real#val" and checkpoint.training.data.startswith("folder:real#train*1 + ")
    assert checkpoint.metrics.keys() == set(METRICS) and checkpoint.training.hyperparameters["ema"] == 0.5


def test_torch_and_numpy_are_all_it_needs(command: list[str], tmp_path: Path) -> None:
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); sys.argv[0] = {str(SCRIPT)!r};"
        f"sys.path.insert(0, {str(SCRIPT.parent)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    arguments = [sys.executable, "-c", code, *command, "--set", "epochs=1"]
    done = subprocess.run(arguments, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/student/last.pt").is_file()
