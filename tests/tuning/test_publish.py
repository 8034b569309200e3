"""What a search leaves in its folder: its own results whole, nothing of an earlier one, no folder of work."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fcrn_mobile.conversion.recipe import make_recipe, read_recipe
from fcrn_mobile.tuning.publish import FRONT, PICTURE, RECIPE, WORK, outputs, publish


@dataclass(frozen=True)
class Drift:
    path: str = "work"
    name: str = "mine.0"
    size_bytes: int = 25


@dataclass(frozen=True)
class Chosen:
    recipe: Any = field(default_factory=lambda: make_recipe({"name": "mine", "precision": "int8"}, "test"))
    drift: Drift = Drift()
    promises: tuple[Any, ...] = (SimpleNamespace(text="fidelity below 0.02"), SimpleNamespace(text="abs_rel below 1 %"))


@dataclass(frozen=True)
class Result:
    package: Path | None
    chosen: Chosen = field(default_factory=Chosen)
    mean_bits: float = 7.5
    float_bytes: int = 100

    def to_json(self) -> dict[str, Any]:
        return {"package": str(self.package), "path": self.chosen.drift.path}


def folder_of_work(out: Path, name: str) -> Path:
    package = out / WORK / "mine.0.mlpackage"
    package.mkdir(parents=True)
    (package / "weights").write_text(name)
    return package


def draw(result: Any, path: Path) -> None:
    path.write_text(f"picture of {result.package}")


def test_results_replace_those_of_an_earlier_search(tmp_path: Path) -> None:
    for name in ("first", "second"):
        result: Any = Result(folder_of_work(tmp_path, name))
        published = publish(result, tmp_path, draw)
        package = tmp_path / "mine.mlpackage"
        assert published.package == package
        assert published.chosen.drift == Drift(str(package), "mine", 25)
        assert sorted(tmp_path.iterdir()) == sorted(outputs(tmp_path, "mine"))
        assert (package / "weights").read_text() == name
        assert [path.name for path in package.iterdir()] == ["weights"]
    assert read_recipe(tmp_path / RECIPE) == result.chosen.recipe
    text = (tmp_path / RECIPE).read_text()
    assert "0.250 of the fp32 package's size, 7.50 bits per weight" in text
    assert "fidelity below 0.02; abs_rel below 1 %" in text
    assert str(package) in (tmp_path / FRONT).read_text()
    assert (tmp_path / PICTURE).read_text() == f"picture of {package}"


@pytest.mark.parametrize("earlier", [True, False])
def test_without_a_package_only_the_front_is_left(earlier: bool, tmp_path: Path) -> None:
    if earlier:
        before: Any = Result(folder_of_work(tmp_path, "first"))
        publish(before, tmp_path, draw)
    (tmp_path / WORK).mkdir()
    result: Any = Result(None)
    assert publish(result, tmp_path, draw) is result
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FRONT, PICTURE])
    assert (tmp_path / PICTURE).read_text() == "picture of None"
