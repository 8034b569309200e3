"""``depth.toml`` and what it refuses."""

from pathlib import Path

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.project.project_file import Artefact, Bench, Model, Project, read_project

MODELS = '[[models]]\nreference = "builtin"\n[[models.artefacts]]\npath = "a.mlpackage"\n'


def written(folder: Path, text: str) -> Path:
    (folder / "depth.toml").write_text(text)
    return folder / "depth.toml"


def test_every_key_is_read(tmp_path: Path) -> None:
    text = """
    data = "folder:rooms#val"
    protocol = "full"
    align = "median"
    min_depth = 0.5
    max_depth = 8
    framing = "phone-portrait"
    budget = { fidelity = 0.05, abs_rel = "2%" }
    backend = "mil"
    arithmetic = "ane"
    without = ["ties", "softplus"]
    report = "out"

    [[models]]
    reference = "net.safetensors"

    [[models.artefacts]]
    path = "a.mlpackage"
    recipe = "int8"
    calibration = "folder:rooms#train"
    budget = { fidelity = "0.01" }

    [[models.artefacts]]
    path = "b.onnx"
    model_config = "b.toml"

    [[benches]]
    backend = "mil"
    runs = 5
    """
    first = Artefact("a.mlpackage", "int8", "folder:rooms#train", {"fidelity": "0.01"})
    models = (Model("net.safetensors", (first, Artefact("b.onnx", model_config="b.toml"))),)
    budget = {"fidelity": "0.05", "abs_rel": "2%"}
    project = read_project(written(tmp_path, text))
    how = ("full", "median", 0.5, 8, "phone-portrait")
    assert project == Project("folder:rooms#val", models, *how, budget, "mil", "ane", (Bench("mil", 5),), "out", ("ties", "softplus"))
    assert str(project.policy) == "ane without softplus, ties"
    assert project.lines == {"a.mlpackage": 18, "b.onnx": 24}
    assert [[limit.text for limit in project.limits(artefact)] for artefact in models[0].artefacts] == [
        ["fidelity=0.01"],
        ["fidelity=0.05", "abs_rel=2%"],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('dta = "sample"\n' + MODELS, ["unknown key 'dta'", "data", "models"]),
        (MODELS, ["data", "missing"]),
        ('data = "sample"\n', ["models", "missing"]),
        ("lines = {}\n" + MODELS, ["unknown key 'lines'"]),
        ('data = "sample"\nmodels = []\n', ["models is empty", "[[models]]"]),
        ('data = "sample"\nmodels = 3\n', ["models is 3", "[[models]]"]),
        ("data = 3\n" + MODELS, ["data is 3", "text"]),
        ('data = ""\n' + MODELS, ["data is ''", "text"]),
        ('data = "sample"\nmin_depth = "near"\n' + MODELS, ["min_depth is 'near'", "number"]),
        ('data = "sample"\narithmetic = "bf16"\n' + MODELS, ["bf16", "float16, ane"]),
        ('data = "sample"\narithmetic = "ane without ties"\n' + MODELS, ["ane without ties", "float16, ane"]),
        ('data = "sample"\narithmetic = "ane"\nwithout = ["tie"]\n' + MODELS, ["unknown trait 'tie'", "ties"]),
        ('data = "sample"\narithmetic = "ane"\nwithout = "ties"\n' + MODELS, ["without is 'ties'", "list"]),
        ('data = "sample"\nwithout = ["ties"]\n' + MODELS, ["'float16' has no traits", "use ane"]),
        ('data = "sample"\nframing = "wide"\n' + MODELS, ["wide", "phone-portrait"]),
        ('data = "sample"\nbudget = { fidelty = 1 }\n' + MODELS, ["fidelty", "fidelity"]),
        ('data = "sample"\nbudget = "fidelity=0.1"\n' + MODELS, ["budget is 'fidelity=0.1'", "table"]),
        ('data = "sample"\n' + MODELS + "recpe = 'int8'\n", ["unknown key 'recpe'", "recipe"]),
        ('data = "sample"\n' + MODELS.replace('path = "a.mlpackage"', "recipe = 'int8'"), ["path of [[models.artefacts]] is missing"]),
        ('data = "sample"\n' + MODELS.replace("a.mlpackage", "a.bin") + "recipe = 'int8'\n", ["a.bin", ".mlpackage"]),
        ('data = "sample"\n' + MODELS + "calibration = 'sample#train'\n", ["calibration", "without a recipe"]),
        ('data = "sample"\n' + MODELS + '[[models.artefacts]]\npath = "./a.mlpackage"\n', ["artefact 'a.mlpackage' is named twice"]),
        ('data = "sample"\n' + MODELS + MODELS.replace("a.ml", "b.ml"), ["reference 'builtin' is named twice"]),
        ('data = "sample"\n[[models]]\nreference = "builtin"\nartefacts = []\n', ["'builtin' has no artefacts"]),
        ('data = "sample"\n' + MODELS + "[[benches]]\nruns = 0\n", ["runs is 0"]),
        ('data = "sample"\n' + MODELS + "[[benches]]\nruns = true\n", ["runs is True", "whole number"]),
        ('data = "sample"\n' + MODELS + "[[benches]]\nruns = 2.5\n", ["runs is 2.5", "whole number"]),
        ("data = ", ["not valid TOML"]),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_project(written(tmp_path, text))
    for word in ["depth.toml", *words]:
        assert word in str(caught.value)


def test_a_missing_file_says_how_one_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no project file at .*fcrn-mobile init"):
        read_project(tmp_path / "depth.toml")
