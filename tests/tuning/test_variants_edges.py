"""Which packages are made, and what is read of them, with exports, programs and graphs replaced by a few names."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fcrn_mobile.conversion.recipe import Override, Recipe
from fcrn_mobile.conversion.weights import Weight
from fcrn_mobile.errors import InputError
from fcrn_mobile.tuning import variants as module
from fcrn_mobile.tuning.candidates import Candidate
from fcrn_mobile.tuning.variants import Variant, Variants, make_variants
from tests.validation.programs import depth_program, step

INT8, SLASHED = Candidate("int8", "int8"), Candidate("palette4/8", "palette4")
BASE = Recipe(name="mine", output="image", target="iOS18")
FLOATS = {"a": torch.ones(4, 2), "b": torch.ones(2, 3)}


def program(suffix: str, loss: float = 0.0) -> Any:
    """Two operators read weight a, one reads b; another has a vector, another none."""
    weights = {name: value + loss for name, value in FLOATS.items()}
    steps = [
        step("linear", f"x{suffix}", "image", weight=weights["a"]),
        step("linear", f"y{suffix}", "image", weight=weights["b"]),
        step("linear", f"z{suffix}", "image", weight=weights["a"]),
        step("norm", f"n{suffix}", "image", weight=torch.ones(3)),
        step("relu", f"r{suffix}", "image"),
    ]
    names = {f"x{suffix}": "a", f"y{suffix}": "b", f"z{suffix}": "a", f"n{suffix}": "v"}
    for operation in steps:
        if operation.name in names:
            operation.names["weight"] = names[operation.name]
    return depth_program(*steps)


#: Bytes of weight a and b by package.
BYTES = {"fp16": (16, 12), "int8": (9, 12), "palette4-8": (17, 6), "int4-32": (5, 12)}


class Folder:
    """A folder of packages in name alone."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.exported, self.compressed = path, [], []  # type: ignore[var-annotated]
        self.programs = {"fp32": program(""), "fp16": program("_cast"), "int8": program("_cast", 0.5), "palette4-8": program("_cast", 0.25)}
        self.loads: list[tuple[str, ...]] = []
        monkeypatch.setattr(module, "Program", SimpleNamespace(load=self.load))
        monkeypatch.setattr(module, "read_graph", self.graph)
        monkeypatch.setattr(module, "work", lambda graph: [f"{graph.name} {number}" for number in range(4)])
        monkeypatch.setattr(module, "package_weights", lambda path: [self.weight("a"), self.weight("b")])
        monkeypatch.setattr(module, "compress", self.compress)
        import coremltools

        monkeypatch.setattr(coremltools.models, "MLModel", lambda path, skip_model_load: path)

    def weight(self, name: str) -> Weight:
        return Weight(name, ("x",), "conv", (64, 32, 1, 1) if name == "a" else (60, 31, 1, 1), 1, "fp16", None, None, name)

    def export(self, recipe: Recipe, path: Path) -> None:
        self.exported.append((path.name, recipe))
        path.mkdir()

    def compress(self, model: str, recipe: Recipe) -> Any:
        self.compressed.append((Path(model).name, recipe))
        return SimpleNamespace(save=lambda path: Path(path).mkdir())

    def load(self, path: Path, *arithmetic: str) -> Any:
        self.loads.append((path.stem, *arithmetic))
        return self.programs[path.stem]

    def graph(self, path: Path) -> Any:
        a, b = BYTES[path.stem]
        nodes = [
            SimpleNamespace(name=f"{op}_cast", kind="linear", weights={"weight": SimpleNamespace(stored_bytes=size)})
            for op, size in (("x", a), ("y", b), ("z", a))
        ]
        free = SimpleNamespace(name="r_cast", kind="identity", weights={})
        return SimpleNamespace(name=path.stem, nodes=[free, *nodes, SimpleNamespace(name="n_cast", kind="norm", weights={})])

    def __call__(self, *candidates: Candidate) -> tuple[Variants, list[tuple[int, int]]]:
        calls: list[tuple[int, int]] = []
        origin: Any = SimpleNamespace(title="checkpoint 'net'", write=self.export)
        return make_variants(origin, BASE, candidates, self.path, lambda done, total: calls.append((done, total))), calls


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


