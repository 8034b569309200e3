"""What ``--help`` says of options."""

import click
import pytest

from fcrn_mobile.cli.main import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str) -> None:
    options = [option for option in _command(name).params if isinstance(option, click.Option)]
    assert options
    assert [option.opts for option in options if not option.help] == []


def test_export_and_compress_name_images_alike() -> None:
    """``compress`` called them --data, --images and --seed first."""
    names = ("--calibration", "--data", "--calibration-images", "--images", "--calibration-seed", "--seed")
    for command in map(_command, ("export", "compress")):
        options = {name: param.name for param in command.params for name in param.opts}
        assert [options[name] for name in names] == ["data", "data", "images", "images", "seed", "seed"]


def _command(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command
