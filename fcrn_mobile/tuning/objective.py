"""What the search minimises, as a cost per weight and candidate; and which candidates of a weight are worth measuring."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fcrn_mobile.latency.constants import Coefficients, chip_fits, latency_ms
from fcrn_mobile.latency.work import Work, matrix
from fcrn_mobile.mil.operation import every
from fcrn_mobile.tuning.candidates import FLOAT, Candidate
from fcrn_mobile.tuning.choice import Option
from fcrn_mobile.tuning.measured import Sensitivities
from fcrn_mobile.tuning.variants import Variant, Variants

__all__ = ["OBJECTIVES", "estimated_latency", "mean_bits", "options", "worth_measuring"]

OBJECTIVES = ("size", "bits", "latency-estimate")
#: Milliseconds per byte: decides between options whose estimated latency is equal.
_TIE = 1e-12


def worth_measuring(variants: Variants, candidates: Sequence[Candidate]) -> dict[str, list[str]]:
    """Candidate → weights for which no other candidate takes at most as many bytes and bits and errs at most as much in the weight.

    The error is the sum of squared differences to the float weight: what an operator does to the output grows with it.
    """
    bits = _bits(candidates)
    values = {
        operation.name: operation.arguments["weight"]
        for operation in every(variants.reference.operations)
        if "weight" in operation.arguments
    }
    weights_of: dict[str, list[str]] = {candidate.name: [] for candidate in candidates if candidate.name in variants.stored}
    for weight, readers in variants.readers.items():
        rows = {}
        for name, stored in variants.stored.items():
            if weight in stored:
                float_values = values[readers[0]]
                error = float((stored[weight].values.double() - float_values.double()).square().sum())
                rows[name] = (stored[weight].stored_bytes, bits[name], error)
        for name in weights_of:
            if name in rows and not any(_beats(rows[other], rows[name], other < name) for other in rows if other != name):
                weights_of[name].append(weight)
    return weights_of


def options(variants: Variants, candidates: Sequence[Candidate], sensitivities: Sensitivities, objective: str) -> dict[str, list[Option]]:
    """Options of each weight, float16 the first of them: cost in the objective's unit, noise as measured.

    Units: bytes for ``size``; bits per weight of the network for ``bits``, tables and scales left out; estimated milliseconds, mean over
    the chips of ``latency/estimate.py``, for ``latency-estimate``.
    """
    bits = _bits(candidates)
    elements = {weight: stored.values.numel() for weight, stored in variants.stored[FLOAT].items()}
    whole = sum(elements.values())

    def cost(weight: str, name: str) -> float:
        stored = variants.stored[name][weight]
        if objective == "size":
            return float(stored.stored_bytes)
        if objective == "bits":
            return bits[name] * elements[weight] / whole
        return _milliseconds(stored) + _TIE * stored.stored_bytes

    result = {}
    for weight in variants.readers:
        names = [name for name, drifts in sensitivities.drifts.items() if weight in drifts]
        measured = [Option(name, cost(weight, name), sensitivities.square(name, weight)) for name in names]
        result[weight] = [Option(FLOAT, cost(weight, FLOAT), 0.0), *measured]
    return result


def mean_bits(variants: Variants, candidates: Sequence[Candidate], choice: Mapping[str, str]) -> float:
    """Bits per weight of a choice, tables and scales left out."""
    bits = _bits(candidates)
    elements = {weight: variants.stored[FLOAT][weight].values.numel() for weight in choice}
    return sum(bits[name] * elements[weight] for weight, name in choice.items()) / sum(elements.values())


def estimated_latency(variants: Variants, choice: Mapping[str, str]) -> float:
    """Milliseconds that a choice is estimated to take, mean over chips; not run on a device."""
    changed = sum(_milliseconds(variants.stored[name][w]) - _milliseconds(variants.stored[FLOAT][w]) for w, name in choice.items())
    return _mean_latency(variants.works) + sum(chip.floor_ms for chip in _chips()) / len(_chips()) + changed


def _bits(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Bits of one weight by candidate, float16 among them."""
    return {FLOAT: 16} | {candidate.name: candidate.bits for candidate in candidates}


def _beats(other: tuple[float, ...], own: tuple[float, ...], first: bool) -> bool:
    no_worse = all(theirs <= ours for theirs, ours in zip(other, own, strict=True))
    return no_worse and (other != own or first)


def _milliseconds(stored: Variant) -> float:
    return _mean_latency(stored.works)


def _mean_latency(works: Sequence[Work]) -> float:
    """Of some operators alone, without the floor of a prediction."""
    operators = matrix(works)
    return sum(latency_ms(operators, replace(chip, floor_ms=0.0)) for chip in _chips()) / len(_chips())


def _chips() -> list[Coefficients]:
    return [fit.constants for fit in chip_fits().values()]
