"""A repository made from nothing: a project file, a green check, a budget that breaks, and what gates in CI read of it."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.journeys.command import Result, refused
from tests.project.small import save_small
from tests.report.page import Parsed


def rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_a_project_from_nothing_to_a_broken_budget(call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_small(tmp_path / "runs/mine/best.safetensors")
    assert call("init").returncode == 0
    project, recipe, package = tmp_path / "depth.toml", tmp_path / "mine.toml", tmp_path / "models/mine-int8.mlpackage"
    refused(call("init"), "depth.toml", "exists", "--force")
    recipe.write_text('name = "mine"\nprecision = "int8"\nbudget = { fidelity = "0.05" }\n')
    rewrite(project, 'recipe = "int8"', 'recipe = "mine.toml"')
    rewrite(project, 'report = "depth-report"', 'report = "depth-report"\nbudget = { abs_rel = "30%", fidelity = "0.2" }')

    green = call("check", "--json", "old.json", "--sarif", "old.sarif")
    assert green.returncode == 0, green.stderr
    assert f"exported {package.relative_to(tmp_path)}: it was not there" in green.stdout
    assert json.loads((tmp_path / "old.sarif").read_text())["runs"][0]["results"] == []
    former = package.stat().st_mtime_ns

    again = call("check", "--baseline", "old.json", "--json", "-")
    assert again.returncode == 0, again.stderr
    (run,) = json.loads(again.stdout)["validations"]
    assert run["exported"] == {}
    assert package.stat().st_mtime_ns == former
    assert {change["now"] - change["before"] for change in run["changes"]} == {0}
    assert {(change["model"], change["figure"]) for change in run["changes"]} >= {("mine-fp16", "fidelity"), ("mine-int8", "abs_rel")}

    recipe.write_text('name = "mine"\nprecision = "palette1"\nbudget = { fidelity = "0.05" }\n')
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    files = ("--junit", "j.xml", "--markdown", "m.md", "--sarif", "s.json", "--json", "now.json")
    broken = call("check", *files, "--baseline", "old.json")
    assert broken.returncode == 1, broken.stderr
    assert "the recipe is another (precision)" in broken.stdout
    (suite,) = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {"tests": "4", "failures": "1", "skipped": "0"}
    (failure,) = suite.findall("testcase/failure")
    operator = dict(line.split(": ", 1) for line in (failure.text or "").splitlines())["operator"]
    assert failure.get("type") == "fidelity"
    diagnosed = call("diagnose", "runs/mine/best.safetensors", str(package), "--data", "sample#val", "--images", "4", "--json", "-")
    worst = {op["name"]: op["weights"] for op in json.loads(diagnosed.stdout)["ops"] if op["own"]}
    assert operator in worst.values()
    markdown = (tmp_path / "m.md").read_text(encoding="utf-8")
    for word in ("mine-int8", "fidelity", "BROKEN", "Since the last run", operator.replace("*", "\\*")):
        assert word in markdown
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == f"before\n{markdown}"
    assert (tmp_path / "depth-report/report.md").read_text(encoding="utf-8") == markdown
    page = Parsed((tmp_path / "depth-report/report.html").read_text(encoding="utf-8"))
    (heading,) = page.all("h1")
    assert heading.text.endswith("; mine-int8 breaks its budget (1 of 2 candidates)")
    assert {"Since the last run", "Drift by operator", "Published hazards"} <= {each.text for each in page.all("h2")}
    assert any(operator in each.text for each in page.all("th"))
    (finding,) = json.loads((tmp_path / "s.json").read_text())["runs"][0]["results"]
    place = finding["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "depth.toml"
    assert '"models/mine-int8.mlpackage"' in project.read_text().splitlines()[place["region"]["startLine"] - 1]

    rewrite(project, 'report = "depth-report"', 'report = "depth-report"\nprotocol = "full"')
    refused(call("check", "--baseline", "old.json"), "old.json", "protocol was eigen and is full now", "--baseline")


def test_validate_writes_the_same(call: Callable[..., Result], tmp_path: Path) -> None:
    save_small(tmp_path / "net.safetensors")
    assert call("export", "net.safetensors", "--out", "a.mlpackage").returncode == 0
    words = ("validate", "net.safetensors", "a.mlpackage", "--data")
    first = call(*words, "sample#val", "--budget", "fidelity=0.0002", "--junit", "j.xml", "--json", "old.json")
    assert first.returncode == 1, first.stderr
    (failure,) = ElementTree.parse(tmp_path / "j.xml").getroot().findall("testsuite/testcase/failure")
    assert failure.get("type") == "fidelity"
    assert "operator: " in (failure.text or "")
    measured = next(line for line in first.stdout.splitlines() if "BROKEN" in line).rpartition(" ")[2]
    assert measured in (failure.get("message") or "")
    former = json.loads((tmp_path / "old.json").read_text())
    former["candidates"][0]["fidelity"]["abs_rel"] = 0.5
    (tmp_path / "old.json").write_text(json.dumps(former))
    compared = call(*words, "sample#val", "--baseline", "old.json")
    assert compared.returncode == 0, compared.stderr
    changes = [line for line in compared.stdout.splitlines() if " was " in line]
    assert changes == [f"a: fidelity was 0.5000, is {measured}"]
    refused(call(*words, "sample#train", "--baseline", "old.json"), "data was sample#val and is sample#train now")
    refused(call(*words, "sample#val", "--align", "median", "--baseline", "old.json"), "alignment was none and is median now")
    refused(call(*words, "sample#val", "--max-depth", "5", "--baseline", "old.json"), "max_depth was 10.0 and is 5.0 now")
    (tmp_path / "other.json").write_text('{"results": []}')
    refused(call(*words, "sample#val", "--baseline", "other.json"), "other.json", "no baseline")
    refused(call(*words, "sample#val", "--baseline", "none.json"), "none.json", "No such file")


def test_recipes_are_listed_and_checked(call: Callable[..., Result], tmp_path: Path) -> None:
    listed = call("recipes")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]][:2] == ["a8", "fp16"]
    (tmp_path / "good.toml").write_text('precision = "int8"\n')
    (tmp_path / "bad.toml").write_text('precison = "int8"\n')
    (tmp_path / "worse.toml").write_text("= 3\n")
    checked = call("recipes", "good.toml", "bad.toml", "worse.toml")
    assert checked.returncode == 2
    assert [line.split("'")[1] for line in checked.stderr.splitlines()] == ["bad.toml", "worse.toml"]
    assert call("recipes", "good.toml").returncode == 0
