"""Weights of a Core ML model compressed as a recipe says, and read back: nothing is claimed that the package does not hold."""

import math
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import Weight, read_weights
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.ops import kinds
from fcrn_mobile.package.pymil import changed, graph_pass
from fcrn_mobile.quantize.scheme import FLOATS, Linear, Palette, Scheme, Sparsity

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["Plan", "compress", "misfit", "plan_weights", "pruning_threshold"]

#: What is asked of one weight.
Plan = list[tuple[Weight, Scheme]]
#: Operators whose weights are O×I/groups×…
_OUTPUTS_FIRST = kinds(lambda operator: operator.weight_axes == (0, 1))


def compress(model: "ct.models.MLModel", recipe: Recipe) -> "ct.models.MLModel":
    """The model with its weights stored as the recipe says: pruned, then palettized, then quantized.

    Raises:
        InputError: an override that matches nothing, or a scheme that does not fit a weight.
        RuntimeError: coremltools left a weight otherwise than it was asked to.
    """
    weights, names = read_weights(model)
    plan = plan_weights(weights, names, recipe)
    joint = any("-" in scheme.kind for _, scheme in plan)
    steps: tuple[tuple[str, list[tuple[Weight, Any]], bool], ...] = (
        ("prune_weights", [(weight, _pruner(scheme.sparsity, weight)) for weight, scheme in plan if scheme.sparsity], False),
        ("palettize_weights", [(weight, _palettizer(scheme.palette)) for weight, scheme in plan if scheme.palette], joint),
        ("linear_quantize_weights", [(weight, _quantizer(scheme.linear)) for weight, scheme in plan if scheme.linear], joint),
    )
    # With several threads k-means sums in an order that changes from run to run.
    with threadpool_limits(limits=1):
        for name, settings, joint_compression in steps:
            if settings:
                model = _applied(name, model, weights, settings, joint_compression)
                weights, _ = read_weights(model)
    _check(weights, plan)
    return model


def plan_weights(weights: Sequence[Weight], names: set[str], recipe: Recipe) -> Plan:
    """What each weight is to become.

    Args:
        weights: of the program.
        names: of all operators and weights of the program.
        recipe: what is asked.

    Raises:
        InputError: an override that matches nothing, or a scheme that does not fit a weight.
    """
    for override in recipe.ops:
        # Arithmetic is a matter of every operator, compression of those with weights.
        candidates = names if override.precision in ("", *FLOATS) else {name for weight in weights for name in weight.names}
        for pattern in override.match:
            if not any(fnmatchcase(name, pattern) for name in candidates):
                near = get_close_matches(pattern.strip("*"), sorted({weight.name for weight in weights}), 4, 0)
                raise InputError(f"match '{pattern}' is no operator of this network: weights are called {', '.join(near)}, …")
    return [(weight, _fitting(recipe.scheme_for(weight.names), weight)) for weight in weights]


def _fitting(scheme: Scheme, weight: Weight) -> Scheme:
    """The scheme, or its fallback, or float for a weight that is too small."""
    if scheme.name not in FLOATS and np.prod(weight.shape) <= scheme.min_elements:
        return Scheme("fp16")
    problem = misfit(scheme, weight)
    if not problem:
        return scheme
    if scheme.otherwise is None:
        raise InputError(f'{problem}: change it, or say what such weights become, as in otherwise = "int8"')
    return _fitting(scheme.otherwise, weight)


def misfit(scheme: Scheme, weight: Weight) -> str | None:
    """Why coremltools would leave this weight as it is: the reason, and the values that would do; None if it fits."""
    outputs, inputs = (weight.shape[axis] for axis in weight.channel_axes)
    sparsity, palette, linear = scheme.sparsity, scheme.palette, scheme.linear
    if linear and linear.block_size and inputs % linear.block_size:
        return _reason(scheme, weight, f"blocks of {linear.block_size}", f"{inputs} input channels", "block_size", _divisors(inputs))
    if palette and palette.group_size and outputs % palette.group_size:
        sizes = [size for size in _divisors(outputs) if size % palette.vector_size == 0]
        return _reason(scheme, weight, f"groups of {palette.group_size}", f"{outputs} output channels", "group_size", sizes)
    per_group = outputs // weight.groups if weight.kind in _OUTPUTS_FIRST else outputs
    if palette and per_group % palette.vector_size:
        return _reason(
            scheme,
            weight,
            f"vectors of {palette.vector_size}",
            f"{per_group} output channels per group",
            "vector_size",
            _divisors(per_group),
        )
    return _sparse_misfit(scheme, sparsity, weight) if sparsity else None


