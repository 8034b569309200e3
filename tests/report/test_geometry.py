"""Where things stand in pictures: what runs over what, measured on the drawn figure."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from fcrn_mobile.report.figures import Row, save_comparison
from fcrn_mobile.report.pareto import save_pareto
from fcrn_mobile.runtimes.runtime import model_name
from fcrn_mobile.tuning.result import Tuning
from tests.report.test_pareto import tuning

__all__ = ["tuning"]


@pytest.fixture
def drawn(monkeypatch) -> Callable[..., Figure]:
    """The figure that a function saves, laid out."""
    figures: list[Figure] = []

    def keep(self: Figure, *_: object, **__: object) -> None:
        FigureCanvasAgg(self)
        self.canvas.draw()
        figures.append(self)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(save: Callable[..., None], *arguments: object) -> Figure:
        save(*arguments, Path("x.png"))
        return figures[-1]

    return draw


def test_all_pictures_of_a_row_stand_at_one_height(drawn) -> None:
    depth = np.ones((6, 8), np.float32)
    row = Row(np.zeros((6, 8, 3), np.uint8), {"true": depth, "float": depth * 2}, depth)
    figure = drawn(save_comparison, [row, row], "difference")
    pictures = [axis for axis in figure.axes if axis.images]
    for line in (pictures[:4], pictures[4:8]):
        boxes = [axis.get_position() for axis in line]
        assert np.ptp([box.y0 for box in boxes]) < 0.002
        assert np.ptp([box.height for box in boxes]) < 0.002


@pytest.mark.parametrize("size", [600_000, 900_000, 1_250_000, 2_400_000])
def test_the_label_of_the_choice_does_not_run_over_the_axis(size: int, drawn, tuning: Tuning) -> None:
    points = tuple(replace(point, size_bytes=size) if point.kind == "chosen" else point for point in tuning.points)
    figure = drawn(save_pareto, replace(tuning, points=points))
    (axis,) = figure.axes
    (label,) = [text for text in axis.texts if isinstance(text, Text) and "of fp32" in text.get_text()]
    assert label.get_window_extent().x0 > axis.get_window_extent().x0


@pytest.mark.parametrize(
    ("path", "name"),
    [("runs/mine/best.safetensors", "mine/best"), ("runs/mine/last.safetensors", "mine/last"), ("runs/mine/depth.mlpackage", "depth")],
)
def test_a_file_that_every_run_has_is_called_by_its_run(path: str, name: str) -> None:
    assert model_name(Path(path)) == name


def test_a_run_s_folder_is_named_from_inside_it_too(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert model_name(Path("best.onnx")) == "mine/best"
