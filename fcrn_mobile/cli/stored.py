"""What ``export`` and ``compress`` say alike of a package that they wrote."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcrn_mobile.conversion.weights import Weight

__all__ = ["NOT_CORRECTED", "UNKNOWN_PART", "unseen_part", "weights_json", "weights_line"]

NOT_CORRECTED = "weights not corrected (--no-correct)"
#: In the place of a data spec that the user has to name.
UNKNOWN_PART = "SPEC#split"


def unseen_part(images: str) -> str:
    """The data spec of frames that a package was not measured on.

    Args:
        images: data spec of those that it was; empty for none.
    """
    if not images:
        return "sample"
    return images.removesuffix("#train") + "#val" if images.endswith("#train") else UNKNOWN_PART


def weights_line(weights: Sequence["Weight"]) -> str:
    """How the weights are stored, for the terminal."""
    from fcrn_mobile.conversion.weights import summary

    return f"weights: {', '.join(f'{kind}: {count} ops' for kind, count in summary(weights).items())}"


def weights_json(weights: Sequence["Weight"]) -> dict[str, Any]:
    """The same for JSON, with every weight."""
    from fcrn_mobile.conversion.weights import summary

    return {"summary": summary(weights), "ops": [weight.to_json() for weight in weights]}
