"""The course of a search: targets, attempts, what is kept and what is shown, with exports and runs replaced by figures."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fcrn_mobile
from fcrn_mobile.conversion.recipe import Override, Recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import Check, parse_limit
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.tuning import tune as module
from fcrn_mobile.tuning.candidates import CANDIDATES, OLDER
from fcrn_mobile.tuning.measured import ALL, FILE, NONE, Sensitivities
from fcrn_mobile.tuning.result import Point, Tuning
from fcrn_mobile.tuning.search import Fit
from fcrn_mobile.tuning.tune import ATTEMPTS, MARGIN, Request, base_recipe, tune
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.result import Drift, ImageDrift

BASE = Recipe(name="mine", target="iOS18")
INT8, MIXED, FLOATS = {"a": "int8", "b": "int8"}, {"a": "int8", "b": "fp16"}, {"a": "fp16", "b": "fp16"}


def drift(path: str, fidelity: float, budgets: Sequence[str]) -> Drift:
    """Of two images that agree, so that the bound is the value."""
    checks = tuple(Check(parse_limit(text), fidelity) for text in budgets)
    rows = tuple(ImageDrift(str(index), fidelity, 0.2, 0.2) for index in range(2))
    values = dict.fromkeys(compared(), 0.3)
    return Drift(Path(path).stem, path, 700, values, values, FidelityValues(fidelity, 40, 0.1, 1), checks, per_image=rows)


def fit(choice: dict[str, str], measured: float = 0.011, exhausted: bool = False, cost: float = 100.0) -> Fit:
    return Fit(choice, cost, 0.012, measured, exhausted)


class Run:
    """A search whose fits and verified drifts are scripted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[float]]) -> None:
        self.folder, self.rows = folder, rows
        self.targets: list[float] = []
        self.exported: list[tuple[Any, ...]] = []
        self.titles: list[str] = []
        self.validated: list[tuple[Any, ...]] = []
        self.fits: list[Fit] = []
        self.drifts: list[float] = []
        self.budgets: tuple[str, ...] = ()
        self.span = (0.001, 0.1)
        sizes = {"fp32": 4000, "fp16": 2000}
        stored = {
            name: {weight: SimpleNamespace(stored_bytes=size) for weight in "ab"}
            for name, size in (("fp16", 500), ("int8", 260), ("palette4/8", 150))
        }
        stored["palette4/8"].pop("b")
        self.variants: Any = SimpleNamespace(
            stored=stored,
            readers={"a": ("x",), "b": ("y",)},
            half_package=Path("fp16.mlpackage"),
            uniform=lambda name: {weight: name if weight in stored[name] else "fp16" for weight in "ab"},
        )
        self.frames = SimpleNamespace(images=("i1", "i2"), hashes=("h1", "h2"), names=("f1", "f2"), unseen=[1, 2, 3, 4], notes=("few",))
        origin = SimpleNamespace(
            sha256="abc",
            apart={"input_size": [64, 96]},
            contract=DepthContract(),
            runtime=lambda: ("net",),
            write=lambda recipe, out, force: self.exported.append((recipe, out, force)),
        )
        replaced: dict[str, Any] = {
            "open_origin": lambda name, config: origin,
            "choose_frames": lambda *asked: self.asked(asked),
            "make_variants": lambda *asked: self.variants,
            "worth_measuring": lambda variants, candidates: "worth",
            "measure": self.measure,
            "options": lambda variants, candidates, found, objective: ("options", objective),
            "Search": self.search,
            "open_runtime": lambda *arguments: arguments,
            "validate": self.validate,
            "estimated_latency": lambda variants, choice: 1.25,
            "mean_bits": lambda variants, candidates, choice: 5.5,
            "artefact_size": lambda path: sizes[path.stem],
        }
        for name, value in replaced.items():
            monkeypatch.setattr(module, name, value)

    def asked(self, asked: tuple[Any, ...]) -> Any:
        self.frames_asked = asked
        return self.frames

    def measure(self, variants: Any, frames: Any, worth: Any, found: Sensitivities, on_step: Any) -> None:
        assert (variants, frames, worth) == (self.variants, self.frames, "worth")
        self.inputs = found.inputs
        found.drifts = {NONE: {NONE: [0.003, 0.004]}} | {name: {ALL: values} for name, values in self.rows.items()}

    def search(self, variants: Any, options: Any, images: Any, base: float) -> Any:
        self.searched = (options, images, base)

        def fitted(target: float, on_try: Any) -> Fit:
            self.targets.append(target)
            return self.fits[min(len(self.targets), len(self.fits)) - 1]

        def front(targets: list[float]) -> list[tuple[dict[str, str], float]]:
            self.front = targets
            return [(INT8, 0.02), (MIXED, 0.01)]

        return SimpleNamespace(fit=fitted, factor=1.5, span=lambda: self.span, front=front)

    def validate(self, reference: Any, candidates: list[Any], unseen: Any, rule: Any, limits: Any, data: str, on_frame: Any) -> Any:
        self.validated.append((reference, candidates, unseen, rule, limits, data))
        return SimpleNamespace(candidates=[drift(candidates[0][0], self.drifts[len(self.validated) - 1], [each.text for each in limits])])

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int, int], None]]:
        self.titles.append(title)
        yield lambda done, total: None

    def __call__(self, fits: list[Fit], drifts: list[float], *budgets: str, **changes: Any) -> Tuning:
        self.fits, self.drifts = fits, drifts
        limits = tuple(parse_limit(text) for text in budgets or ("fidelity=0.02",))
        return tune(replace(Request("net", "sample", limits, protocol("full"), BASE), **changes), self.folder, False, self.progress)


