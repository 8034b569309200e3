import pytest

from fcrn_mobile.cli import common

COLUMNS = ["model", "abs_rel", "verdict"]
ROWS = [["float", "0.2367", ""], ["fcrn-int8", "0.2391 +0.0025", "held"]]


def printed(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    monkeypatch.setattr(common, "_PIPE_WIDTH", width)
    common.print_table("Drift", COLUMNS, ROWS)
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "Drift"
    assert all(len(line) <= width for line in lines)
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_a_heading_longer_than_its_table_stays_in_one_line(capsys) -> None:
    heading = "Settings that differ between these two runs of training, [bold] and 12 others"
    common.print_table(heading, ["a", "b"], [["1", "2"]])
    assert capsys.readouterr().out.splitlines()[0].rstrip() == heading


def test_a_table_that_fits_has_a_row_per_model(monkeypatch, capsys) -> None:
    assert printed(40, monkeypatch, capsys) == [COLUMNS, ["float", "0.2367"], ["fcrn-int8", "0.2391 +0.0025", "held"]]


def test_a_table_too_wide_for_the_terminal_stands_on_its_side_and_loses_nothing(monkeypatch, capsys) -> None:
    expected = [["model", "float", "fcrn-int8"], ["abs_rel", "0.2367", "0.2391 +0.0025"], ["verdict", "held"]]
    assert printed(33, monkeypatch, capsys) == expected
