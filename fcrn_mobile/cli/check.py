"""``fcrn-mobile check``."""

from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.exits import end
from fcrn_mobile.cli.frames import framed_rule
from fcrn_mobile.cli.gate import Gate, gate_options, print_changes
from fcrn_mobile.cli.latency_table import print_latency
from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.whole_file import make_folder, write_whole

if TYPE_CHECKING:
    from fcrn_mobile.project.check import ProjectCheck

__all__ = ["REPORT", "command"]

#: Files of the report's folder.
REPORT = ("report.md", "report.json", "junit.xml")


@click.command("check", cls=Command)
@click.argument("project_file", type=click.Path(path_type=Path), default=Path("depth.toml"), metavar="[depth.toml]")
@gate_options
@json_option
def command(project_file: Path, json_out: str | None, **options: Any) -> None:
    """Export what is out of date in a project, validate all of it, and write one report; exit code 1 if a budget is broken.

    'fcrn-mobile init' writes the file; its paths start from its folder. The report goes to the folder that its key report names
    (depth-report), written anew each time.
    """
    from fcrn_mobile.data.spec import open_images
    from fcrn_mobile.project.check import check
    from fcrn_mobile.project.project_file import read_project

    project = read_project(project_file)
    gate = Gate.taken_from(options)
    baseline = gate.read_baseline()
    with chdir(project_file.parent):
        result = check(project, open_images(project.data), framed_rule(project.data, project.framing, **project.rule), progress, baseline)
    report = project_file.parent / project.report
    _write_report(report, result)
    gate.write(result.outcomes, project_file)
    if json_out:
        write_json(json_out, result)
    if json_out != "-":
        _print(result, report)
    end(result.held)


def _write_report(folder: Path, result: "ProjectCheck") -> None:
    from fcrn_mobile.json_text import json_text
    from fcrn_mobile.report.junit import junit
    from fcrn_mobile.report.markdown import markdown

    make_folder(folder)
    texts = (markdown(result.outcomes), json_text(result), junit(result.outcomes))
    for name, text in zip(REPORT, texts, strict=True):
        write_whole(folder / name, text)


def _print(result: "ProjectCheck", folder: Path) -> None:
    for outcome in result.outcomes:
        for path, reason in outcome.exported.items():
            print(f"exported {path}: {reason}")
        print_drift(outcome.validation)
        if outcome.view:
            print(outcome.view)
        print_changes(outcome)
        for case in (case for case in outcome.cases if case.held is False):
            print(f"{case.model}: {case.text}")
        print()
    if result.latencies:
        print_latency(result.latencies)
    print(f"report: {folder / REPORT[0]}")
