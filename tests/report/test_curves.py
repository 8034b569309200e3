import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from fcrn_mobile.report.curves import save_curves
from fcrn_mobile.runs.history import History


def make(name: str, losses: list[float], best_epoch: int = 1, loss: str = "l1", first: int = 1) -> History:
    epochs = list(range(first, first + len(losses)))
    curves = {"train/loss": losses, "val/abs_rel": [value / 10 for value in losses], "val/delta1": [1 - value / 10 for value in losses]}
    return History(name, Path(name), {"loss": loss}, epochs, curves, {}, best_epoch)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures as they are saved."""
    kept: list[Figure] = []
    original = Figure.savefig

    def keep(self: Figure, *args: object, **kwargs: object) -> None:
        kept.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return kept


def test_every_run_has_a_line_in_every_panel(tmp_path: Path, drawn: list[Figure]) -> None:
    save_curves([make("a", [3, 2, 1], best_epoch=3), make("b", [4, 5], first=2, best_epoch=2)], tmp_path / "c.png")
    axes = drawn[0].axes
    assert [axis.get_title().split(" (")[0] for axis in axes] == ["training loss", "validation abs_rel", "validation delta1"]
    for axis, scale in zip(axes, (lambda x: x, lambda x: x / 10, lambda x: 1 - x / 10), strict=True):
        a, b = (line for line in axis.lines if len(line.get_xdata()) > 1)
        np.testing.assert_allclose(np.column_stack(a.get_data()), [(1, scale(3)), (2, scale(2)), (3, scale(1))])
        np.testing.assert_allclose(np.column_stack(b.get_data()), [(2, scale(4)), (3, scale(5))])
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a", "b"]


def test_a_ring_marks_the_best_epoch(tmp_path: Path, drawn: list[Figure]) -> None:
    save_curves([make("a", [3, 1, 2], best_epoch=2), make("b", [4, 5], best_epoch=1)], tmp_path / "c.png")
    loss, abs_rel, _ = drawn[0].axes
    rings = [(line.get_xdata()[0], line.get_ydata()[0]) for line in abs_rel.lines if len(line.get_xdata()) == 1]
    assert rings == [(2, pytest.approx(0.1)), (1, pytest.approx(0.4))]
    assert len(loss.lines) == 2


def test_epochs_are_whole_numbers(tmp_path: Path, drawn: list[Figure]) -> None:
    save_curves([make("a", [3]), make("b", [4])], tmp_path / "c.png")
    for axis in drawn[0].axes:
        assert all(float(tick).is_integer() for tick in axis.get_xticks())


def test_losses_of_different_kinds_are_not_passed_off_as_comparable(tmp_path: Path, drawn: list[Figure]) -> None:
    save_curves([make("a", [3], loss="l1"), make("b", [4], loss="berhu")], tmp_path / "c.png")
    assert drawn[0].axes[0].get_title() == "training loss: l1, berhu (not comparable)"


@pytest.mark.filterwarnings("error")
def test_names_are_taken_literally_and_missing_values_leave_a_gap(tmp_path: Path, drawn: list[Figure]) -> None:
    save_curves([make("_hidden", [3, math.nan, 2]), make(r"cost_$\frac{x$", [4])], tmp_path / "c.png")
    assert [text.get_text().strip("\u200b") for text in drawn[0].legends[0].get_texts()] == ["_hidden", r"cost_$\frac{x$"]


def test_twelve_runs_are_told_apart(tmp_path: Path, drawn: list[Figure]) -> None:
    save_curves([make(f"run {number}", [number, number + 1]) for number in range(12)], tmp_path / "c.png")
    lines = [line for line in drawn[0].axes[0].lines if len(line.get_xdata()) > 1]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12
