"""Options on the frames that a command measures on: their protocol, and what becomes of those that cannot be read."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.common import progress
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.data import Source
    from fcrn_mobile.evaluation.metrics import EvaluationProtocol

__all__ = ["framed_rule", "rule_for", "rule_if_depth", "rule_options", "skip_bad_option", "sound_frames"]


def rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--protocol``, ``--align``, ``--min-depth`` and ``--max-depth``: the arguments of ``rule_for`` besides the data."""
    for option in (
        click.option("--max-depth", type=float, metavar="METRES", help="Largest depth, instead of the protocol's."),
        click.option("--min-depth", type=float, metavar="METRES", help="Least depth, instead of the protocol's."),
        click.option(
            "--align",
            metavar="none|median|scale-shift|scale-shift-inverse",
            help="Fit each prediction to the true depth first.  [default: none for metres, else as the depth is known]",
        ),
        click.option(
            "--protocol",
            metavar="eigen|laina|full|garg",
            help="Crop, range and averaging of the metrics.  [default: garg for KITTI, else eigen]",
        ),
    ):
        command = option(command)
    return command


def skip_bad_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--skip-bad``."""
    return click.option("--skip-bad", is_flag=True, help="Leave out frames that cannot be read or hold no depth, and count them.")(command)


def rule_for(data: str, protocol: str | None, align: str | None, min_depth: float | None, max_depth: float | None) -> "EvaluationProtocol":
    """The protocol that was asked for, or the one that data of this form is published with.

    Raises:
        InputError: unknown name or alignment, or a range that is none.
    """
    from fcrn_mobile.data.spec import default_protocol
    from fcrn_mobile.evaluation import metrics

    return metrics.protocol(protocol or default_protocol(data), align, min_depth, max_depth)


def rule_if_depth(data: str, **how: Any) -> "EvaluationProtocol | None":
    """As ``rule_for``; None for pictures alone, whose fidelity needs no true depth.

    Raises:
        InputError: one of the options for data without depth.
    """
    from fcrn_mobile.data.spec import without_depth

    if not without_depth(data):
        return rule_for(data, **how)
    for name, value in how.items():
        if value is not None:
            option = f"--{name.replace('_', '-')} {value}"
            raise InputError(f"{option} says how predictions meet the truth, and '{data}' holds no depth: leave it out")
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


def framed_rule(data: str, framing: str | None, **how: Any) -> "EvaluationProtocol | None":
    """As ``rule_if_depth``; framed pictures count whole unless another protocol is asked for: crops of whole frames mean nothing there."""
    rule = rule_if_depth(data, **how)
    return rule_if_depth(data, **how | {"protocol": "full"}) if framing and rule and how["protocol"] is None else rule