def _sparse_misfit(scheme: Scheme, sparsity: Sparsity, weight: Weight) -> str | None:
    if sparsity.n_m is None:
        largest, threshold = float(np.abs(_values(weight)).max()), pruning_threshold(sparsity, weight)
        return f"{scheme.name} leaves nothing of '{weight.name}': no magnitude is above {threshold:g}" if largest <= threshold else None
    if weight.kind not in _OUTPUTS_FIRST:
        return f"{scheme.name} is for convolutions and linear layers, '{weight.name}' belongs to a {weight.kind}"
    channels, side = weight.shape[sparsity.axis], ("output", "input")[sparsity.axis]
    if sparsity.n_m[1] > channels / 2:
        fitting = list(range(2, channels // 2 + 1))
        return _reason(scheme, weight, f"M = {sparsity.n_m[1]}", f"{channels} {side} channels", "M", fitting)
    return None


def pruning_threshold(sparsity: Sparsity, weight: Weight) -> float:
    """The largest magnitude that becomes zero.

    Not left to coremltools: its percentile, taken in float16, is NaN for more than 65,504 weights, and then none becomes zero.
    """
    if sparsity.fraction is None:
        return sparsity.threshold or 0.0
    magnitudes = np.sort(np.abs(_values(weight)), axis=None)
    return float(magnitudes[max(math.floor(sparsity.fraction * magnitudes.size), 1) - 1])


def _values(weight: Weight) -> NDArray[np.floating[Any]]:
    if weight.values is None:
        raise ValueError(f"'{weight.name}' is compressed already")
    return weight.values


def _reason(scheme: Scheme, weight: Weight, setting: str, has: str, key: str, sizes: list[int]) -> str:
    fitting = ", ".join(map(str, sizes[:12])) or "none"
    has = has.replace("channels", "channel") if has.startswith("1 ") else has
    return f"{scheme.name} with {setting} does not fit '{weight.name}', which has {has}; {key} that fits: {fitting}"


def _divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]


def _applied(
    name: str, model: "ct.models.MLModel", weights: Sequence[Weight], settings: Sequence[tuple[Weight, Any]], joint_compression: bool
) -> "ct.models.MLModel":
    """The model, whose weights are given as they are now, after a step of ``coremltools.optimize.coreml``, by its name there."""
    from coremltools.optimize.coreml import OptimizationConfig

    # Not by operator: two of them may share a bias, and coremltools asks that all readers of a constant want the same.
    constants = {weight.ops: weight.constant for weight in weights}
    config = OptimizationConfig(op_name_configs={constants[weight.ops]: setting for weight, setting in settings})
    return changed(model, graph_pass(f"compression::{name}", config=config, joint_compression=joint_compression))


def _pruner(sparsity: Sparsity, weight: Weight) -> Any:
    from coremltools.optimize.coreml import OpMagnitudePrunerConfig, OpThresholdPrunerConfig

    if sparsity.n_m:
        return OpMagnitudePrunerConfig(n_m_ratio=sparsity.n_m, dim=sparsity.axis, weight_threshold=0)
    return OpThresholdPrunerConfig(threshold=pruning_threshold(sparsity, weight), minimum_sparsity_percentile=0.0, weight_threshold=0)


def _palettizer(palette: Palette) -> Any:
    from coremltools.optimize.coreml import OpPalettizerConfig

    return OpPalettizerConfig(
        nbits=palette.bits,
        mode="kmeans" if palette.kmeans else "uniform",
        granularity="per_grouped_channel" if palette.group_size else "per_tensor",
        group_size=palette.group_size or 32,
        cluster_dim=palette.vector_size,
        weight_threshold=0,
    )


def _quantizer(linear: Linear) -> Any:
    from coremltools.optimize.coreml import OpLinearQuantizerConfig

    return OpLinearQuantizerConfig(
        mode="linear_symmetric" if linear.symmetric else "linear",
        dtype=f"int{linear.bits}",
        granularity=linear.granularity,
        block_size=linear.block_size or 32,
        weight_threshold=0,
    )


def _check(stored: Sequence[Weight], plan: Plan) -> None:
    results = {op: weight for weight in stored for op in weight.ops}
    for weight, scheme in plan:
        for result in (results[op] for op in weight.ops):
            if result.stored != scheme.kind or not _sparse_enough(result, scheme):
                raise RuntimeError(
                    f"coremltools stored '{weight.name}' as {result.stored} with sparsity {result.sparsity or 0:.2f} instead of "
                    f"{scheme.name}: report this with the recipe and the checkpoint"
                )


def _sparse_enough(result: Weight, scheme: Scheme) -> bool:
    if scheme.sparsity is None or scheme.sparsity.fraction is None:
        return True
    count = np.prod(result.shape)
    return result.sparsity is not None and round(result.sparsity * count) >= math.floor(scheme.sparsity.fraction * count)
