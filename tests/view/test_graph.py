"""Rows of a graph held against coremltools' own reading of the same program."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.package.errors import MilError
from fcrn_mobile.view.graph import read_package_graph
from tests.mil.build import ct, mb, save_program
from tests.mil.damage import specification


def skipping(x: object) -> object:
    first = mb.relu(x=x, name="first")
    second = mb.gather(x=mb.square(x=first, name="square"), indices=np.array([2, 0, 1, 3]), axis=1, name="second")
    return mb.add(x=second, y=first, name="sum")


def operators(path: Path) -> list[Any]:
    """Every operator that is no constant, as the specification has it."""
    (function,) = ct.utils.load_spec(str(path)).mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return [op for op in block.operations if op.type != "const" and not op.type.startswith("constexpr_")]


def test_operators_stand_in_order_with_what_reads_them(tmp_path: Path) -> None:
    path = save_program(tmp_path, skipping, [np.zeros((1, 4, 8, 32), np.float16)])
    graph = read_package_graph(path)
    assert [(row.kind, row.name) for row in graph.rows] == [(op.type, op.outputs[0].name) for op in operators(path)]
    assert [row.name for row in graph.rows] == ["first", "square", "second", "sum"]
    assert [row.reads for row in graph.rows] == [(), (0,), (1,), (0, 2)]
    assert graph.jumps == [(0, 3)]
    assert [row.verdict for row in graph.rows] == ["runs", "runs", "falls back", "runs"]
    assert {row.shape for row in graph.rows} == {"1×4×8×32"}
    assert graph.placement["segments"] == "3: ANE 2 → CPU 1 → ANE 1"
    assert graph.attribution is None and graph.largest_drift == 1 and {row.own_drift for row in graph.rows} == {0.0}


def test_a_hazard_stands_at_its_operator(tmp_path: Path) -> None:
    path = save_program(tmp_path, skipping, [np.zeros((1, 4, 8, 32), np.float16)])
    graph = read_package_graph(path)
    places = {place.name: finding.rule.id for finding in graph.diagnosis.findings for place in finding.places}
    shown = {row.name: row.hazards for row in graph.rows}
    assert any(shown.values())
    for row in graph.rows:
        assert bool(row.hazards) == (row.name in places)
    for finding in graph.diagnosis.findings:
        for place in finding.places:
            if place.name in shown:
                assert f"{finding.rule.severity} {finding.rule.id}" in shown[place.name]


def test_a_hazard_of_weights_stands_at_the_operators_that_read_them(folder: Path) -> None:
    graph = read_package_graph(folder / "coarse.mlpackage")
    reads = {
        op.outputs[0].name: {binding.name for argument in op.inputs.values() for binding in argument.arguments}
        for op in operators(folder / "coarse.mlpackage")
    }
    expected = {
        (name, f"{finding.rule.severity} {finding.rule.id}")
        for finding in graph.diagnosis.findings
        for place in finding.places
        for name, inputs in reads.items()
        if place.name in inputs - reads.keys() and place.what not in ("input", "output")
    }
    assert expected and expected <= {(row.name, hazard) for row in graph.rows for hazard in row.hazards}


def test_what_does_not_hang_together_is_refused(tmp_path: Path) -> None:
    path = save_program(tmp_path, skipping, [np.zeros((1, 4, 8, 32), np.float16)])

    def misread(proto: Any) -> None:
        (function,) = proto.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        (last,) = [op for op in block.operations if op.type == "add"]
        last.inputs["y"].arguments[0].name = "elsewhere"

    specification(misread)(path)
    with pytest.raises(MilError, match="elsewhere"):
        read_package_graph(path)
