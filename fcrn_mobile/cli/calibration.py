"""``--calibration`` and what belongs to it: the images that a package is corrected and calibrated on."""

from collections.abc import Callable
from typing import Any

import click

__all__ = ["calibration_options"]


def calibration_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``data``, ``images`` and ``seed`` for ``Recipe.calibrated_on``, each by two names."""
    for option in (
        click.option("--calibration-seed", "--seed", "seed", type=int, metavar="N", help="Chooses which images."),
        click.option(
            "--calibration-images", "--images", "images", type=int, metavar="N", help="How many of them, instead of the recipe's number."
        ),
        click.option(
            "--calibration",
            "--data",
            "data",
            metavar="SPEC",
            help="Images to correct and calibrate on, such as folder:PATH#train; else what the recipe says.",
        ),
    ):
        command = option(command)
    return command
