"""JSON of results: dataclasses, what JSON lacks, and file names that are no text."""

import json
import math
import os
from dataclasses import dataclass
from typing import Any

from fcrn_mobile.json_text import json_text


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int]
    ratio: float | None


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    named: dict[str, Inner]


@dataclass(frozen=True)
class Renamed:
    inner: Inner

    def to_json(self) -> dict[str, Any]:
        return {"what is inside": self.inner}


def test_a_dataclass_becomes_an_object_with_its_fields_in_order() -> None:
    inner = Inner((2, 3), None)
    text = json_text(Outer("a", inner, {"b": inner}))
    assert text == json_text({"name": "a", "inner": {"size": [2, 3], "ratio": None}, "named": {"b": {"size": [2, 3], "ratio": None}}})
    assert list(json.loads(text)) == ["name", "inner", "named"]


def test_keys_of_its_own_outrank_the_fields_also_inside() -> None:
    assert json.loads(json_text([Renamed(Inner((1, 1), math.inf))])) == [{"what is inside": {"size": [1, 1], "ratio": None}}]


def test_what_json_lacks_becomes_null_or_is_spelt_out() -> None:
    value = json.loads(json_text({"a": math.nan, "b": -math.inf, "c": (1.5,), os.fsdecode(b"\xff.png"): True}))
    assert [value["a"], value["b"], value["c"]] == [None, None, [1.5]]
    (name,) = set(value) - {"a", "b", "c"}
    name.encode("utf-8")
