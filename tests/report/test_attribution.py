import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from fcrn_mobile.mil import Program
from fcrn_mobile.report.attribution import save_attribution
from fcrn_mobile.validation.attribution import Attribution, attribute
from tests.validation.planted import Small, pictures, quantize, save_small

LONG = "a package against a network: 5 images of folder:$1_2 " + "long-name/" * 12


def drawn(result: Attribution, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Figure:
    kept: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *words, **settings: (kept.append(figure), save(figure, *words, **settings)))
    save_attribution(result, LONG, tmp_path / "drift.png")
    assert (tmp_path / "drift.png").stat().st_size > 10_000
    return kept[0]


def test_the_picture_shows_the_ratio_in_order_and_names_the_worst(tmp_path, monkeypatch) -> None:
    single = save_small(tmp_path, "single", "FLOAT32")
    result = attribute(Program.load(single), Program.load(quantize(single, tmp_path / "int8.mlpackage")), pictures())
    figure = drawn(result, tmp_path, monkeypatch)
    finite = [op for op in result.matched if np.isfinite(op.snr_db)]
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [op.index for op in finite])
    np.testing.assert_allclose(line.get_ydata(), [op.snr_db for op in finite])
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    (title,) = [text for text in figure.axes[0].get_children() if isinstance(text, Text) and text.get_text().startswith("a package")]
    assert title.get_text().replace("\n", "") == LONG.replace("\n", "")
    assert title.get_window_extent().x1 < legend.get_window_extent().x0, "the title does not reach the list beside the graph"
    assert [text.split()[1].rstrip(":") for text in named] == [op.weights for op in result.worst if op.own_drift > 0]
    stems = figure.axes[1].containers[0].markerline
    assert sorted(stems.get_ydata()) == sorted(op.own_drift for op in result.worst)


def test_overflow_is_marked_from_the_first_operator_on(tmp_path, monkeypatch) -> None:
    network = Small()
    network.first.weight.data *= 2e5  # itself within float16
    single, half = (save_small(tmp_path, precision, precision, network=network) for precision in ("FLOAT32", "FLOAT16"))
    result = attribute(Program.load(single), Program.load(half, "float16"), pictures())
    figure = drawn(result, tmp_path, monkeypatch)
    (marks,) = (line for line in figure.axes[0].lines if line.get_label().startswith("runs over"))
    assert "first first_weight" in marks.get_label()
    np.testing.assert_array_equal(marks.get_xdata(), [op.index for op in result.ops if op.beyond > 0])
    assert len(marks.get_xdata()) > 1