#: Relative spreads 0 and 0.4243: that of the scheme in the middle is half of it.
ROWS = {"int8": [0.02, 0.02], "palette4/8": [0.013, 0.007]}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path / "out", monkeypatch, dict(ROWS))


def share(spread: float) -> float:
    """0.97 of what leaves the bound over four images at the budget: t(0.95, 3) = 2.3534."""
    return 0.97 / (1 + 2.3534 * spread / 2)


SHARE = share(0.3 / math.sqrt(2))


def test_constants_are_those_of_the_documentation() -> None:
    assert (ATTEMPTS, MARGIN) == (5, 0.97)
    request = Request("net", "sample", (), protocol("full"), BASE)
    assert (request.objective, request.search_images, request.verify_images, request.seed, request.candidates) == ("size", 8, 32, 0, ())


def test_a_first_choice_that_holds_ends_the_search(run: Run) -> None:
    found = run([fit(INT8)], [0.015])
    assert run.targets == [pytest.approx(0.02 * SHARE, rel=1e-4)]
    assert found.held and len(found.attempts) == 1 and found.chosen is found.attempts[0]
    ((recipe, package, force),) = run.exported
    assert (package, force) == (run.folder / ".work" / "mine.0.mlpackage", True)
    assert recipe == replace(BASE, ops=(Override(("a", "b"), "int8"),), budget={"fidelity": "0.02"})
    assert found.package == package and found.chosen.recipe == recipe
    limits = (parse_limit("fidelity=0.02"),)
    assert run.validated == [(("net",), [(str(package), "mil", "float16")], [1, 2, 3, 4], protocol("full", "none"), limits, "sample")]
    assert run.titles == ["export candidates", "measure sensitivities", f"choose for {run.targets[0]:.4f}", "verify on unseen frames"]
    assert run.searched == (("options", "size"), ("i1", "i2"), pytest.approx((0.003**2 + 0.004**2) / 2))
    assert run.frames_asked == ("sample", 8, 32, 0)


def test_what_was_found_is_told(run: Run) -> None:
    found = run([fit(MIXED, cost=77.0)], [0.015], objective="bits", seed=3)
    assert (found.objective, found.cost, found.mean_bits, found.latency_ms, found.float_bytes) == ("bits", 77.0, 5.5, 1.25, 4000)
    assert (found.factor, found.base, found.data, found.seed) == (1.5, pytest.approx(1.25e-5), "sample", 3)
    assert (found.searched, found.verified, found.notes) == (("f1", "f2"), 4, ("few",))
    assert found.points == (
        Point("front", "", 2000 - 480, 0.02, False, False, "search", {"int8": 2}),
        Point("front", "", 2000 - 240, 0.01, False, False, "search", {"int8": 1, "fp16": 1}),
        Point("float", "fp16", 2000, pytest.approx(math.sqrt(1.25e-5)), True, True, "search", {"fp16": 2}),
        Point("uniform", "int8", 2000 - 480, 0.02, False, True, "search", {"int8": 2}),
        Point("uniform", "palette4/8", 2000 - 350, pytest.approx(0.01), False, True, "search", {"palette4/8": 1, "fp16": 1}),
        Point("chosen", "", 700, 0.015, True, True, "verification", {"int8": 1, "fp16": 1}),
    )
    assert len(run.front) == 24
    assert run.front[0] == pytest.approx(0.001 * 1.0001) and run.front[-1] == pytest.approx(0.1 * 1.0001)
    assert run.front[1] / run.front[0] == pytest.approx(100 ** (1 / 23))


