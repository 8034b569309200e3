"""A form of data is one record: with it the form is opened, listed, scored and told apart, and no other place knows its name."""

import ast
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import fcrn_mobile
from fcrn_mobile.data.cameras import DataSet, TrainingCamera
from fcrn_mobile.data.forms import DEPTH, FORMS, STEREO, VIDEO, Form, Option, forms_for, usage
from fcrn_mobile.data.source import Sample
from fcrn_mobile.data.spec import default_protocol, open_source, open_views, training_camera, without_depth
from fcrn_mobile.errors import InputError
from tests.journeys.command import Result, refused

CAMERA = TrainingCamera("the moon", 1200.0, 640)


class Ramps:
    """Frames of nothing but a slope, from ``near`` to ``far`` metres."""

    def __init__(self, path: Path, far: float, near: float = 1.0) -> None:
        self.names = tuple(f"{path.name}{number}" for number in range(10))
        self.depth = np.linspace(near, far, 48 * 64, dtype=np.float32).reshape(48, 64)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return Sample(np.full((48, 64, 3), 25 * index, np.uint8), self.depth, self.names[index])

    def splits(self) -> dict[str, tuple[int, ...]]:
        return {"train": (0, 1), "val": (2,), "dark": ()}


@pytest.fixture
def ramps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form ``ramps``, in a file of its own."""
    module = ModuleType("fcrn_mobile.data.ramps")
    module.Ramps = Ramps  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    options = (
        Option("near", "METRES", float, "give metres"),
        Option("far", "METRES", float, "give metres", "where it ends: add ?far=METRES"),
    )
    for objective in (DEPTH, VIDEO):
        form = Form(
            "ramps", "ramps:Ramps", options, objective, ("dark",), data_set=DataSet("moon", CAMERA), protocol="full", remark="slopes"
        )
        monkeypatch.setitem(FORMS, (objective, form.name), form)


@pytest.mark.usefixtures("ramps")
def test_a_record_is_all_that_a_form_needs(call: Callable[..., Result]) -> None:
    assert open_source("ramps:a/b?far=5&near=2#val")[0].depth.max() == 5
    assert open_views("ramps:b?far=3", VIDEO).names[1] == "b1"
    assert (default_protocol("ramps:b"), training_camera("ramps:my-moon"), without_depth("ramps:b")) == ("full", CAMERA, False)
    result = call("evaluate", "builtin", "--data", "ramps:b?far=3#train", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert '"images": 2' in result.stdout
    assert '"protocol": "full"' in result.stdout
    refused(call("evaluate", "builtin", "--data", "ramp:b"), "unknown data 'ramp:b'", "ramps:PATH?far=METRES[&near=METRES] (slopes)")
    refused(call("evaluate", "builtin", "--data", "ramp:b"), "each with [#train|#val], nyu-mat with [#test] too, ramps with [#dark] too")
    refused(call("evaluate", "builtin", "--data", "ramps:b?near=2"), "'ramps:b?near=2' does not say where it ends: add ?far=METRES")
    refused(call("evaluate", "builtin", "--data", "ramps:b?far=x"), "far 'x' in 'ramps:b?far=x': give metres")
    refused(call("evaluate", "builtin", "--data", "ramps:b?a=1"), "unknown option 'a'", "allowed are near, far, fx")
    refused(call("evaluate", "builtin", "--data", "ramps:b?far=3#dark"), "split '#dark'", "is empty: none of its 10 frames")
    with pytest.raises(InputError, match=r"kitti:PATH\[\?step=FRAMES\], ramps:PATH\?far=METRES"):
        open_views("folder:a", VIDEO)


@pytest.mark.usefixtures("ramps")
def test_a_form_that_only_has_views_is_for_its_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FORMS, (DEPTH, "ramps"))
    assert without_depth("ramps:b")
    with pytest.raises(InputError, match="holds no depth: it is for train --objective video"):
        open_source("ramps:b?far=3")


def test_the_forms_are_listed_as_ever() -> None:
    assert usage(DEPTH) == (
        "sample, folder:PATH[?scale=UNITS_PER_METRE], nyu-mat:PATH[?splits=FILE], nyu-h5:PATH, csv:PATH, "
        "list:PATH[?root=FOLDER&scale=UNITS_PER_METRE], kitti:PATH, tum:PATH[?max_difference=SECONDS]; "
        "each with [#train|#val], nyu-mat with [#test] too; each with fx=PIXELS behind ? too"
    )
    assert usage(VIDEO) == ("frames:PATH?fx=PIXELS[&fy=&cx=&cy=&step=FRAMES] (a folder of pictures or a video), kitti:PATH[?step=FRAMES]")
    assert usage(STEREO) == "stereo:PATH?fx=PIXELS&baseline=METRES[&fy=&cx=&cy=] (left/ and right/), kitti:PATH"


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: f"{form.objective}-{form.name}")
def test_what_opens_a_form_is_there(form: Form) -> None:
    assert callable(pkgutil.resolve_name(f"fcrn_mobile.data.{form.opens}"))


def test_no_other_module_lists_the_forms() -> None:
    """Of the names that are no words of other things, no module but the records holds two in one table."""
    names = {form.name for objective in (DEPTH, VIDEO, STEREO) for form in forms_for(objective)} - {"folder", "list", "stereo", "frames"}
    package = Path(fcrn_mobile.__file__).parent
    tables = (ast.Dict, ast.Tuple, ast.List, ast.Set)
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, tables):
                words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
                assert len(words & names) < 2 or file.name == "forms.py", f"{file}:{node.lineno}"


def test_every_form_is_in_the_manual() -> None:
    manual = (Path(fcrn_mobile.__file__).parents[1] / "docs" / "data.md").read_text()
    assert [form.name for form in FORMS.values() if f"| `{form.name}" not in manual] == []
