from typing import Any

import pytest
import shelf

RUN: dict[str, Any] = {"checkpoint_sha256": "a", "data": "sample#val", "images": 4, "engine": "mil", "recipes": []}


def rows(**fidelities: float) -> list[dict[str, Any]]:
    return [{"recipe": f"{name}.toml", "fidelity": value} for name, value in fidelities.items()]


def test_rows_that_were_not_measured_stay_as_they_were() -> None:
    before = RUN | {"recipes": rows(fp16=0.1, int8=0.2, palette4=0.3)}
    assert shelf.completed(RUN | {"recipes": rows(palette4=0.4, a8=0.5)}, before)["recipes"] == rows(
        a8=0.5, fp16=0.1, int8=0.2, palette4=0.4
    )


@pytest.mark.parametrize("key", ["checkpoint_sha256", "data", "images", "engine"])
def test_rows_of_another_network_or_other_images_do_not_stay(key: str) -> None:
    assert shelf.completed(RUN | {"recipes": rows(int8=0.4)}, RUN | {key: "other", "recipes": rows(fp16=0.1)})["recipes"] == rows(int8=0.4)