@pytest.mark.parametrize(
    ("broken", "measured", "factor", "of"),
    [
        (0.025, 0.5, 0.97 * 0.02 / 0.025, "target"),
        (0.025, 0.001, 0.97 * 0.02 / 0.025, "measured"),
        (0.0201, 0.5, 0.95, "target"),
        (0.2, 0.5, 0.5, "target"),
        (math.inf, 0.5, 0.5, "target"),
        (math.nan, 0.5, 0.5, "target"),
    ],
)
def test_a_budget_that_breaks_tightens_the_target(run: Run, broken: float, measured: float, factor: float, of: str) -> None:
    found = run([fit(INT8, measured), fit(MIXED)], [broken, 0.015])
    first, second = run.targets
    assert second == pytest.approx(factor * (first if of == "target" else measured))
    assert [path.name for _, path, _ in run.exported] == ["mine.0.mlpackage", "mine.1.mlpackage"]
    assert [attempt.held for attempt in found.attempts] == [False, True]
    assert [attempt.target for attempt in found.attempts] == run.targets
    assert found.held and found.chosen is found.attempts[1]


def test_the_same_choice_is_not_exported_again(run: Run) -> None:
    found = run([fit(INT8), fit(INT8), fit(INT8), fit(MIXED)], [0.04, 0.015])
    first, second, third, fourth = run.targets
    assert second == pytest.approx(0.5 * min(first, 0.011))
    assert (third, fourth) == (pytest.approx(0.9 * second), pytest.approx(0.81 * second))
    assert len(run.exported) == len(found.attempts) == 2
    assert found.attempts[1].target == fourth


def test_a_choice_is_held_against_the_last_that_was_exported(run: Run) -> None:
    found = run([fit(INT8), fit(MIXED), fit(MIXED), fit(INT8)], [0.04, 0.03, 0.015])
    assert [attempt.fit.choice for attempt in found.attempts] == [INT8, MIXED, INT8]
    assert len(run.targets) == 4


@pytest.mark.parametrize("fits", [[fit(FLOATS, exhausted=True)], [fit(INT8), fit(INT8, exhausted=True)]])
def test_where_nothing_more_accurate_is_left_the_search_ends(run: Run, fits: list[Fit]) -> None:
    found = run(fits, [0.04] * 5)
    assert len(run.targets) == len(fits) and len(found.attempts) == 1
    assert not found.held and found.package is None


def test_five_attempts_are_made_and_the_nearest_is_shown(run: Run) -> None:
    fits = [fit({"a": f"{number}", "b": "fp16"}) for number in range(9)]
    run.variants.stored |= {f"{number}": run.variants.stored["int8"] for number in range(5)}
    run.rows |= {f"{number}": [0.02, 0.02] for number in range(5)}
    found = run(fits, [0.04, math.nan, 0.03, 0.035, math.inf])
    assert len(found.attempts) == len(run.targets) == 5
    assert found.chosen is found.attempts[2] and found.package is None


def test_the_worst_budget_decides_which_is_the_nearest(run: Run) -> None:
    found = run([fit(INT8), fit(MIXED, exhausted=True)], [0.04, 0.03], "fidelity=0.02", "rmse=0.01")
    assert found.chosen is found.attempts[1]
    assert run.targets[1] == pytest.approx(0.5 * min(run.targets[0], 0.011)), "four times the tighter limit"


def test_the_worst_budget_decides_how_far_the_next_target_is(run: Run) -> None:
    run([fit(INT8, 0.5), fit(MIXED, exhausted=True)], [0.021, 0.001], "fidelity=0.02", "rmse=0.015")
    assert run.targets[1] == pytest.approx(0.97 * 0.015 / 0.021 * run.targets[0])


@pytest.mark.parametrize(
    ("budgets", "begin", "written"),
    [
        (("fidelity=0.03", "fidelity=2%"), 0.02 * SHARE, {"fidelity": "2%"}),
        (("abs_rel=5%",), 0.05, {"abs_rel": "5%"}),
        (("rmse = 0.3", "fidelity=0.04"), 0.04 * SHARE, {"rmse": "0.3", "fidelity": "0.04"}),
    ],
)
def test_a_search_begins_at_its_tightest_fidelity(run: Run, budgets: tuple[str, ...], begin: float, written: dict[str, str]) -> None:
    found = run([fit(INT8)], [0.001], *budgets)
    assert run.targets[0] == pytest.approx(begin, rel=1e-4)
    assert found.chosen.recipe.budget == written


