"""The search from a checkpoint to the package, on a small network and the sample's frames."""

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.conversion.weights import package_weights
from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.report.pareto import save_pareto
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.tuning import measured, tune
from fcrn_mobile.tuning.candidates import CANDIDATES
from fcrn_mobile.tuning.objective import mean_bits, options, worth_measuring
from fcrn_mobile.tuning.origin import open_origin
from fcrn_mobile.tuning.publish import WORK, publish
from fcrn_mobile.tuning.result import Tuning
from fcrn_mobile.tuning.tune import Request
from fcrn_mobile.tuning.variants import Variants, make_variants
from tests.conftest import settled
from tests.journeys.command import refused

CHOSEN = tuple(c for c in CANDIDATES if c.name in ("int8", "palette6/16", "palette4/8"))
BASE = Recipe(name="small-tuned", target="iOS18")
LEFT = ["pareto.json", "pareto.png", "recipe.toml", "sensitivities.json", "small-tuned.mlpackage"]
BUDGET = "fidelity=0.01"


@contextmanager
def silent(title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def request_for(path: str, budget: str = BUDGET, **changes: object) -> Request:
    asked = Request(path, "sample", (parse_limit(budget),), protocol("eigen"), BASE, search_images=2, candidates=CHOSEN)
    return replace(asked, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with batch norms as training leaves them, and depth around 3 m."""
    torch.manual_seed(0)
    network = settled(FCRN(preset("fcrn-plain", widths=(16, 16, 8, 8), input_size=(64, 64))))
    with torch.no_grad():
        scale = network(torch.rand(1, 3, 64, 64)).std()
    network.head.weight.data *= 0.3 / scale
    network.head.bias.data.fill_(3.0)
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    save_checkpoint(network, path)
    return path


@pytest.fixture(scope="module")
def packages(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The candidates' packages: a search goes on with those that it finds."""
    folder = tmp_path_factory.mktemp("packages")
    make_variants(open_origin(str(small)), BASE, CHOSEN, folder, lambda done, total: None)
    return folder


@pytest.fixture(scope="module")
def variants(small: Path, packages: Path) -> Variants:
    return make_variants(open_origin(str(small)), BASE, CHOSEN, packages, lambda done, total: None)


@pytest.fixture(scope="module")
def run(packages: Path) -> Callable[..., Tuning]:
    def tuned(request: Request, out: Path, force: bool = False) -> Tuning:
        if not (out / WORK).exists():
            shutil.copytree(packages, out / WORK)
        return publish(tune.tune(request, out, force, silent), out, save_pareto)

    return tuned


@pytest.fixture(scope="module")
def found(run: Callable[..., Tuning], small: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    return run(request_for(str(small)), tmp_path_factory.mktemp("found"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_budget_is_held_on_frames_that_were_not_searched_on(found: Tuning, small: Path) -> None:
    """The drift once more, by hand, from the written package and the network in torch."""
    assert found.package and found.held
    folder = found.package.parent
    assert files(folder) == LEFT
    value = json.loads((folder / "pareto.json").read_text())
    unseen = open_source("sample#val")
    assert not set(value["search"]) & set(unseen.names)
    assert (len(value["search"]), value["verification_images"]) == (2, len(unseen))
    candidate, reference = open_runtime(str(found.package), "mil"), open_runtime(str(small))
    drifts = []
    for index in range(len(unseen)):
        depth, truth = (runtime.predict(unseen[index].image) for runtime in (candidate, reference))
        drifts.append(np.mean(np.abs(depth - truth) / truth))
    assert np.mean(drifts) == pytest.approx(value["fidelity"]["abs_rel"], rel=1e-4)
    # The bound, by hand: t(0.95, 3) = 2.3534.
    (budget,) = value["budget"]
    assert budget["bound"] == pytest.approx(np.mean(drifts) + 2.3534 * np.std(drifts, ddof=1) / np.sqrt(len(drifts)), rel=1e-3)
    assert (budget["level"], budget["images"], budget["held"]) == (0.95, 4, True)
    assert np.mean(drifts) < budget["bound"] <= 0.01
    assert found.chosen.promises[0].text in (folder / "recipe.toml").read_text()


def test_the_search_aims_below_the_budget_by_what_the_bound_will_take(found: Tuning) -> None:
    """From the spread over the two images searched on, of the scheme in the middle: 0.97 of what leaves the bound at the budget."""
    assert found.package
    drifts = json.loads((found.package.parent / measured.FILE).read_text())["drifts"]
    rows = [drifts[candidate.name][measured.ALL] for candidate in CHOSEN]
    spread = np.median([abs(row[0] - row[1]) / np.sqrt(2) / np.mean(row) for row in rows])
    assert found.attempts[0].target == pytest.approx(0.97 * 0.01 / (1 + 2.3534 * spread / np.sqrt(4)), rel=1e-4)


def test_a_promise_on_few_images_is_warned_of(found: Tuning) -> None:
    assert [warning.partition(":")[0] for warning in found.warnings] == [
        "4 images to verify on, not the 32 of --verify-images",
        "verified on 4 images",
    ]
    assert "fewer than 16" in found.warnings[1]
    assert json.loads((found.package.parent / "pareto.json").read_text())["warnings"] == list(found.warnings)  # type: ignore[union-attr]
    assert not replace(found, verified=16, notes=()).warnings


def test_no_uniform_scheme_that_holds_the_budget_is_as_small(found: Tuning) -> None:
    (chosen,) = (point for point in found.points if point.kind == "chosen")
    uniform = {point.name: point for point in found.points if point.kind == "uniform"}
    assert set(uniform) == {candidate.name for candidate in CHOSEN}
    holding = [point.size_bytes for point in uniform.values() if point.drift <= found.chosen.target]
    assert holding and len(holding) < len(uniform), "what is aimed at tells the schemes apart"
    assert chosen.size_bytes < min(holding)
    assert len(chosen.weights) > 1
    front = [point for point in found.points if point.kind == "front"]
    sizes = [point.size_bytes for point in sorted(front, key=lambda point: point.drift)]
    assert len(sizes) > 5 and sizes == sorted(sizes, reverse=True)


def test_the_predicted_size_is_that_of_the_package(found: Tuning, variants: Variants) -> None:
    (half,) = (point for point in found.points if point.kind == "float")
    saved = sum(variants.stored["fp16"][w].stored_bytes - variants.stored[n][w].stored_bytes for w, n in found.chosen.fit.choice.items())
    # Weights start at multiples of 64 bytes, and the program itself grows a little with each compressed one.
    assert abs(half.size_bytes - saved - found.chosen.drift.size_bytes) < 700 * len(found.chosen.fit.choice)


def test_the_recipe_exports_to_the_same_weights(found: Tuning, small: Path, tmp_path: Path) -> None:
    assert found.package
    folder = found.package.parent
    recipe = read_recipe(folder / "recipe.toml")
    assert recipe == found.chosen.recipe
    assert tomllib.loads((folder / "recipe.toml").read_text())["budget"] == {"fidelity": "0.01"}
    again = tmp_path / "again.mlpackage"
    export(load_checkpoint(str(small)), recipe, again)
    weights = "Data/com.apple.CoreML/weights/weight.bin"
    assert (again / weights).read_bytes() == (found.package / weights).read_bytes()
    stored = {weight.name: weight.stored for weight in package_weights(again)}
    assert {name: stored[name] for name in found.chosen.fit.choice} == {
        name: candidate.partition("/")[0] for name, candidate in found.chosen.fit.choice.items()
    }


def test_the_assembled_program_computes_what_the_package_does(found: Tuning, variants: Variants) -> None:
    image = {"image": np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)}
    assert found.package
    package = Program.load(found.package, "float16").predict(image)["depth"]
    np.testing.assert_array_equal(variants.assembled(found.chosen.fit.choice).predict(image)["depth"], package)


@pytest.mark.parametrize("stop", [1, 4])
def test_a_killed_search_goes_on_and_ends_the_same(
    stop: int, found: Tuning, run: Callable[..., Tuning], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, calls, real = tmp_path / "out", 0, measured.weight_drifts

    def counted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(measured, "weight_drifts", counted)
    with pytest.raises(KeyboardInterrupt):
        run(request_for(str(small)), out)
    assert files(out) == [WORK, "sensitivities.json"]
    again = run(request_for(str(small)), out)
    assert calls == 2 * len(CHOSEN) + 1, "what was measured before the kill is not measured again"
    assert again.package and found.package
    for file in ("recipe.toml", "sensitivities.json", "small-tuned.mlpackage/Data/com.apple.CoreML/weights/weight.bin"):
        assert (out / file).read_bytes() == (found.package.parent / file).read_bytes()


def test_another_budget_uses_the_same_measurements(
    found: Tuning, run: Callable[..., Tuning], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found.package
    out = tmp_path / "out"
    shutil.copytree(found.package.parent, out)
    monkeypatch.setattr(measured, "weight_drifts", lambda *_: pytest.fail("measured again"))
    with pytest.raises(InputError, match=r"small-tuned\.mlpackage.* exists"):
        run(request_for(str(small)), out)
    looser = run(request_for(str(small), "fidelity=0.03"), out, force=True)
    assert looser.held and looser.chosen.drift.size_bytes < found.chosen.drift.size_bytes
    assert files(out) == LEFT


def test_measurements_of_other_inputs_are_refused(found: Tuning, run: Callable[..., Tuning], small: Path, tmp_path: Path) -> None:
    assert found.package
    for change, what in [
        ({"seed": 5}, "other images"),
        ({"base": replace(BASE, form="fused")}, "another --recipe"),
        ({"candidates": CHOSEN[:2]}, "other schemes"),
    ]:
        with pytest.raises(InputError, match=f"measured with {what}"):
            run(request_for(str(small), **change), found.package.parent, force=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "sensitivities.json").write_text("{")
    with pytest.raises(InputError, match="not readable"):
        run(request_for(str(small)), out)


def test_a_budget_that_breaks_on_unseen_frames_is_searched_tighter(
    run: Callable[..., Tuning], found: Tuning, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unseen frames on which everything drifts so much more that the first choice breaks the budget by a tenth."""
    real = tune.validate
    (measured_drift,) = (check.value for check in found.chosen.drift.checks)
    harder_by = 1.1 * 0.01 / measured_drift

    def harder(*arguments: object) -> object:
        result = real(*arguments)  # type: ignore[arg-type]
        checks = [tuple(replace(check, value=harder_by * check.value) for check in c.checks) for c in result.candidates]
        return replace(result, candidates=tuple(replace(c, checks=k) for c, k in zip(result.candidates, checks, strict=True)))

    monkeypatch.setattr(tune, "validate", harder)
    result = run(request_for(str(small)), tmp_path / "out")
    assert result.held and len(result.attempts) > 1
    assert all(later.target < sooner.target for sooner, later in zip(result.attempts, result.attempts[1:], strict=False))
    assert result.chosen == replace(result.attempts[-1], drift=result.chosen.drift)
    assert result.chosen.drift.checks[0].value <= 0.01
    assert result.chosen.drift.size_bytes > found.chosen.drift.size_bytes


def test_without_an_assignment_that_holds_the_nearest_is_shown(run: Callable[..., Tuning], small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(request_for(str(small), "fidelity=0.0002"), out)
    assert not result.held and result.package is None
    assert files(out) == ["pareto.json", "pareto.png", "sensitivities.json"]
    assert set(result.chosen.fit.choice.values()) == {"fp16"}, "nothing is nearer than float16"
    value = json.loads((out / "pareto.json").read_text())
    assert value["held"] is False and value["budget"][0]["held"] is False and value["package"] is None


def test_a_budget_on_a_metric_alone_is_held(run: Callable[..., Tuning], small: Path, tmp_path: Path) -> None:
    result = run(request_for(str(small), "abs_rel=2%"), tmp_path / "out")
    assert result.held and result.chosen.drift.checks[0].limit.metric == "abs_rel"
    assert abs(result.chosen.drift.change["abs_rel"]) < 0.05


def test_objectives_cost_what_they_say(variants: Variants, found: Tuning) -> None:
    """Bits by hand; what float16 costs is the most."""
    choice = found.chosen.fit.choice
    widths = {"fp16": 16, "int8": 8, "palette6/16": 6, "palette4/8": 4}
    count = {weight.name: int(np.prod(weight.shape)) for weight in package_weights(variants.half_package)}
    expected = sum(widths[name] * count[weight] for weight, name in choice.items()) / sum(count[weight] for weight in choice)
    assert mean_bits(variants, CHOSEN, choice) == pytest.approx(expected)
    assert found.package
    store = measured.open_sensitivities(found.package.parent, json.loads((found.package.parent / measured.FILE).read_text())["inputs"])
    for objective in ("size", "bits", "latency-estimate"):
        rows = options(variants, CHOSEN, store, objective)
        assert all(row[0].name == "fp16" and row[0].cost >= max(o.cost for o in row) for row in rows.values())


def test_only_schemes_that_another_beats_in_all_are_left_out(variants: Variants) -> None:
    kept = worth_measuring(variants, CHOSEN)
    bits = {"int8": 8, "palette6/16": 6, "palette4/8": 4}
    truth = {o.name: o.arguments.get("weight") for o in variants.reference.operations}
    for name, weights in kept.items():
        for weight in set(variants.stored[name]) - set(weights):
            mine = variants.stored[name][weight]
            error = [
                float((variants.stored[n][weight].values - truth[variants.readers[weight][0]]).square().sum())
                for n in (name, *(n for n in bits if n != name and weight in variants.stored[n]))
            ]
            others = [n for n in bits if n != name and weight in variants.stored[n]]
            assert any(
                variants.stored[n][weight].stored_bytes <= mine.stored_bytes and bits[n] <= bits[name] and e <= error[0] * (1 + 1e-6)
                for n, e in zip(others, error[1:], strict=True)
            )
    assert sum(map(len, kept.values())) > len(variants.readers)


def test_bad_use_is_one_line(call: Callable[..., object], small: Path, tmp_path: Path) -> None:
    (tmp_path / "int8.toml").write_text('precision = "int8"\n')
    (tmp_path / "file").write_text("")
    (tmp_path / "one" / "rgb").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for line, words in [
        ("--budget speed=3 --data sample", ["speed", "fidelity"]),
        ("--budget fidelity=-1 --data sample", ["-1"]),
        ("--budget fidelity=0 --data sample", ["fidelity=0", "rounding", "float32"]),
        ("--budget fidelity=0.0001 --data sample", ["fidelity=0.0001", "rounding", "float16"]),
        ("--budget fidelity=0.02 --data sample --json nowhere/a.json", ["nowhere", "--json"]),
        ("--budget fidelity=0.02 --data sample --out file/deeper/out", ["file", "--out"]),
        ("--data sample", ["--budget"]),
        ("--budget fidelity=0.02 --data sample --objective speed", ["speed", "latency-estimate"]),
        ("--budget fidelity=0.02 --data nowhere:x", ["nowhere"]),
        ("--budget fidelity=0.02 --data sample#none", ["#none"]),
        ("--budget fidelity=0.02 --data sample --recipe int8.toml", ["int8", "fp16"]),
        ("--budget fidelity=0.02 --data sample --recipe none.toml", ["none.toml"]),
        ("--budget fidelity=0.02 --data sample --out file", ["file", "--out"]),
        ("--budget fidelity=0.02 --data sample --protocol best", ["best"]),
    ]:
        out = [] if "--out" in line else ["--out", "out"]
        refused(call("tune", str(small), *line.split(), *out), *words)  # type: ignore[arg-type]
        assert sorted(tmp_path.rglob("*")) == before, line
    refused(call("tune", "none.safetensors", *["--budget", "fidelity=0.02", "--data", "sample", "--out", "out"]), "none.safetensors")  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_float_package_is_tuned_without_its_network(small: Path, tmp_path: Path) -> None:
    """The drift once more, by hand, from the written package and the float package in float32."""
    float_package = tmp_path / "theirs.mlpackage"
    export(load_checkpoint(str(small)), Recipe(precision="fp32", output="array"), float_package)
    request = request_for(str(float_package), "fidelity=0.02", candidates=CHOSEN[:1])
    found = publish(tune.tune(request, tmp_path / "out", False, silent), tmp_path / "out", save_pareto)
    assert found.package and found.held
    kinds = {weight.stored for weight in package_weights(found.package)}
    assert "int8" in kinds and kinds <= {"int8", "fp16"}
    unseen = open_source("sample#val")
    candidate, reference = open_runtime(str(found.package), "mil"), open_runtime(str(float_package), "mil", "float32")
    frames = [unseen[index].image for index in range(len(unseen))]
    drifts = [float(np.mean(np.abs(candidate.predict(frame) - truth) / truth)) for frame in frames for truth in [reference.predict(frame)]]
    assert np.mean(drifts) == pytest.approx(json.loads((tmp_path / "out" / "pareto.json").read_text())["fidelity"]["abs_rel"], rel=1e-4)
