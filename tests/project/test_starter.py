"""The first project file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.network.checkpoints import checkpoint_path, load_checkpoint
from fcrn_mobile.project.project_file import Artefact, read_project
from fcrn_mobile.project.starter import starter
from tests.project.small import save_small


def project_of(folder: Path) -> tuple[str, dict[str, tuple[Artefact, ...]], str]:
    text = starter(folder)
    (folder / "depth.toml").write_text(text)
    project = read_project(folder / "depth.toml")
    return project.data, {model.reference: model.artefacts for model in project.models}, text


def test_an_empty_folder_gets_the_builtin_network(tmp_path: Path) -> None:
    data, models, _ = project_of(tmp_path)
    packages = (Artefact("models/builtin-fp16.mlpackage", "fp16"), Artefact("models/builtin-int8.mlpackage", "int8"))
    assert (data, models) == ("sample#val", {"builtin": packages})


def test_runs_packages_recipes_and_frames_are_seen(tmp_path: Path) -> None:
    best = save_small(tmp_path / "runs/mine/best.safetensors")
    save_small(tmp_path / "runs/mine/last.safetensors", seed=1)
    stranger = load_checkpoint(str(save_small(tmp_path / "gone.safetensors", seed=2)))
    (tmp_path / "gone.safetensors").unlink()
    (tmp_path / "half.toml").write_text('name = "half"\nprecision = "fp16"\nbudget = { fidelity = "0.02" }\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "app"\n')
    (tmp_path / "notes.safetensors").write_bytes(b"nothing")
    network = load_checkpoint(str(best))
    for name, of, recipe in (("a", network, tmp_path / "half.toml"), ("b", network, Path("fp16")), ("c", stranger, Path("fp16"))):
        export(of, read_recipe(recipe), tmp_path / f"{name}.mlpackage")
    (tmp_path / "d.mlpackage").mkdir()
    rng = np.random.default_rng(0)
    for index in range(12):
        for kind, pixels in (("rgb", rng.integers(0, 256, (8, 8, 3), np.uint8)), ("depth", np.full((8, 8), 2000, np.uint16))):
            (tmp_path / "my#rooms" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / f"my#rooms/{kind}/{index:02}.png")
    data, models, text = project_of(tmp_path)
    assert data == "folder:my%23rooms#val"
    assert models == {"runs/mine/best.safetensors": (Artefact("a.mlpackage", "half.toml"), Artefact("b.mlpackage", "fp16"))}
    assert "# c.mlpackage: its checkpoint is not here" in text
    assert "# d.mlpackage: it cannot be read" in text


@pytest.mark.parametrize("names", [("net", "copy/net"), ("runs/a/best", "runs/b/best"), ("builtin",), ("builtin", "mine")])
def test_the_same_weights_in_several_files_are_one_network(names: tuple[str, ...], tmp_path: Path) -> None:
    """A package of theirs is one artefact; a copy of the built-in network is the built-in network."""
    weights = checkpoint_path("builtin") if "builtin" in names else save_small(tmp_path / "small" / "of.safetensors")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights, tmp_path / f"{name}.safetensors")
    if weights.parent == tmp_path / "small":
        weights.unlink()
    export(load_checkpoint(str(tmp_path / f"{names[-1]}.safetensors")), read_recipe(Path("fp16")), tmp_path / "depth.mlpackage")
    _, models, _ = project_of(tmp_path)
    assert models == {f"{min(names)}.safetensors": (Artefact("depth.mlpackage", "fp16"),)}


def test_networks_of_one_name_get_packages_of_their_own(tmp_path: Path) -> None:
    for seed, name in enumerate(("net", "old/net", "runs/a/best", "more/a/best", "runs/b/best")):
        save_small(tmp_path / f"{name}.safetensors", seed)
    _, models, _ = project_of(tmp_path)
    assert {reference: artefacts[0].path for reference, artefacts in models.items()} == {
        "net.safetensors": "models/net-fp16.mlpackage",
        "old/net.safetensors": "models/old-net-fp16.mlpackage",
        "runs/a/best.safetensors": "models/runs-a-best-fp16.mlpackage",
        "more/a/best.safetensors": "models/more-a-best-fp16.mlpackage",
        "runs/b/best.safetensors": "models/b-fp16.mlpackage",
    }


def test_what_no_recipe_makes_is_held_to_a_budget_nevertheless(tmp_path: Path) -> None:
    """The precision's own, where a recipe that comes along has one; a package that brings its budget is held to that."""
    network = load_checkpoint(str(save_small(tmp_path / "net.safetensors")))
    mine = {"a": Recipe(name="a"), "b": read_recipe(Path("sparse50")), "c": Recipe(name="c", budget={"fidelity": "0.3"})}
    for name, recipe in mine.items():
        export(network, recipe, tmp_path / f"{name}.mlpackage")
    _, models, text = project_of(tmp_path)
    assert models["net.safetensors"] == (
        Artefact("a.mlpackage", budget=dict(read_recipe(Path("fp16")).budget)),
        Artefact("b.mlpackage", "sparse50", budget={"fidelity": "0.05"}),
        Artefact("c.mlpackage"),
    )
    assert "# what the recipe fp16 allows" in text and "# a start: allow what the app can bear" in text
