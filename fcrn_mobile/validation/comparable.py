"""Which models' depth can be held against one another, and by which factor."""

from collections.abc import Sequence

from fcrn_mobile.conversion.artefact import scale_of
from fcrn_mobile.depth_contract import UNITS, Depth
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.meaning import depth_of
from fcrn_mobile.runtimes import Runtime

__all__ = ["common_depth", "relative_scale"]


def common_depth(reference: Runtime, candidates: Sequence[Runtime]) -> Depth:
    """What the reference's depth means, if that of all candidates can be compared with it.

    Raises:
        InputError: one of another meaning.
    """
    depth = depth_of(reference)
    for candidate in candidates:
        own = depth_of(candidate, depth)
        # One package of a network up to scale may be in metres, by a scale that is known.
        has_scale = scale_of(candidate.metadata, candidate.path) is not None and "inverse" not in (own, depth)
        if own != depth and not has_scale:
            raise InputError(
                f"the depth of '{candidate.name}' is {UNITS[own]}, that of the reference '{reference.name}' {UNITS[depth]}: they do not "
                "compare; give models of one kind of depth"
            )
    return depth


def relative_scale(candidate: Runtime, reference: Runtime) -> float:
    """A candidate's depth over the reference's where both give the same, see ``artefact.scale_of``."""
    own, other = (scale_of(model.metadata, model.path) or 1.0 for model in (candidate, reference))
    return own / other
