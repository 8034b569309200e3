"""Reports as a user asks for them: written whole or not at all, and saying what the terminal and the JSON say."""

import json

import pytest

from tests.journeys.command import refused
from tests.report.page import Parsed


def test_validate_writes_a_page_that_agrees_with_its_json(packages, call, tmp_path) -> None:
    words = ["validate", "builtin", str(packages["fp16"]), str(packages["int8"]), "--data", "sample#val", "--budget", "fidelity=0.005"]
    result = call(*words, "--html", "drift.html", "--json", "drift.json")
    assert result.returncode == 1, result.stderr
    assert "written: drift.html" in result.stdout
    assert "images per second" in result.stdout
    text = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    document = Parsed(text)
    assert document.all("h1")[0].text == "int8 breaks its budget (1 of 2 candidates)"
    assert "Candidates ran on mil, simulated float16 arithmetic; not run on a device" in document.all("header")[0].text
    table = document.all("table")[0].text
    for candidate in json.loads((tmp_path / "drift.json").read_text())["candidates"]:
        for number in (*(candidate["metrics"][key] for key in candidate["change"]), candidate["fidelity"]["abs_rel"]):
            assert f"{number:.4f}" in table
        assert len(candidate["per_image"]) == 4
    assert "int8" in document.all("table")[-1].text  # the recipes
    (operators,) = (table.text for table in document.all("table") if "own drift" in table.text)
    assert "encoder" in operators
    assert "The operators of int8, which drifts most" in " ".join(" ".join(e.text for e in document.all("p")).split())
    refused(call(*words, "--html", "drift.html"), "drift.html", "exists", "--force")
    assert (tmp_path / "drift.html").read_text(encoding="utf-8") == text
    again = call("validate", "builtin", "builtin", "--data", "sample#val", "--html", "drift.html", "--force")
    assert again.returncode == 0, again.stderr
    assert Parsed((tmp_path / "drift.html").read_text(encoding="utf-8")).all("h1")[0].text.startswith("No budget")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drift.html", "drift.json"]


def test_bench_writes_a_page(packages, call, tmp_path) -> None:
    result = call("bench", "builtin", str(packages["int8"]), "--runs", "3", "--html", "bench.html", "--json", "bench.json")
    assert result.returncode == 0, result.stderr
    assert "FPS" in result.stdout
    document = Parsed((tmp_path / "bench.html").read_text(encoding="utf-8"))
    assert "Shortest median of 2" in document.all("h1")[0].text
    for model in json.loads((tmp_path / "bench.json").read_text())["results"]:
        assert f"{model['median_ms']:.1f}" in document.all("table")[0].text


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("nowhere/a.html", ["nowhere", "create"]),
        (".", ["--html", "end in .html"]),
        ("-", ["end in .html"]),
        ("folder.html", ["is a folder"]),
    ],
)
@pytest.mark.parametrize("command", ["validate builtin missing.mlpackage --data sample", "bench missing.mlpackage"])
def test_a_page_that_cannot_be_written_is_refused_first(call, tmp_path, command: str, page: str, words: list[str]) -> None:
    (tmp_path / "folder.html").mkdir()
    refused(call(*command.split(), "--html", page), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_nothing_is_written_when_the_run_fails(call, packages, tmp_path) -> None:
    refused(call("validate", "builtin", str(packages["fp16"]), "--data", "folder:missing", "--html", "a.html"), "missing")
    assert list(tmp_path.iterdir()) == []
