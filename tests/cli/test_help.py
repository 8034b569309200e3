"""What ``--help`` says of options."""

import click
import pytest

from fcrn_mobile.cli.main import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str) -> None:
    options = [option for option in _command(name).params if isinstance(option, click.Option)]
    assert options
    assert [option.opts for option in options if not option.help] == []


def test_compress_takes_the_names_that_export_has_for_calibration() -> None:
    export, compress = ({name for option in command.params for name in option.opts} for command in map(_command, ("export", "compress")))
    assert {name for name in export if name.startswith("--calibration")} <= compress


def _command(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command
