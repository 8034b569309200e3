"""``fcrn-mobile doctor``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import function_option, json_option, print_table, size_option, write_json
from fcrn_mobile.cli.exits import end
from fcrn_mobile.cli.model_config import model_config_option
from fcrn_mobile.cli.outputs import OutputFile

if TYPE_CHECKING:
    from fcrn_mobile.doctor.diagnosis import Diagnosis, Finding

__all__ = ["command"]


@click.command("doctor", cls=Command)
@click.argument("model")
@function_option
@size_option
@click.option("--strict", is_flag=True, help="Exit code 1 if an error was found.")
@click.option("--sarif", type=OutputFile(overwrites=True), metavar="FILE", help="Write the findings as SARIF 2.1.0, for code review.")
@model_config_option()
@json_option
def command(
    model: str,
    function: str | None,
    size: tuple[int, int] | None,
    strict: bool,
    sarif: Path | None,
    model_config: Path | None,
    json_out: str | None,
) -> None:
    """What MODEL (.mlpackage or .mlmodel) will meet on a device: what does not load, turns out wrong, or runs slower than it could.

    The file is held against published hazards, each with its source; those that nobody confirmed say so. Nothing is run but a model of
    several sizes, once for its shapes at --size or its default.
    """
    from fcrn_mobile.doctor.diagnosis import diagnose
    from fcrn_mobile.report.findings import to_sarif

    diagnosis = diagnose(Path(model), function, model_config, size)
    if sarif:
        write_json(str(sarif), to_sarif(diagnosis))
    if json_out:
        write_json(json_out, diagnosis)
    if json_out != "-":
        _print(diagnosis)
    end(not (strict and diagnosis.has_errors))


def _print(diagnosis: "Diagnosis") -> None:
    from fcrn_mobile.doctor.diagnosis import BASIS

    print(f"{diagnosis.model}: {diagnosis}")
    if diagnosis.findings:
        rows = [[f.rule.severity, f.rule.id, str(len(f.places)), "" if f.rule.confirmed else "not confirmed"] for f in diagnosis.findings]
        print_table("", ["severity", "rule", "places", ""], rows)
    for finding in diagnosis.findings:
        _print_finding(finding)
    print(f"rests on {BASIS}")


def _print_finding(finding: "Finding") -> None:
    rule = finding.rule
    doubt = "" if rule.confirmed else " (nobody confirmed this)"
    print(f"\n{rule.severity} {rule.id}: {rule.symptom}{doubt}")
    print(f"  at      {finding.where}")
    print(f"  remedy  {rule.remedy}")
    print(f"  source  {', '.join(source.url for source in rule.sources)}")
