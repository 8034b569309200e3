"""Wrong units, named when the figures show them: a true depth read in another unit, data scored under another data set's protocol."""

import math

from fcrn_mobile.data.forms import form_named
from fcrn_mobile.data.grammar import parse
from fcrn_mobile.data.spec import default_protocol
from fcrn_mobile.evaluation.metrics import EvaluationProtocol

__all__ = ["PLAUSIBLE", "protocol_note", "unit_note"]

#: Median prediction / median truth that no camera and no network explains.
PLAUSIBLE = (1 / 3, 3.0)
#: Units per metre that depth files have → who writes them so.
_KNOWN_SCALES = {1: "metres", 100: "centimetres", 256: "KITTI's encoding", 1000: "millimetres", 5000: "TUM's encoding", 10000: "0.1 mm"}
#: How far, as a factor, a prediction may be from the truth under the unit that is guessed.
_CLOSE = 1.6
#: Share of the true depth beyond the protocol's range from which it is said.
_MUCH = 0.5


def unit_note(ratio: float, data: str) -> str:
    """What is probably wrong with the unit; empty where predictions and truth are of one order.

    Args:
        ratio: median prediction / median truth, typically.
        data: the source's spec.
    """
    if not (ratio > 0 and math.isfinite(ratio)) or PLAUSIBLE[0] <= ratio <= PLAUSIBLE[1]:
        return ""
    doubt = f"the median prediction is {ratio:.3g} times the median true depth: is a unit wrong?"
    text = parse(data)
    form = form_named(text.form)
    if not (form and any(option.name == "scale" for option in form.options)):
        return f"{doubt} Look at the true depth's unit, and at the unit that the model gives"
    try:
        scale = float(dict(text.options()).get("scale", 1000))
    except ValueError:
        return doubt
    likely = min(_KNOWN_SCALES, key=lambda unit: abs(math.log(unit * ratio / scale)))
    if abs(math.log(likely * ratio / scale)) > math.log(_CLOSE) or likely == scale:
        return f"{doubt} The files were read with {_called(scale)}: give ?scale=UNITS_PER_METRE"
    return f"{doubt} Depth in {_KNOWN_SCALES[likely]} that is read with {_called(scale)} looks like this: if it is, add ?scale={likely}"


def protocol_note(beyond: float, rule: EvaluationProtocol, data: str) -> str:
    """Whether data goes under another data set's protocol; empty where it doesn't.

    Args:
        beyond: share of the true depth beyond the protocol's range.
        rule: the protocol.
        data: the source's spec.
    """
    own = default_protocol(data)
    if own != rule.name and own == "garg":
        return f"KITTI is scored under protocol garg (its crop, 80 m), not {rule.name} (to {rule.max_depth:g} m): leave --protocol out"
    if beyond > _MUCH:
        return f"{beyond:.0%} of the true depth lies beyond the {rule.max_depth:g} m of protocol {rule.name} and does not count"
    return ""


def _called(scale: float) -> str:
    name = _KNOWN_SCALES.get(int(scale)) if scale == int(scale) else None
    return f"{scale:g} units per metre ({name})" if name else f"{scale:g} units per metre"
