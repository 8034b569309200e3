"""Options on the frames that a command measures on: their protocol, and what becomes of those that cannot be read."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.common import progress
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.data import Source
    from fcrn_mobile.evaluation.metrics import EvaluationProtocol

__all__ = ["protocol_option", "rule_for", "rule_if_depth", "skip_bad_option", "sound_frames"]


def protocol_option(help: str = "How predictions meet the truth.") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--protocol NAME``; None where it is not given: then it is the data's own."""
    text = f"{help}  [default: garg for KITTI, else eigen]"
    return click.option("--protocol", metavar="eigen|laina|full|garg", help=text)


def skip_bad_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--skip-bad``."""
    return click.option("--skip-bad", is_flag=True, help="Leave out frames that cannot be read or hold no depth, and count them.")(command)


def rule_for(protocol: str | None, data: str) -> "EvaluationProtocol":
    """The protocol that was asked for, or the one that data of this form is published with.

    Raises:
        InputError: unknown name.
    """
    from fcrn_mobile.data.spec import default_protocol
    from fcrn_mobile.evaluation import metrics

    return metrics.protocol(protocol or default_protocol(data))


def rule_if_depth(protocol: str | None, data: str) -> "EvaluationProtocol | None":
    """As ``rule_for``; None for pictures alone, whose fidelity needs no true depth.

    Raises:
        InputError: a protocol for data without depth.
    """
    from fcrn_mobile.data.spec import without_depth

    if not without_depth(data):
        return rule_for(protocol, data)
    if protocol:
        raise InputError(f"--protocol {protocol} says how predictions meet the truth, and '{data}' holds no depth: leave it out")
    return None


def sound_frames(source: "Source", rule: "EvaluationProtocol | None", skip_bad: bool) -> "tuple[Source, str]":
    """The frames to measure on, under a protocol where they have depth, and a line on those that were left out.

    Without ``--skip-bad`` these are all, and there is no line.

    Raises:
        InputError: not one frame can be measured on.
    """
    from fcrn_mobile.data import skipping
    from fcrn_mobile.evaluation.metrics import counted_pixels

    if not skip_bad:
        return source, ""
    with progress("check frames") as on_frame:
        sound, bad = skipping.skip_bad(source, lambda sample: rule and counted_pixels(sample.depth, rule, sample.name), on_frame)
    return sound, skipping.skipped_note(bad, len(source))
