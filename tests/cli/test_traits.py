"""Options of the Neural Engine's simulation."""

from fcrn_mobile.cli.validate import command
from fcrn_mobile.mil.traits import TRAITS


def test_the_help_names_every_trait() -> None:
    """Written out there: help imports no torch."""
    (option,) = (param for param in command.params if param.name == "without")
    names = option.help.partition("follow: ")[2].rstrip(".").replace(" or ", ", ").split(", ")  # type: ignore[attr-defined] # an option
    assert names == [*TRAITS]