def test_each_package_is_made_once(folder: Folder) -> None:
    _, calls = folder(INT8, SLASHED)
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    single = Recipe(name="mine", precision="fp32", output="array", target="iOS18")
    assert folder.exported == [("fp32.mlpackage", single), ("fp16.mlpackage", BASE)]
    assert [model for model, _ in folder.compressed] == ["fp16.mlpackage"] * 2
    assert folder.compressed[0][1].ops == (Override(("a", "b"), "int8"),)
    assert sorted(path.name for path in folder.path.iterdir()) == [f"{name}.mlpackage" for name in ("fp16", "fp32", "int8", "palette4-8")]
    assert folder.loads == [("fp32",), ("fp16", "float16"), ("int8", "float16"), ("palette4-8", "float16")]
    folder(INT8, SLASHED)
    assert (len(folder.exported), len(folder.compressed)) == (2, 2)


def test_a_candidate_stores_what_it_fits_and_one_that_fits_nothing_makes_no_package(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.programs["int4-32"] = folder.programs["int8"]
    folder(Candidate("int4/32", "int4", {"block_size": 32}), INT8)
    assert folder.compressed[0][1].ops == (Override(("a",), "int4", {"block_size": 32}),)
    monkeypatch.setattr(module, "package_weights", lambda path: [folder.weight("b")])
    found, _ = folder(Candidate("int4/7", "int4", {"block_size": 7}), INT8)
    assert list(found.stored) == ["fp16", "int8"]
    assert not (folder.path / "int4-7.mlpackage").exists()


def test_weights_are_read_by_name_with_their_readers_bytes_and_works(folder: Folder) -> None:
    found, _ = folder(INT8, SLASHED)
    assert found.readers == {"a": ("x", "z"), "b": ("y",)}
    assert found.half_readers == {"a": ("x_cast", "z_cast"), "b": ("y_cast",)}
    assert (found.reference, found.half) == (folder.programs["fp32"], folder.programs["fp16"])
    assert found.half_package == folder.path / "fp16.mlpackage"
    assert found.works == ("fp16 0", "fp16 1", "fp16 2", "fp16 3")
    told = {name: {weight: (each.stored_bytes, each.works) for weight, each in row.items()} for name, row in found.stored.items()}
    assert told == {
        "fp16": {"a": (16, ("fp16 0", "fp16 2")), "b": (12, ("fp16 1",))},
        "int8": {"a": (9, ("int8 0", "int8 2"))},  # b is as large as before
        "palette4/8": {"b": (6, ("palette4-8 1",))},  # and a larger
    }
    assert torch.equal(found.stored["int8"]["a"].values, FLOATS["a"] + 0.5)


def test_a_choice_becomes_weights_of_all_readers(folder: Folder) -> None:
    found, _ = folder(INT8, SLASHED)
    assert found.uniform("int8") == {"a": "int8", "b": "fp16"}
    assert found.uniform("fp16") == {"a": "fp16", "b": "fp16"}
    made = found.replacement({"a": "int8", "b": "palette4/8"})
    assert {op: float(weight["weight"].flatten()[0]) for op, weight in made.items()} == {"x": 1.5, "z": 1.5, "y": 1.25}
    assert list(found.replacement({"a": "int8"}, half=True)) == ["x_cast", "z_cast"]
    assembled = {each.name: each.arguments.get("weight") for each in found.assembled({"a": "int8"}).operations}
    assert [float(assembled[name].flatten()[0]) for name in ("x_cast", "y_cast", "z_cast")] == [1.5, 1.0, 1.5]  # type: ignore[union-attr]
    assert isinstance(found.stored["int8"]["a"], Variant)


@pytest.mark.parametrize("broken", ["fp32", "fp16"])
def test_a_network_whose_weights_cannot_be_told_is_refused(folder: Folder, broken: str) -> None:
    folder.programs[broken] = depth_program(step("relu", "r_cast", "image"))
    with pytest.raises(InputError, match="checkpoint 'net' has no weights of convolutions and linear layers"):
        folder(INT8)
