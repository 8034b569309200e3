"""A validation of networks made up for the purpose, and a page taken apart by the standard library's parser."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from fcrn_mobile.data import Sample
from fcrn_mobile.evaluation import metrics
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.report.html import Page, render
from fcrn_mobile.report.scenes import show
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.result import Validation

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
#: Elements that have no end.
_VOID = {"meta", "img", "link", "br", "hr", "input"}


class Farther:
    """A network that sees all of a frame a factor too far, another one for each frame."""

    backend, input_size = "torch", (24, 32)

    def __init__(self, name: str, path: Path, factors: Sequence[float], metadata: dict[str, str] | None = None) -> None:
        self.name, self.path, self.factors, self.metadata = name, path, factors, metadata or {}

    def predict(self, image: np.ndarray) -> np.ndarray:
        slope = np.linspace(1, 4, 32, dtype=np.float32)[None, :].repeat(24, axis=0)
        return slope * np.float32(self.factors[int(image[0, 0, 0])])


def frames(count: int, names: Sequence[str] = ()) -> list[Sample]:
    """Frames whose first pixel is their number; the truth is a slope from 1.2 to 4.4 m, unknown on the left."""
    depth = np.linspace(1.2, 4.4, 64, dtype=np.float32)[None, :].repeat(48, axis=0)
    depth[:, :4] = 0
    samples = []
    for index in range(count):
        image = np.random.default_rng(index).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        image[0, 0, 0] = index
        samples.append(Sample(image, depth, names[index] if names else f"frame_{index}"))
    return samples


def validated(
    folder: Path, candidates: dict[str, Sequence[float]], *limits: str, names: Sequence[str] = (), data: str = "sample", recipe: str = "{}"
) -> Page:
    """A page about candidates, each a name and its factor on every frame, of a reference whose factors are 1."""
    model = folder / "model"
    model.write_bytes(b"12345")
    count = len(next(iter(candidates.values())))
    source, reference = frames(count, names), Farther("float", model, [1.0] * count)
    others = [Farther(name, model, factors, {"fcrn_mobile.recipe": recipe}) for name, factors in candidates.items()]
    result = validate(reference, others, source, metrics.protocol("full"), [parse_limit(text) for text in limits], data)
    return Page(result, show(source, reference, others, result))


def drift_of(page: Page) -> Validation:
    assert page.validation is not None
    return page.validation


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[str] = field(default_factory=list)


class Parsed(HTMLParser):
    """All elements in order, each with the text in it; fails on an element that is closed out of turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {[element.tag for element in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, inside=[e.tag for e in self._open])
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, inside=[e.tag for e in self._open]))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()
        if tag in ("td", "th"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]


def parsed(page: Page) -> Parsed:
    return Parsed(render(page, WHEN))
