"""Compute plans written by hand for a program whose published verdicts are known, beside the rules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from fcrn_mobile.cli.inspect import command
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.compute_plan import Comparison, compare, describe, read_plans
from fcrn_mobile.latency.placement import place
from fcrn_mobile.mil.graph import read_graph
from tests.mil.build import mb, save_program

#: By the published rules a plain convolution runs, one of width 17 falls back, and nobody agrees about one that is dilated.
ALL = ["cpu", "gpu", "neuralEngine"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def body(x: Any) -> Any:
        plain = mb.conv(x=x, weight=np.ones((4, 4, 3, 3), np.float16), pad_type="same", name="plain")
        wide = mb.conv(x=plain, weight=np.ones((4, 4, 1, 17), np.float16), pad_type="same", name="wide")
        return mb.conv(x=wide, weight=np.ones((4, 4, 3, 3), np.float16), pad_type="same", dilations=[2, 2], name="dilated")

    return save_program(tmp_path_factory.mktemp("plan"), body, [np.zeros((1, 4, 16, 32), np.float16)])


def operator(output: str, unit: str | None, supported: list[str] | None = None, kind: str = "ios17.conv") -> dict[str, Any]:
    return {"operator": kind, "output": output, "unit": unit, **({} if supported is None else {"supported": supported})}


def written(folder: Path, *operators: dict[str, Any]) -> Path:
    (folder / "plan.json").write_text(json.dumps({"operators": operators}))
    return folder / "plan.json"


def compared(package: Path, plan: Path) -> Comparison:
    (one,) = read_plans(plan, package.stem)
    return compare(place(read_graph(package)), one)


def outputs(package: Path) -> list[str]:
    """Names of the three results as the package has them."""
    return [node.name for node in read_graph(package).nodes]


def test_rules_that_were_right_wrong_and_silent_are_counted(package: Path, tmp_path: Path) -> None:
    plain, wide, dilated = outputs(package)
    right = compared(package, written(tmp_path, operator(plain, "neuralEngine"), operator(wide, "cpu"), operator(dilated, "neuralEngine")))
    assert [len(group) for group in (right.right, right.missed, right.false_alarms, right.unpublished)] == [2, 0, 0, 1]
    assert (right.precision, right.recall) == (1, 1)
    wrong = compared(package, written(tmp_path, operator(plain, "gpu"), operator(wide, "neuralEngine"), operator(dilated, "cpu")))
    assert [len(group) for group in (wrong.right, wrong.missed, wrong.false_alarms, wrong.unpublished)] == [0, 2, 1, 0]
    assert (wrong.precision, wrong.recall) == (0, 0)
    assert (wrong.missed, wrong.false_alarms) == ((f"conv {plain}", f"conv {dilated}"), (f"conv {wide}",))
    lines = describe([right, wrong])
    assert lines[-1] == "'falls back', over 2 plans: precision 50% of 2, recall 33% of 3"
    assert "the rules were right about 2 of 3 operators" in lines[0]


def test_what_the_engine_could_take_counts_before_what_it_is_meant_for(package: Path, tmp_path: Path) -> None:
    plain, wide, dilated = outputs(package)
    plan = written(tmp_path, operator(plain, "gpu", ALL), operator(wide, "cpu", ["cpu", "gpu"]), operator(dilated, "neuralEngine", ALL))
    assert len(compared(package, plan).right) == 2


def test_constants_and_what_only_one_side_has_are_not_compared(package: Path, tmp_path: Path) -> None:
    plain, *_ = outputs(package)
    rows = [
        operator(plain, "neuralEngine"),
        operator("weight", "cpu", kind="const"),
        operator("fused", "cpu"),
        operator("silent", None),
        {"operator": "topk", "unit": "cpu"},
    ]
    one = compared(package, written(tmp_path, *rows))
    assert (one.operators, one.unmatched) == (1, (2, 2))
    assert (one.precision, one.recall) == (None, None)
    assert describe([one])[-1] == "'falls back', over 1 plan: precision not known (none), recall not known (none)"


def test_plans_of_the_apps_results_are_those_of_the_model(package: Path, tmp_path: Path) -> None:
    plain, *_ = outputs(package)
    rows = [operator(plain, "neuralEngine", ALL)]
    results = [
        {"model": package.stem, "compute_units": "all", "operators": rows},
        {"model": package.stem, "compute_units": "cpuOnly", "operators": [operator(plain, "cpu", ["cpu"])]},
        {"model": "other", "compute_units": "all", "operators": rows},
        {"model": package.stem, "compute_units": "all"},
    ]
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"schema_version": 2, "results": results}))
    assert [plan.name for plan in read_plans(path, package.stem)] == [f"{path}, all"]
    with pytest.raises(InputError, match="no plan of 'elsewhere'"):
        read_plans(path, "elsewhere")
    path.write_text(json.dumps({"results": results[3:]}))
    with pytest.raises(InputError, match="without operators"):
        read_plans(path, package.stem)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "no compute plan"),
        ("{}", "no compute plan"),
        ('{"operators": []}', "lists no operators"),
        ('{"operators": [{"output": "a"}]}', "without its name"),
        ('{"operators": [{"operator": "conv", "output": "a", "unit": "tpu"}]}', "'tpu': use one of neuralEngine"),
        ('{"operators": [{"operator": "conv", "output": "a", "unit": "cpu"}]}', "names the Neural Engine"),
        ('{"operators": [{"operator": "conv", "output": "a", "supported": "cpu"}]}', "no list, at a conv"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(InputError, match=words) as refused:
        read_plans(tmp_path / "plan.json", "model")
    assert "\n" not in str(refused.value)


def test_a_plan_of_another_model_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no operator in common"):
        compared(package, written(tmp_path, operator("elsewhere", "neuralEngine")))
    with pytest.raises(InputError, match="cannot read"):
        read_plans(tmp_path / "gone.json", "model")


def test_inspect_sets_plans_beside_the_rules(package: Path, tmp_path: Path) -> None:
    plain, wide, dilated = outputs(package)
    plan = written(tmp_path, operator(plain, "neuralEngine"), operator(wide, "cpu"), operator(dilated, "neuralEngine"))
    shown = CliRunner().invoke(command, [str(package), "--plan", str(plan), "--json", str(tmp_path / "facts.json")])
    assert shown.exit_code == 0, shown.output
    assert "the rules were right about 2 of 3 operators that both have" in shown.output
    assert "precision 100% of 1, recall 100% of 1" in shown.output
    (entry,) = json.loads((tmp_path / "facts.json").read_text())["plans"]
    assert entry["basis"] == "compute plan of Core ML, beside published rules"
    assert (entry["operators"], entry["precision"], entry["recall"], entry["unmatched"]) == (3, 1, 1, [0, 0])


def test_a_checkpoint_has_no_plan(tmp_path: Path) -> None:
    refused = CliRunner().invoke(command, ["builtin", "--plan", str(tmp_path / "plan.json")])
    assert "export it to an .mlpackage first" in str(refused.exception)
