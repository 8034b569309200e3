import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.view.lineup import Lineup
from fcrn_mobile.view.session import Session
from tests.report.page import Parsed


@pytest.fixture(scope="module")
def session(folder: Path) -> Session:
    return opened(folder / "net.safetensors", folder / "coarse.mlpackage")


def opened(*paths: Path) -> Session:
    models = tuple(map(str, paths))
    return Session(Lineup.of([open_runtime(model) for model in models]), open_source("sample"), "sample", models)


def png(height: int, width: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(file, "png")
    return file.getvalue()


def drift_on_noise(session: Session) -> float:
    """Mean relative difference of the two models' depth, of which less than 1 mm counts as 1 mm."""
    image = np.asarray(Image.open(io.BytesIO(png(48, 64))))
    reference, candidate = (np.maximum(model.predict(image), 1e-3) for model in session.lineup.models)
    return float(np.mean(np.abs(candidate - reference) / reference))


def texts(part: str, tag: str) -> list[str]:
    return [" ".join(element.text.split()) for element in Parsed(part).all(tag)]


def test_the_page_lists_frames_models_and_packages(session: Session) -> None:
    page = session.page()
    assert texts(page, "h1") == ["net and coarse"]
    assert texts(page, "summary") == ["coarse"]
    options = texts(page, "option")
    assert options == [*session.source.names, "net", "coarse"]
    assert "//" not in re.sub(r"base64,[^\"]*|/\*.*?\*/", "", page)


def test_a_frame_shows_its_truth_and_a_picture_does_not(session: Session) -> None:
    frame, picture = session.frame(0), session.picture(png(48, 64), "<b>mine</b>.png")
    assert texts(frame, "figcaption").count("true depth") == 1 and "true depth" not in texts(picture, "figcaption")
    assert texts(picture, "h3") == ["<b>mine</b>.png"]  # escaped in the page, and so read as text
    assert "reference" in texts(picture, "figcaption") and "coarse" in texts(picture, "figcaption")
    assert f"{drift_on_noise(session):.4f}" in texts(picture, "td")


def test_times_leave_the_first_prediction_out(folder: Path) -> None:
    session = opened(folder / "net.safetensors")
    assert "net" in texts(session.frame(0), "figcaption")  # alone it is no reference
    counts = [texts(session.frame(0), "td")[-1] for _ in range(3)]
    assert counts == ["1", "2", "3"]


def test_a_package_s_drift_is_that_of_the_picture_and_only_when_asked(session: Session) -> None:
    session.frame(0)
    plain = session.graph(1)
    assert texts(plain, "button") == ["Drift by operator on the picture above"] and "own drift" not in texts(plain, "th")
    number = re.findall(r'data-sight="(\d+)"', session.picture(png(48, 64), "noise"))[0]
    drifting = session.graph(1, int(number))
    rows = {element.attributes["id"] for element in Parsed(plain).all("tr") if "id" in element.attributes}
    assert rows == {element.attributes["id"] for element in Parsed(drifting).all("tr") if "id" in element.attributes}
    links = {element.attributes["href"].removeprefix("#") for element in Parsed(drifting).all("a")}
    assert links == rows
    bars = [element for element in Parsed(drifting).all("rect") if element.attributes["class"] == "own"]
    assert bars and max(float(bar.attributes["height"]) for bar in bars) == 32
    assert not [element for element in Parsed(plain).all("rect") if element.attributes["class"] == "own"]
    total = re.findall(r"drifts ([\d.]+) from net's on noise", " ".join(drifting.split()))
    assert float(total[0]) == pytest.approx(drift_on_noise(session), rel=0.02)


def test_a_package_alone_has_a_graph_and_says_how_to_get_its_drift(folder: Path) -> None:
    session = opened(folder / "coarse.mlpackage")
    session.frame(0)
    graph = session.graph(0)
    assert not texts(graph, "button") and "fcrn-mobile view builtin PACKAGE" in graph
    with pytest.raises(InputError, match="the first model is the reference"):
        session.graph(0, 1)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.frame(999), "no frame 999"),
        (lambda s: s.picture(b"hello", "a.png"), "'a.png' is not an image"),
        (lambda s: s.graph(0), "only an .mlpackage"),
        (lambda s: s.graph(5), "no model 5"),
        (lambda s: s.cloud(99, 0, 60), "seen too long ago"),
        (lambda s: s.cloud(1, 0, 500), "field of view is 500"),
    ],
)
def test_what_cannot_be_is_one_line(folder: Path, ask, words: str) -> None:
    session = opened(folder / "net.safetensors")
    session.frame(0)
    with pytest.raises(InputError, match=words):
        ask(session)


def test_old_pictures_are_forgotten(folder: Path) -> None:
    session = opened(folder / "net.safetensors")
    for _ in range(9):
        session.frame(0)
    assert session.cloud(2, 0, 60).startswith(b"ply")
    with pytest.raises(InputError, match="seen too long ago"):
        session.cloud(1, 0, 60)
