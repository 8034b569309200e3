"""What a model's depth means, and how such depth meets the truth."""

from dataclasses import replace

from fcrn_mobile.depth_contract import IN_UNITS, Depth
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import INVERSE_LINE, MEDIAN, NONE
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.package.metadata import Metadata

__all__ = ["DEFAULTS", "check_whole", "depth_of", "settled"]

#: What a model's depth means → how it meets the truth unless something else is asked for.
DEFAULTS: dict[Depth, str] = {"metres": NONE, "scale": MEDIAN, "inverse": INVERSE_LINE}


def depth_of(model: object, unsaid: Depth = "metres") -> Depth:
    """What a model's depth means, by its contract; ``unsaid`` where nobody says, as for baselines."""
    contract = getattr(model, "contract", None) or Metadata.from_dict(getattr(model, "metadata", {})).depth_contract()
    return contract.depth if contract else unsaid


def check_whole(model: object, source: object = None) -> None:
    """Pass if a model gives depth of whole pictures, as far as its contract says.

    Args:
        model: a runtime or a baseline.
        source: of the pictures; one that says they are ``framed_for`` the model's size has nothing that it does not see.

    Raises:
        InputError: it sees their middle alone: beside it there is no depth to measure.
    """
    contract = getattr(model, "contract", None)
    if contract and contract.framing == "crop" and getattr(source, "framed_for", None) != getattr(model, "input_size", ()):
        name = getattr(model, "name", "the model")
        remedy = 'measure what a phone sees with validate --framing, or crop the data to its aspect and set framing = "stretch"'
        raise InputError(f"'{name}' sees the middle of pictures alone (framing crop): {remedy}")


def settled(rule: EvaluationProtocol, depth: Depth, model: str) -> EvaluationProtocol:
    """A protocol with the alignment that a model's depth asks for, unless it names one.

    Args:
        rule: the protocol.
        depth: what the model's depth means.
        model: its name, for messages.

    Raises:
        InputError: no alignment at all was asked for, of depth that is not in metres.
    """
    if rule.alignment == NONE and depth != "metres":
        raise InputError(
            f"the depth of '{model}' is known {IN_UNITS[depth]} only, not in metres: evaluate it with --align {DEFAULTS[depth]}"
        )
    return rule if rule.alignment else replace(rule, alignment=DEFAULTS[depth])
