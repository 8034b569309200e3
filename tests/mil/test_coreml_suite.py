"""coremltools' own tests with ``predict`` answered by this runtime: a fast part of them, and how their outcomes are judged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recorder import draw, first_line, trouble
from verdicts import explanation, summary, verdict

from fcrn_mobile.package.errors import MilError

SUITE = Path(__file__).parents[2] / "benchmarks" / "coreml_suite"


def test_a_fast_part_of_coremltools_own_tests_passes(tmp_path: Path) -> None:
    names = (SUITE / "fast.txt").read_text().split()
    results = tmp_path / "results.json"
    command = [sys.executable, str(SUITE / "run.py"), "--names", str(SUITE / "fast.txt"), "--workers", "1", "--seconds", "240"]
    subprocess.run([*command, "--state", str(tmp_path / "state"), "--json", str(results)], env=os.environ, check=True, capture_output=True)
    result = json.loads(results.read_text())
    assert result["failures"] == [] and result["apart"] == []
    assert result["verdicts"]["passed"] == result["decided"] == len(names) <= result["predictions"]


def line(**values: Any) -> dict[str, Any]:
    return {
        "test": "a.py::f#0",
        "id": "a.py::f",
        "outcome": "failed",
        "models": 1,
        "predictions": 0,
        "refusals": [],
        "reason": "",
        **values,
    }


def test_a_torchvision_for_another_torch_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for operators of its own library on import, and a conftest of coremltools imports it."""
    (tmp_path / "torchvision.py").write_text("import torch\ntorch.library.register_fake('torchvision::nms')(lambda *boxes: None)\n")
    (tmp_path / "conftest.py").write_text("import torchvision\n")
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"journal": str(tmp_path / "journal.jsonl")}))
    monkeypatch.setenv("CORE_ML_SUITE", str(task))
    monkeypatch.syspath_prepend(tmp_path)
    try:
        here = ["--rootdir", str(tmp_path), "-c", os.devnull, "-p", "no:cacheprovider", "--import-mode", "importlib", str(tmp_path)]
        assert pytest.main(["-q", "-p", "recorder", "--simulate-core-ml", *here]) == 0
    finally:
        sys.modules.pop("torchvision", None)
    assert [json.loads(line).get("outcome") for line in (tmp_path / "journal.jsonl").read_text().splitlines()] == [None, "passed"]


LACKING = "operator 'x' at 'y' in 'z' is not known to this runtime: run the package on macOS instead"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"outcome": "passed", "predictions": 1}, "passed"),
        ({"outcome": "passed", "refusals": ["it was expected to be refused"]}, "passed"),
        ({"outcome": "passed"}, "independent"),
        ({"outcome": "skipped", "predictions": 1}, "skipped"),
        ({"error": "RuntimeError", "refused": True, "refusals": [LACKING]}, "operator"),
        ({"error": "RuntimeError", "refused": True, "refusals": ["input 'x' has shape 1, the package takes 2"]}, "refused"),
        # A test that expected a refusal, and another one after it that it had not.
        ({"error": "RuntimeError", "refused": True, "refusals": ["as expected", LACKING], "predictions": 1}, "operator"),
        # Nothing was predicted: coremltools asked another way than the test, which failed on something that follows from the refusal.
        ({"error": "KeyError", "refusals": ["the weights are damaged"]}, "refused"),
        ({"error": "AssertionError", "predictions": 1, "place": "coremltools/test/test_a.py:f"}, "value"),
        ({"error": "ValueError", "place": "coremltools/converters/mil/frontend/torch/ops.py:add"}, "conversion"),
        ({"error": "ValueError", "place": "coremltools/converters/mil/frontend/torch/ops.py:add", "predictions": 2}, "conversion"),
        ({"error": "ModuleNotFoundError", "reason": "No module named 'tensorflow'"}, "environment"),
        ({"error": "TimeLimit", "predictions": 1}, "environment"),
        ({"error": "", "reason": "the process ended (-11)", "ended": True}, "environment"),
        ({"error": "AssertionError", "reason": "about a file"}, "environment"),
    ],
)
def test_an_outcome_has_one_verdict(values: dict[str, Any], expected: str) -> None:
    assert verdict(line(**values)) == expected


def test_the_share_counts_what_hangs_on_the_runtime() -> None:
    lines = [line(test=f"a.py::f#{n}", outcome="passed", predictions=2) for n in range(3)]
    lines += [line(test="a.py::g#0", predictions=1, error="AssertionError", reason="Not equal"), line(error="ImportError")]
    lines += [line(outcome="passed"), line(outcome="skipped")]
    result = summary(lines)
    assert (result["tests"], result["functions"], result["decided"], result["share"], result["predictions"]) == (7, 2, 4, 0.75, 7)
    assert [(row["test"], row["verdict"], row["reason"]) for row in result["failures"]] == [
        ("a.py::g#0", "value", "AssertionError: Not equal")
    ]


def test_a_failure_that_is_explained_is_one_still() -> None:
    entries = [{"tests": ["a.py::g"], "reason": "Apple's guide says otherwise"}]
    assert explanation("a.py::g#7", entries) == "Apple's guide says otherwise"
    assert explanation("a.py::gg#7", entries) == ""


def item(name: str, **parameters: Any) -> Any:
    return SimpleNamespace(nodeid=name, callspec=SimpleNamespace(params=parameters))


def test_a_sample_holds_each_kind_of_model_and_repeats() -> None:
    both = [item(f"f[{n}]", backend=("neuralnetwork" if n % 2 else "mlprogram", "fp32")) for n in range(20)]
    drawn = draw("f", both, seed=3)
    assert [each.callspec.params["backend"][0] for each in drawn] == ["mlprogram", "neuralnetwork"]
    assert drawn == draw("f", both, seed=3)
    assert any(draw("f", both, seed) != drawn for seed in range(10))
    programs = both[::2]
    assert len(draw("f", programs, 0)) == 1 and draw("f", programs, 0)[0] in programs


def test_trouble_names_what_the_runtime_refused() -> None:
    try:
        try:
            raise MilError("input 'x' is missing")
        except MilError as error:
            raise RuntimeError("input 'x' is missing") from error
    except RuntimeError as error:
        assert trouble(error)["refused"]
    assert not trouble(ValueError("else"))["refused"]


def test_the_first_line_says_by_how_much_arrays_differ() -> None:
    text = "\nNot equal to tolerance rtol=0.05\n\nMismatched elements: 1 / 4 (25%)\nMax absolute difference: 3.\n ACTUAL: 1\n"
    assert (
        first_line(text) == "Not equal to tolerance rtol=0.05 | Mismatched elements: 1 / 4 (25%) | Max absolute difference: 3. | ACTUAL: 1"
    )
