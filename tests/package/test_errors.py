"""The line of an error, whatever the names in a package hold."""

import pytest

from fcrn_mobile.package.errors import MilError


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("weights 'a b' \n are\tcut\u2028off", "weights 'a b' are cut off"),
        ("name 'a\x07b\x1b[31m\u200bé'", r"name 'a\x07b\x1b[31m\u200bé'"),
        ("quotes ' \" and \\ stay", "quotes ' \" and \\ stay"),
        ("x" * 600, "x" * 600),
        ("x" * 601, "x" * 599 + "…"),
    ],
)
def test_a_message_is_one_printable_line_of_bearable_length(message: str, line: str) -> None:
    assert str(MilError(message)) == line
