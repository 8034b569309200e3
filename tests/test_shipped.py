"""Recipes and training configurations by name, from a checkout and from a wheel."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fcrn_mobile.conversion.completed import short_recipe
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import read_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.reports import schema
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.shipped import APP, CONFIGURATIONS, RECIPES, Shelf
from fcrn_mobile.training.run import read_config
from tests.conftest import settled
from tests.journeys.command import Result, refused
from tests.wheel import ROOT


def test_a_name_is_the_file_of_the_repository() -> None:
    assert read_recipe(Path("int8")) == read_recipe(ROOT / "export/int8.toml")
    assert read_config(Path("article-1")) == read_config(ROOT / "benchmarks/training/article-1.toml")


@pytest.mark.parametrize("shelf", [RECIPES, CONFIGURATIONS], ids=lambda shelf: shelf.what)
def test_a_name_that_is_none_is_told_those_that_are(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("no-such", "export/fp16.toml"):
        with pytest.raises(InputError) as caught:
            shelf.read(Path(name))
        assert all(word in str(caught.value) for word in (shelf.what, name, *shelf.names))


def test_a_file_of_that_name_comes_first_and_a_folder_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fp16").mkdir()
    Path("int8").write_text('precision = "int4"\n')
    assert read_recipe(Path("fp16")).name == "fcrn-fp16"
    assert read_recipe(Path("int8")).precision == "int4"


@pytest.mark.parametrize("name", ["fp16", "int8", "palette8", "palette6", "palette1"])
def test_a_short_name_says_what_the_recipe_says(name: str) -> None:
    recipe, short = read_recipe(Path(name)), short_recipe(name)
    assert replace(recipe, name=short.name, budget={}) == short


def test_a_short_name_and_the_recipe_give_the_same_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint = Checkpoint("small", settled(FCRN(preset("fcrn-plain", widths=(16, 8, 8, 8), input_size=(64, 96)))))
    weights = []
    for recipe in (read_recipe(Path("int8")), short_recipe("int8", checkpoint)):
        out = tmp_path / f"{len(weights)}.mlpackage"
        export(checkpoint, recipe.calibrated_on("sample#train", 1), out)
        (file,) = out.rglob("weight.bin")
        weights.append(file.read_bytes())
    assert weights[0] == weights[1]


def test_commands_take_names(call: Callable[..., Result]) -> None:
    refused(call("export", "builtin", "--recipe", "no-such", "--out", "a.mlpackage"), *RECIPES.names)
    refused(call("train", "--config", "no-such"), *CONFIGURATIONS.names)
    refused(call("train", "--config", "article-1"), "nothing to train")
    refused(call("export", "no-such.safetensors", "--recipe", "int8", "--out", "a.mlpackage"), "no-such.safetensors")


def test_the_wheel_carries_the_files_that_people_edit(unpacked_wheel: Path) -> None:
    (wheel,) = unpacked_wheel.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for shelf in (RECIPES, CONFIGURATIONS):
            copies = {name: archive.read(f"fcrn_mobile/shipped_files/{shelf.source}/{name}.toml") for name in shelf.names}
            assert copies == {path.stem: path.read_bytes() for path in (ROOT / shelf.source).glob("*.toml")}
        assert not any(name.endswith(("rooms.py", "train.py")) for name in archive.namelist() if "shipped_files" in name)


SCRIPT = """
from pathlib import Path
import fcrn_mobile
from fcrn_mobile.latency.reports import schema
from fcrn_mobile.training.run import read_config
print(fcrn_mobile.__file__, fcrn_mobile.read_recipe(Path("int8")), read_config(Path("article-1")), schema(1) | schema(), sep="\\n")
"""


def test_the_wheel_alone_knows_the_names(unpacked_wheel: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(unpacked_wheel)}
    shown = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    here = read_recipe(Path("int8")), read_config(Path("article-1")), schema(1) | schema()
    assert shown.stdout.splitlines() == [str(unpacked_wheel / "fcrn_mobile/__init__.py"), *map(str, here)]


def test_the_wheel_writes_the_apps_project(unpacked_wheel: Path, tmp_path: Path) -> None:
    """Every file that is committed of what the app is built from, and nothing else."""
    script = "import sys; from pathlib import Path; from fcrn_mobile.shipped import copy_app; copy_app(Path(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": str(unpacked_wheel)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "app")], cwd=tmp_path, env=environment, check=True)
    listed = subprocess.run(["git", "ls-files", *APP], cwd=ROOT / "ios_demo", capture_output=True, text=True, check=True).stdout.split("\n")
    files = {path.relative_to(tmp_path / "app").as_posix(): path for path in (tmp_path / "app").rglob("*") if path.is_file()}
    assert sorted(files) == sorted(filter(None, listed))
    assert all(path.read_bytes() == (ROOT / "ios_demo" / name).read_bytes() for name, path in files.items())


def test_a_new_app_has_the_model_in_it(packages: Mapping[str, Path], call: Callable[..., Result], tmp_path: Path) -> None:
    made = call("ios-install", str(packages["fp16"]), "--new", "app")
    assert made.returncode == 0, made.stderr
    assert "next: open app/DepthDemo.xcodeproj" in made.stdout
    assert (tmp_path / "app/Models/fp16.mlpackage/Manifest.json").is_file()
    assert (tmp_path / "app/Models/fp16.fidelity.json").is_file()
    assert (tmp_path / "app/DepthDemo.xcodeproj/project.pbxproj").is_file()
    refused(call("ios-install", str(packages["fp16"]), "--new", "app"), "'app' exists", "with --new", "--models app/Models")
    refused(call("ios-install", "missing.mlpackage", "--new", "other"), "missing.mlpackage")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app"]
