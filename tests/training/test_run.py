"""Settings from a configuration, the command line and a run's record."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data.transforms import Augmentation
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.training.distillation import FineTuning
from fcrn_mobile.training.hyperparameters import Hyperparameters, setting_kinds
from fcrn_mobile.training.objective import Objective
from fcrn_mobile.training.run import Run, load_run, make_run, read_config, save_run
from fcrn_mobile.training.selfsupervised.stereo import Stereo
from fcrn_mobile.training.selfsupervised.video import Video
from fcrn_mobile.training.supervised import Supervised
from tests.journeys.command import call  # noqa: F401 - a fixture

CONFIGS = Path(__file__).parents[2] / "benchmarks" / "training"

#: The article's hyper-parameters; `data` and `resume` are settings of the run.
ARTICLE = {"decoder": "upproj", "batch_size": 128, "lr_patience": 2, "manual_seed": 1, "momentum": 0.9, "print_freq": 10}
ARTICLE |= {"weight_decay": 5e-4, "workers": 0}


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(("name", "epochs", "lr"), [("article-1", 10, 0.01), ("article-2", 30, 0.002)])
def test_the_articles_runs_are_configurations(name: str, epochs: int, lr: float) -> None:
    values = read_config(CONFIGS / f"{name}.toml")
    assert values | ARTICLE | {"epochs": epochs, "lr": lr} == values
    run = make_run(values | {"data": "folder:nyu"})
    assert (run.network.encoder, run.network.decoder, run.network.input_size) == ("resnet50", "upproj", (228, 304))
    assert run.hyper.resize * 228 == pytest.approx(250, abs=0.5)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_makes_a_run(path: Path) -> None:
    assert make_run(read_config(path) | {"data": "sample"}).specs == ("sample#train", "sample#val")


def test_the_papers_run_uses_its_loss_and_optimizer() -> None:
    hyper = make_run(read_config(CONFIGS / "paper.toml") | {"data": "sample"}).hyper
    assert (hyper.objective.loss, hyper.optimizer, hyper.momentum, hyper.lr, hyper.batch_size) == ("berhu", "sgd", 0.9, 0.01, 16)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", ["unknown key 'epoch'", "epochs"]),
        ("epochs = 'many'", ["epochs is 'many'", "whole number"]),
        ("epochs = true", ["epochs is True", "whole number"]),
        ("lr = 'fast'", ["lr is 'fast'", "a number"]),
        ("random_crop = 1", ["random_crop is 1", "true or false"]),
        ("widths = '1,2,3,4,5'", ["widths", "brackets"]),
        ("widths = [1.5]", ["widths", "brackets"]),
        ("hyper = 1", ["unknown key 'hyper'"]),
        ("epochs = ", ["not valid TOML"]),
    ],
)
def test_a_bad_configuration_names_file_key_and_remedy(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_config(written(tmp_path / "bad.toml", text))
    for word in ["bad.toml", *words]:
        assert word in str(caught.value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no configuration at"):
        read_config(tmp_path / "none.toml")


def test_whole_numbers_serve_where_a_number_is_asked_for(tmp_path: Path) -> None:
    assert type(read_config(written(tmp_path / "c.toml", "max_degrees = 5"))["max_degrees"]) is float


numbers = st.floats(1e-6, 0.99)


@settings(max_examples=30, deadline=None)
@given(
    hyper=st.builds(
        Hyperparameters,
        epochs=st.integers(1, 100),
        batch_size=st.integers(1, 512),
        lr=numbers,
        momentum=numbers,
        ema=numbers,
        manual_seed=st.integers(0, 2**31),
        random_crop=st.booleans(),
        objective=st.builds(Supervised, loss=st.sampled_from(["berhu", "log-l1"])) | st.builds(Video, scales=st.integers(1, 4)),
    ),
    devices=st.integers(1, 8),
)
def test_a_run_survives_its_record(hyper: Hyperparameters, devices: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    run = Run(make_run({"data": "sample"}).network, hyper, "sample", devices=devices)
    save_run(run, path)
    assert load_run(path) == run
    assert json.loads(path.read_text())["hyper"] == hyper.flat()


def test_the_record_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="start a new run"):
        load_run(written(tmp_path / "run.json", '{"network": {}, "hyper": {"speed": 1}}'))


def test_a_run_from_a_checkpoint_takes_its_network() -> None:
    network = make_run({"data": "sample", "resume": "builtin", "input_size": [64, 96]}).network
    expected = load_checkpoint("builtin").network.config
    assert network.input_size == (64, 96)
    assert (network.widths, network.mean) == (expected.widths, expected.mean)


_OTHER = [("preset", "fcrn-resnet18"), ("preset", "fcrn-lite0"), ("decoder", "deconv2"), ("laterals", "add"), ("widths", [8] * 5)]


@pytest.mark.parametrize(("key", "value"), [*_OTHER, ("encoder_weights", "random"), ("encoder_weights", "imagenet")])
def test_another_network_than_the_checkpoint_to_start_from_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^--{key.replace('_', '-')}.*'?builtin'?.*: leave it out"):
        make_run({"data": "sample", "resume": "builtin", key: value})


@pytest.mark.parametrize("keys", [("preset",), ("decoder",), ("laterals",), ("widths",), ("preset", "decoder", "laterals", "widths")])
def test_a_configuration_that_names_the_checkpoints_own_network_goes_with_it(keys: tuple[str, ...]) -> None:
    config = load_checkpoint("builtin").network.config
    own = {key: list(config.widths) if key == "widths" else getattr(config, key) for key in keys}
    assert make_run({"data": "sample", "resume": "builtin", **own}).network == config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("loss", "ssim", "berhu"),
        ("optimizer", "lion", "adamw"),
        ("epochs", 0, "positive"),
        ("lr", -1.0, "positive"),
        ("lr", float("nan"), "positive"),
        ("accumulate", 0, "positive"),
        ("clip_norm", -1.0, "0 or a positive"),
        ("ema", 1.0, "below 1"),
        ("resize", 0.5, "1 to 10"),
        ("protocol", "x", "eigen"),
    ],
)
def test_bad_hyperparameters_are_named(field: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Hyperparameters.of({field: value})


def test_every_hyperparameter_has_an_option_of_its_name() -> None:
    from fcrn_mobile.cli.train import command

    options = {parameter.name: parameter for parameter in command.params}
    for name, default in Hyperparameters().flat().items():
        assert options[name].default == default


def test_the_command_line_mixes_sources_and_names_laterals(monkeypatch, tmp_path, call) -> None:  # noqa: F811
    runs: list[Run] = []

    def stop(run: Run, *_: object) -> None:
        runs.append(run)
        raise InputError("far enough")

    monkeypatch.setattr("fcrn_mobile.training.train.train", stop)
    config = tmp_path / "run.toml"
    config.write_text('preset = "fcrn-lite0-lateral"\ngradient = 0.5\ndata = "folder:c"\n')
    options = ["--data", "sample#train", "--data", "folder:b*0.5", "--val-data", "sample#val", "--laterals", "add", "--out", "x"]
    call("train", "--config", str(config), *options)
    (run,) = runs
    assert run.specs == ("sample#train + folder:b*0.5", "sample#val")
    assert (run.network.decoder, run.network.laterals) == ("upproj-bilinear", "add")
    assert run.hyper.objective.terms == {"gradient": 0.5}


@pytest.mark.parametrize(
    "objective", [Supervised("huber", silog=0.2), Video(explainability=0.1, minimum=False), Stereo(smoothness=0.0), FineTuning("w8a8")]
)
def test_every_objective_is_read_back_from_its_settings_by_name(objective: Objective) -> None:
    hyper = Hyperparameters(epochs=3, objective=objective)
    assert Hyperparameters.of(hyper.flat()) == hyper
    assert set(hyper.flat()) == set(Hyperparameters().flat()) == set(setting_kinds())


def test_settings_of_an_objective_that_is_not_asked_for_are_looked_at_too() -> None:
    with pytest.raises(InputError, match="ssim is 2"):
        Hyperparameters.of({"ssim": 2.0})
    with pytest.raises(TypeError, match="speed"):
        Hyperparameters.of({"speed": 1})


@pytest.mark.parametrize("setting", ["hue = 0.6", "gamma = -0.1", "cut_depth = 1.5", "cut_out = nan"])
def test_settings_of_the_augmentation_have_ranges(setting: str, tmp_path: Path) -> None:
    values = read_config(written(tmp_path / "c.toml", setting))
    with pytest.raises(InputError, match=f"{next(iter(values))} is .*: give"):
        Hyperparameters.of(values)


def test_every_setting_of_the_augmentation_reaches_it() -> None:
    asked = {"max_scale": 1.25, "max_degrees": 3.0, "jitter": 0.2, "random_crop": False, "resize": 1.125}
    asked |= {"hue": 0.05, "gamma": 0.2, "cut_depth": 0.25, "cut_out": 0.5}
    run = make_run({"data": "sample"} | asked)
    assert run.hyper.objective.transforms(run) == Augmentation(run.network.input_size, **asked).steps
