"""Learning from a teacher: what it gives, that the loss is what the formula says, and that a run with one is a run like others."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from fcrn_mobile.data.batches import TrainingBatch
from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run, load_run, make_run, read_config
from fcrn_mobile.training.supervised import Supervised, SupervisedTraining
from fcrn_mobile.training.teacher import Teacher, join_teachers, load_teachers, scaled_size, teacher_names
from fcrn_mobile.training.train import resume, train
from tests.conftest import settled
from tests.journeys.command import Result, refused

CPU = torch.device("cpu")
CAMERA = {"data": "a camera", "focal_px": 200.0, "width_px": 400}


def network(seed: int = 0, size: tuple[int, int] = (32, 64), depth: float = 3.0) -> FCRN:
    torch.manual_seed(seed)
    made = settled(FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8), input_size=size)))
    with torch.no_grad():
        made.head.weight.mul_(0.1)
        made.head.bias.fill_(depth)
    return made


def checkpoint(camera: dict[str, object] | None = CAMERA, **changes: object) -> Checkpoint:
    return Checkpoint("teacher", network(**changes), TrainingRecord(data="folder:x", camera=camera))


def teacher(*checkpoints: Checkpoint, camera: TrainingCamera = UNKNOWN, flip: bool = False, scales: tuple[float, ...] = (1.0,)) -> Teacher:
    return Teacher(checkpoints, camera, flip, scales, CPU)


def saved(path: Path, **changes: object) -> str:
    made = checkpoint(**changes)
    save_checkpoint(made.network, path, made.training)
    return str(path)


def everything(images: Tensor) -> Tensor:
    return torch.ones(len(images), 1, *images.shape[-2:], dtype=torch.bool)


def run_with(small_run: Run, name: str, **settings: object) -> Run:
    objective = Supervised(teacher=name, **settings)  # type: ignore[arg-type] # settings by name
    return replace(small_run, hyper=replace(small_run.hyper, objective=objective))


def test_several_teachers_and_mirror_images_are_averaged() -> None:
    made = [checkpoint(seed=seed) for seed in (1, 2)]
    images = torch.rand(2, 3, 32, 64)
    with torch.no_grad():
        expected = sum(each.network(images) + torch.flip(each.network(torch.flip(images, [3])), [3]) for each in made) / 4
    actual = teacher(*made, flip=True).depths(images, everything(images), (16, 32))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(teacher(*made).depths(images, everything(images), (16, 32)), expected, rtol=1e-3)


def test_a_teacher_sees_its_own_size_and_its_depth_comes_in_the_students() -> None:
    made = checkpoint(size=(64, 96))
    images = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        larger = made.network(F.interpolate(images, size=(64, 96), mode="bilinear", align_corners=False))
    expected = F.interpolate(larger, size=(16, 24), mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(teacher(made).depths(images, everything(images), (16, 24)), expected, rtol=1e-4, atol=1e-5)


def test_a_larger_picture_is_one_of_a_longer_lens() -> None:
    assert scaled_size((224, 320), 1.0) == (224, 320)
    assert scaled_size((228, 304), 1.0) == (228, 304)
    assert scaled_size((224, 320), 1.25) == (288, 416) or scaled_size((224, 320), 1.25) == (288, 384)
    made, images = checkpoint(size=(64, 64)), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        twice = made.network(F.interpolate(images, size=(128, 128), mode="bilinear", align_corners=False))
        expected = (made.network(images) + 2 * F.avg_pool2d(twice, 2)) / 2
    actual = teacher(made, scales=(1.0, 2.0)).depths(images, everything(images), (32, 32))
    # Without aliasing is a triangle over four pixels, of which the mean of two is the middle; only the level is compared.
    assert float(actual.mean()) == pytest.approx(float(expected.mean()), rel=1e-3)


def test_metres_are_those_of_the_students_camera() -> None:
    made, images = checkpoint(), torch.rand(1, 3, 32, 64)
    own = teacher(made).depths(images, everything(images), (16, 32))
    longer = teacher(made, camera=TrainingCamera("b", 300.0, 300)).depths(images, everything(images), (16, 32))
    torch.testing.assert_close(longer, 2 * own)  # f/w of 1 over 0.5
    unknown = teacher(checkpoint(None), camera=TrainingCamera("b", 300.0, 300)).depths(images, everything(images), (16, 32))
    torch.testing.assert_close(unknown, own)


def test_nothing_is_learned_where_no_picture_is_or_depth_is_negative() -> None:
    images, shown = torch.rand(1, 3, 32, 64), torch.ones(1, 1, 32, 64, dtype=torch.bool)
    shown[..., :8, :] = False
    depths = teacher(checkpoint()).depths(images, shown, (16, 32))
    assert (depths[..., :4, :] == 0).all() and (depths[..., 4:, :] > 0).all()
    assert not teacher(checkpoint(depth=-9.0)).depths(images, everything(images), (16, 32)).any()


def test_the_loss_is_the_weighted_sum_of_both() -> None:
    """L1 by hand: over pixels with truth, and over all that the picture shows."""
    made, student = checkpoint(), network(5, depth=2.0).train()
    module = SupervisedTraining(student, Hyperparameters(), Supervised(teacher="x", teacher_weight=0.3), teacher(made))
    logged: dict[str, float] = {}
    module.checked = lambda loss, names, parts: logged.update({k: float(v.detach()) for k, v in parts.items()}) or loss  # type: ignore[method-assign]
    images = torch.rand(2, 3, 32, 64)
    depths = torch.full((2, 1, 32, 64), float("nan"))
    depths[0, :, 8:16] = 2.5  # the second picture has no depth at all
    depths[1, :, :4] = 0  # and shows nothing here
    loss = module.training_step(TrainingBatch(images, depths, ("a", "b")), 0)
    with torch.no_grad():
        prediction, taught = student(images), made.network(images)  # batch statistics move the running ones alone
    target = depths[..., ::2, ::2]
    valid, shown = target > 0, target != 0
    truth = np.abs(prediction.numpy() - 2.5)[valid.numpy()].mean()
    other = (prediction - taught).abs().numpy()[shown.numpy()].mean()
    assert float(loss) == pytest.approx(0.7 * truth + 0.3 * other, rel=1e-4)
    assert logged["taught"] == pytest.approx(other, rel=1e-4)
    loss.backward()
    assert all(torch.isfinite(each.grad).all() for each in student.parameters() if each.grad is not None)


@pytest.mark.parametrize("term", ["gradient", "log_gradient", "silog", "normals", "virtual_normals"])
def test_unknown_depth_spoils_no_term(term: str) -> None:
    student = network(5).train()
    module = SupervisedTraining(student, Hyperparameters(), Supervised(teacher="x", **{term: 1.0}), teacher(checkpoint()))
    module.checked = lambda loss, names, parts: loss  # type: ignore[method-assign]
    depths = torch.full((2, 1, 32, 64), float("nan"))
    depths[0, :, 8:24] = 2.5 + torch.rand(16, 64)
    for truth in (depths, torch.full_like(depths, float("nan"))):
        student.zero_grad()
        module.training_step(TrainingBatch(torch.rand(2, 3, 32, 64), truth, ("a", "b")), 0).backward()
        gradients = [each.grad for each in student.parameters() if each.grad is not None]
        assert all(torch.isfinite(each).all() for each in gradients) and any(each.any() for each in gradients)


def test_a_student_of_pictures_alone_approaches_its_teacher(small_run: Run, tmp_path: Path) -> None:
    name = saved(tmp_path / "teacher.safetensors", size=(32, 48), depth=1.0)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(pictures / f"{number}.png")
    run = run_with(small_run, name, unlabelled=f"images:{pictures}", teacher_weight=1.0)
    run = replace(run, data="sample#val*0.25")
    data, objective = run.hyper.objective.data(run), run.hyper.objective
    assert isinstance(objective, Supervised)
    torch.manual_seed(0)
    student = FCRN(run.network)
    module = SupervisedTraining(student, run.hyper, objective, teacher(*load_teachers([name]), flip=True))
    module.checked = lambda loss, names, parts: loss  # type: ignore[method-assign]
    images = torch.from_numpy(rng.integers(0, 256, (4, 3, 32, 48), np.uint8)) / 255
    taught = load_checkpoint(name).network

    def distance() -> float:
        with torch.no_grad():
            return float((student.eval()(images) - taught(images)).abs().mean())

    before = distance()
    optimizer, shown = torch.optim.Adam(student.parameters(), 2e-2), set()
    for epoch in range(12):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        student.train()
        for batch in loader:
            shown |= set(batch.names)
            optimizer.zero_grad()
            module.training_step(batch, 0).backward()
            optimizer.step()
    assert len([name for name in shown if name.startswith("images:pictures/")]) == 6
    assert distance() < 0.25 * before


def test_a_checkpoint_holds_the_student_alone_and_names_its_teachers(small_run: Run, tmp_path: Path) -> None:
    names = [saved(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (1, 2)]
    run = run_with(small_run, join_teachers(names), unlabelled="sample#train*0.2", teacher_weight=0.25)
    made = train(run, tmp_path / "run")
    plain = train(replace(run, hyper=replace(run.hyper, objective=Supervised())), tmp_path / "plain")
    assert made.network.state_dict().keys() == plain.network.state_dict().keys()
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert {key.split(".")[0] for key in state["state_dict"]} == {"network"}
    hashes = [load_checkpoint(name).sha256 for name in names]
    assert made.training.teachers == [f"1.safetensors {hashes[0]}", f"2.safetensors {hashes[1]}"]
    settings = made.training.hyperparameters
    assert (settings["teacher"], settings["unlabelled"]) == ("1.safetensors + 2.safetensors", "sample#train*0.2")
    assert (settings["teacher_weight"], settings["teacher_scales"]) == (0.25, [1.0])
    assert str(tmp_path) not in json.dumps(made.training.to_json())
    record = load_run(tmp_path / "run" / "run.json")
    assert record.teachers == tuple(hashes)
    assert record.hyper.objective == run.hyper.objective
    assert made.training.frames == 24  # 4 to validate with, and 20
    assert plain.training.teachers is None


def test_a_run_with_a_teacher_goes_on_as_if_never_broken_off(
    small_run: Run, tmp_path: Path, broken_off: Callable[[Run, Path], None]
) -> None:
    name = saved(tmp_path / "teacher.safetensors")
    run = run_with(small_run, name, unlabelled="sample#train*0.1", virtual_normals=0.1)
    train(run, tmp_path / "whole")
    broken_off(run, tmp_path / "parts")
    bytes_before = Path(name).read_bytes()
    saved(tmp_path / "teacher.safetensors", seed=9)
    with pytest.raises(InputError, match="is another file than when the run began"):
        resume(tmp_path / "parts")
    Path(name).write_bytes(bytes_before)
    resume(tmp_path / "parts")
    whole, parts = (load_file(tmp_path / each / "last.safetensors") for each in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"unlabelled": "sample"}, "unlabelled 'sample' teaches nothing without a teacher: add --teacher"),
        ({"teacher": "x", "teacher_weight": 1.5}, "teacher_weight is 1.5: give a number from 0 to 1"),
        ({"teacher": "x", "teacher_scales": [0.1]}, r"teacher_scales are \[0.1\]: give factors"),
        ({"teacher": "x", "objective": "video"}, "teacher needs true depth, and objective 'video' has none"),
        ({"teacher": "x", "quantization": "int4", "resume": "builtin"}, "--teacher does not go with --quantization int4"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_run({"data": "sample"} | settings)


def test_bad_teachers_and_pictures_are_refused_before_a_folder_exists(small_run: Run, tmp_path: Path) -> None:
    name = saved(tmp_path / "teacher.safetensors")
    save_checkpoint(network(), tmp_path / "video.safetensors", TrainingRecord(depth="up to scale"))
    for run, words in (
        (run_with(small_run, str(tmp_path / "none")), "no checkpoint at"),
        (run_with(small_run, str(tmp_path / "video.safetensors")), "gives depth up to scale: give a network in metres"),
        (run_with(small_run, name, unlabelled=f"images:{tmp_path}"), "no pictures in"),
        (run_with(small_run, name, unlabelled="sample"), "holds the frames of validation: name another part of it, such as sample#train"),
        (run_with(small_run, name, unlabelled="sample#val*0.5"), "holds the frames of validation"),
        (run_with(small_run, name, unlabelled="frames:x?fx=3"), "is not for train --unlabelled: use one of images:PATH"),
    ):
        with pytest.raises(InputError, match=words):
            train(run, tmp_path / "run")
        assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="SHA-256 abc"):
        load_teachers([name], ["abc"])


def test_the_recipes_of_teacher_and_student_start_on_tiny_data(tmp_path: Path) -> None:
    """As README.md has them, but for sizes, data and the start of the encoders."""
    small = {"widths": [8] * 5, "input_size": [32, 64], "encoder_weights": "random", "epochs": 1, "batch_size": 4}
    small |= {"data": "sample#val + sample#train*0.1", "val_data": "sample#val"}
    recipes = Path(__file__).parents[2] / "benchmarks" / "training"
    learned = train(make_run(read_config(recipes / "teacher.toml") | small), tmp_path / "teacher")
    assert learned.network.config.encoder == "lite2"
    taught = {"teacher": str(tmp_path / "teacher" / "best.safetensors"), "unlabelled": "sample#train*0.1"}
    student = train(make_run(read_config(recipes / "student.toml") | small | taught), tmp_path / "student")
    assert student.network.config.encoder == "lite0"
    assert student.training.teachers == [f"best.safetensors {learned.sha256}"]


def test_names_of_teachers_are_read_as_they_are_written() -> None:
    assert teacher_names(None) == ()
    assert teacher_names(join_teachers(["a b.safetensors", "builtin"])) == ("a b.safetensors", "builtin")


def test_options_and_configurations_say_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Callable[..., Result]) -> None:
    runs: list[Run] = []

    def stop(run: Run, *_: object) -> SimpleNamespace:
        runs.append(run)
        raise InputError("far enough")

    monkeypatch.setattr("fcrn_mobile.training.train.train", stop)
    options = ["--teacher", "a", "--teacher", "b", "--unlabelled", "images:p*0.5", "--unlabelled", "sample", "--teacher-scales", "1,1.25"]
    call("train", "--data", "sample", "--out", "x", *options, "--teacher-weight", "0.25", "--no-teacher-flip")
    config = tmp_path / "run.toml"
    config.write_text(
        'teacher = "a + b"\nunlabelled = "images:p*0.5 + sample"\nteacher_scales = [1, 1.25]\nteacher_weight = 0.25\nteacher_flip = false\n'
    )
    expected = Supervised(
        teacher="a + b", unlabelled="images:p*0.5 + sample", teacher_scales=(1.0, 1.25), teacher_weight=0.25, teacher_flip=False
    )
    assert runs[0].hyper.objective == expected
    assert Hyperparameters.of(read_config(config)).objective == expected
    for text in ("teacher_scales = 2", 'teacher_scales = ["a"]', "teacher_scales = []"):
        config.write_text(text)
        with pytest.raises(InputError, match=r"teacher_scales is .*: give numbers in brackets"):
            read_config(config)
    refused(call("train", "--data", "sample", "--out", "x", "--teacher-scales", "1;2"), "give numbers with ',' between them")
