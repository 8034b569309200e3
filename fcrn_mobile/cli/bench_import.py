"""``fcrn-mobile bench --import``."""

from pathlib import Path
from typing import TYPE_CHECKING

from fcrn_mobile.cli.common import print_table, write_json
from fcrn_mobile.cli.latency_table import LATENCY_COLUMNS, latency_row
from fcrn_mobile.cli.page import write_page
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fcrn_mobile.latency.reports import DeviceReport

__all__ = ["show"]


def show(paths: list[Path], figure: Path | None, html: Path | None, force: bool, json_out: str | None) -> None:
    """Reports side by side: table, JSON, picture, page."""
    from fcrn_mobile.latency.reports import merged, read_reports

    reports = read_reports(paths)
    if figure:
        from fcrn_mobile.report.charts import save_latency_over_time

        with written_whole(figure, force) as partial:
            save_latency_over_time(reports, partial)
    if html:
        from fcrn_mobile.report.html import Page

        write_page(Page(devices=tuple(reports)), html, force)
    if json_out:
        write_json(json_out, merged(reports))
    if json_out != "-":
        _print(reports)
        for path in (figure, html):
            if path:
                print(f"written: {path}")


def _print(reports: "Sequence[DeviceReport]") -> None:
    from fcrn_mobile.latency.device_facts import report_facts, result_facts
    from fcrn_mobile.latency.reports import differences

    rows = [[*latency_row(result), result.device, result.compute_units] for report in reports for result in report.results]
    print_table("Latency as the files say; not measured here", [*LATENCY_COLUMNS, "device", "units"], rows)
    for report in reports:
        states = list(dict.fromkeys(state for _, state in report.thermal))
        thermal = f"thermal state {' → '.join(states)}" if states else "no thermal state"
        print(f"{report.path.name}: {report.machine.processor}, {report.machine.system}, {thermal}")
        for fact in (*report_facts(report), *result_facts(report)):
            print(f"  {fact}")
    changes = differences(reports)
    for difference in changes:
        print(f"warning: {difference}")
    if len(reports) > 1 and not changes:
        print("versions, model hashes and recipes match")
