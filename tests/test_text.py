"""Text for people: counts and lists in words."""

import pytest

from fcrn_mobile.text import counted, enumerated


@pytest.mark.parametrize(("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (119, "119 images")])
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "image") == text


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")], ids=["none", "one", "two", "three"]
)
def test_the_last_of_a_list_comes_behind_the_conjunction(words: list[str], text: str) -> None:
    assert enumerated(words, "or") == text
