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
from fcrn_mobile.cli.outputs import OutputFolder, can_draw
from fcrn_mobile.cli.page import write_page
from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.whole_file import make_folder, write_whole

if TYPE_CHECKING:
    from fcrn_mobile.project.check import ProjectCheck
    from fcrn_mobile.project.page import ProjectPage
    from fcrn_mobile.report.html import Page

__all__ = ["PAGE", "REPORT", "command"]

#: Files of the report's folder; the page is drawn, see ``can_draw``.
REPORT = ("report.md", "report.json", "junit.xml")
PAGE = "report.html"


@click.command("check", cls=Command)
@click.argument("project_file", type=click.Path(path_type=Path), default=Path("depth.toml"), metavar="[depth.toml]")
@click.option("--report", "folder", type=OutputFolder(), metavar="DIR", help="Folder of the report, instead of the file's own.")
@gate_options
@json_option
def command(project_file: Path, folder: Path | None, json_out: str | None, **options: Any) -> None:
    """Export what is out of date in a project, validate all of it, and write one report; exit code 1 if a budget is broken.

    'fcrn-mobile init' writes the file; its paths start from its folder. The report, a page among it, goes to the folder that its key
    report names (depth-report), written anew each time.
    """
    from fcrn_mobile.data.spec import open_images
    from fcrn_mobile.project.check import check
    from fcrn_mobile.project.project_file import read_project

    project = read_project(project_file)
    gate = Gate.taken_from(options)
    baseline, page = gate.read_baseline(), _page()
    with chdir(project_file.parent):
        rule = framed_rule(project.data, project.framing, **project.rule)
        result = check(project, open_images(project.data), rule, progress, baseline, page)
    folder = folder or project_file.parent / project.report
    _write_report(folder, result, page.whole(result.latencies) if page else None)
    gate.write(result.outcomes, project_file, project.lines)
    if json_out:
        write_json(json_out, result)
    if json_out != "-":
        _print(result, folder, bool(page))
    end(result.held)


def _page() -> "ProjectPage | None":
    """What the models are drawn on; None where the library is not installed."""
    if not can_draw():
        return None
    from fcrn_mobile.project.page import ProjectPage

    return ProjectPage()


def _write_report(folder: Path, result: "ProjectCheck", page: "Page | None") -> None:
    from fcrn_mobile.json_text import json_text
    from fcrn_mobile.report.junit import junit
    from fcrn_mobile.report.markdown import markdown

    make_folder(folder)
    texts = (markdown(result.outcomes), json_text(result), junit(result.outcomes))
    for name, text in zip(REPORT, texts, strict=True):
        write_whole(folder / name, text)
    if page:
        write_page(page, folder / PAGE, force=True)
    else:
        (folder / PAGE).unlink(missing_ok=True)  # of an earlier run


def _print(result: "ProjectCheck", folder: Path, has_page: bool) -> None:
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
    print(f"report: {folder / (PAGE if has_page else REPORT[0])}")
    if not has_page:
        print(f"no {PAGE}, which matplotlib draws: pip install 'fcrn-mobile[report]'")
