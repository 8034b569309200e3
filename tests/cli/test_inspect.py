"""``inspect``: what it says of weights that are missing or damaged, of pipelines and of other kinds of models."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fcrn_mobile.cli.main import main
from tests.mil.build import mb, save_program
from tests.mil.specifications import joined, model, named_program, pipeline, saved

WEIGHT = np.ones((40, 40), np.float32)
RUNS = "the MIL runtime runs every operator"


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return save_program(
        tmp_path_factory.mktemp("one"), lambda x0: mb.linear(x=x0, weight=WEIGHT, name="y"), [np.zeros((1, 40), np.float32)]
    )


def shown(path: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["inspect", str(path), *options])
    assert result.exit_code == 0, result.output
    return result.output


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def overwritten(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:64] + bytes(64) + content[128:])


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (Path.unlink, "does not exist: copy or export the package again"),
        (cut, "are truncated (1000 bytes,"),
        (overwritten, "has no blob at byte 64"),
        (
            lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n" + bytes(9)),
            "only point to a file in Git LFS",
        ),
    ],
)
def test_weights_that_are_not_there_are_named(damage: Callable[[Path], None], line: str, package: Path, tmp_path: Path) -> None:
    assert RUNS in shown(package)
    copy = tmp_path / "copy.mlpackage"
    shutil.copytree(package, copy)
    damage(next(copy.rglob("weight.bin")))
    output = shown(copy)
    assert line in output
    assert "damaged  " in output
    assert RUNS not in output
    facts = json.loads(shown(copy, "--json", "-"))
    assert facts["damaged"]
    assert facts["operators"] == {"linear": 1}


def test_a_pipeline_lists_its_stages_and_what_does_not_run(tmp_path: Path) -> None:
    both = joined([named_program(tmp_path, WEIGHT, names) for names in (("x", "y"), ("y", "z"))], tmp_path)
    facts = json.loads(shown(both, "--json", "-"))
    assert facts["kind"] == "pipeline"
    assert facts["stages"] == [
        f"model{index}: mlProgram, {wires}, 2 operators, 0.0 MB of weights" for index, wires in enumerate(("x → y", "y → z"))
    ]
    assert facts["operators"] == {"linear": 2, "add": 2}
    assert facts["macs"] == 2 * 2 * 40 * 40
    assert facts["weights"] == {"FLOAT32": 2 * 4 * (40 * 40 + 40)}  # coremltools adds a bias
    assert facts["placement"]
    next(both.rglob("1-weight.bin")).unlink()
    assert "1-weight.bin' does not exist" in shown(both)

    print_of = model("visionFeaturePrint", {"image": ("RGB", (299, 299))}, {"v": ("DOUBLE", [2048])})
    glm = model("normalizer", {"v": ("DOUBLE", [2048])}, {"n": ("DOUBLE", [2048])})
    made = pipeline([print_of, glm], {"image": ("RGB", (299, 299))}, {"n": ("DOUBLE", [2048])})
    made.pipeline.names.extend(["print", "norm"])
    output = shown(saved(made, tmp_path))
    assert "print: visionFeaturePrint, image → v, which does not run here (its weights are Apple's and not in the file)" in output
    assert "norm: normalizer, v → n\n" in output
    assert "unsupported  visionFeaturePrint" in output


def test_a_model_without_operators_has_nothing_to_place(tmp_path: Path) -> None:
    path = saved(model("normalizer", {"x": ("DOUBLE", [4])}, {"y": ("DOUBLE", [4])}), tmp_path)
    assert "placement" not in json.loads(shown(path, "--json", "-"))
    result = CliRunner().invoke(main, ["inspect", str(path), "--estimate"])
    assert "has no operators to estimate" in str(result.exception)