@pytest.mark.parametrize(
    ("rows", "spread"),
    [
        ({"int8": [0.01], "palette4/8": [0.02]}, 0.3),
        ({"int8": [0.01, math.nan], "palette4/8": [0.0, 0.0]}, 0.3),
        ({"int8": [0.01, 0.03], "palette4/8": [math.inf, 0.02]}, math.sqrt(2) / 2),
        ({"int8": [0.02, 0.02], "palette4/8": [0.01, 0.03]}, math.sqrt(2) / 4),
    ],
)
def test_the_spread_is_that_of_the_scheme_in_the_middle(
    rows: dict[str, list[float]], spread: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "out", monkeypatch, rows)
    run([fit(INT8)], [0.015])
    assert run.targets[0] == pytest.approx(0.02 * share(spread), rel=1e-4)


def test_measurements_belong_to_all_that_they_depend_on(run: Run) -> None:
    run([fit(INT8)], [0.015], base=replace(BASE, input_size=(64, 96)))
    assert run.inputs == {
        "input_size": [64, 96],  # of the network, which its hash does not cover
        "checkpoint": "abc",
        "recipe": {"precision": "fp16", "input_size": [64, 96], "output": "image", "target": "iOS18", "form": "four"},
        "images": ["h1", "h2"],
        "candidates": [{"name": c.name, "precision": c.precision, "options": c.options} for c in CANDIDATES],
        "version": fcrn_mobile.__version__,
    }


def test_an_older_target_has_its_own_candidates(run: Run) -> None:
    run([fit(INT8)], [0.015], base=replace(BASE, target="iOS17"))
    assert [candidate["name"] for candidate in run.inputs["candidates"]] == [candidate.name for candidate in OLDER]
    run.folder = run.folder.with_name("other")
    run.targets.clear()
    run.validated.clear()
    run([fit(INT8)], [0.015], candidates=CANDIDATES[:1])
    assert [candidate["name"] for candidate in run.inputs["candidates"]] == ["int8"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "speed"}, "objective is 'speed': use one of size, bits, latency-estimate"),
        ({"limits": ()}, "no budget: give --budget METRIC=AMOUNT"),
        ({"limits": (parse_limit("abs_rel=1%"), parse_limit("fidelity=0.0001"))}, "less than the rounding of depth in float16"),
        ({"base": replace(BASE, precision="int8")}, "recipe 'mine' has precision"),
    ],
)
def test_a_bad_request_leaves_nothing(run: Run, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run([], [], **changes)
    assert not run.folder.exists()


def test_a_folder_that_is_a_file_or_holds_results_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    run.folder = tmp_path / "file" / "deep"
    with pytest.raises(InputError, match=r"file' is a file: choose another --out"):
        run([], [])
    for name in ("recipe.toml", "pareto.json", "pareto.png", "mine.mlpackage"):
        run.folder = tmp_path / name
        run.folder.mkdir()
        (run.folder / name).write_text("mine")
        with pytest.raises(InputError, match=rf"{name}' exists: choose another --out or overwrite it with --force"):
            run([], [])
    run.fits, run.drifts = [fit(INT8)], [0.015]
    request = Request("net", "sample", (parse_limit("fidelity=0.02"),), protocol("full"), BASE)
    assert tune(request, run.folder, True, run.progress).held


def test_a_base_is_named_after_the_checkpoint_or_read(tmp_path: Path) -> None:
    assert base_recipe("runs/best.safetensors", None) == Recipe(name="best-tuned", target="iOS18")
    assert base_recipe("builtin", None).name == "builtin-tuned"
    assert base_recipe("nets.unet:small?weights=runs/a.b.pth&size=64x96", None).name == "small-tuned"
    assert base_recipe("runs/net.pt2?size=64x96", None).name == "net-tuned"
    (tmp_path / "r.toml").write_text('name = "x"\n')
    assert base_recipe("builtin", tmp_path / "r.toml") == Recipe(name="x")


@pytest.mark.parametrize(("span", "ends"), [((0.0, 0.1), (1e-6, 0.1)), ((0.0, 0.0), (1e-6, 2e-6)), ((1e-5, 1e-3), (1e-5, 1e-3))])
def test_the_front_is_drawn_above_nought(run: Run, span: tuple[float, float], ends: tuple[float, float]) -> None:
    run.span = span
    run([fit(INT8)], [0.015])
    assert (run.front[0], run.front[-1]) == pytest.approx([1.0001 * end for end in ends])
    assert run.front == sorted(run.front)


def test_a_folder_says_from_the_beginning_what_it_was_made_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else packages of a search that was stopped would be taken for those of another."""

    def stopped(*asked: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "make_variants", stopped)
    with pytest.raises(KeyboardInterrupt):
        run([fit(INT8)], [0.015])
    written = json.loads((run.folder / FILE).read_text())
    assert written["inputs"]["checkpoint"] == "abc" and written["drifts"] == {}
