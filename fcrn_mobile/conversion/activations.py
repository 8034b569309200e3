"""Quantized activations of a Core ML model: coremltools' own passes, with ranges that were measured away from a Mac."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcrn_mobile.conversion.calibration import CalibrationImages
from fcrn_mobile.conversion.ranges import Range, measure_ranges
from fcrn_mobile.conversion.recipe import Calibration, Recipe
from fcrn_mobile.conversion.weights import is_constant, is_weight, plain
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.ops import OPERATORS, kinds
from fcrn_mobile.package.metadata import model_contract
from fcrn_mobile.package.pymil import changed, graph_pass, operations
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quantize.clipping import STEPS

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["Chooser", "as_program", "quantize_activations", "with_int8_activations"]

_QUANTIZABLE = kinds(lambda operator: operator.quantizable)
#: Smallest and largest magnitude of a range. coremltools computes scales in float16: below its smallest normal number they lose
#: their digits, that of an empty range would be 0, and a difference of two values beyond half its largest number is infinite.
_LEAST, _MOST = STEPS * 2.0**-14, 32752.0

#: Whether an operator that has these names is to read and give int8.
Chooser = Callable[[Collection[str]], bool]


def with_int8_activations(
    compressed: "ct.models.MLModel", model: "ct.models.MLModel", recipe: Recipe, images: CalibrationImages, on_image: OnStep | None = None
) -> "ct.models.MLModel":
    """The compressed model with int8 activations; ranges come from the float one, run over the images."""
    calibration = recipe.calibration or Calibration()
    program = as_program(model)
    ranges = measure_ranges(program, images.images, calibration.method, calibration.percentile, on_image)
    return quantize_activations(compressed, ranges, recipe.quantizes_activations)


def as_program(model: "ct.models.MLModel") -> DepthProgram:
    """A model as the MIL runtime runs it, in float32 arithmetic, with the contract that its metadata say."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.mlpackage"
        model.save(str(path))
        program = Program.load(path)
        return DepthProgram(**vars(program), contract=model_contract(None, program.metadata))


def quantize_activations(model: "ct.models.MLModel", ranges: Mapping[str, Range], chooser: Chooser) -> "ct.models.MLModel":
    """The model with int8 inputs and outputs of its convolutions, pools, linear layers and additions.

    An operator that is not chosen reads and gives half precision: what feeds it keeps its output too.

    Args:
        model: in half precision, for iOS 17 or later.
        ranges: of its tensors by name, see ``ranges.measure_ranges``.
        chooser: which operators.

    Raises:
        InputError: no operator is chosen.
        RuntimeError: coremltools left one as it was.
    """
    from coremltools.optimize.coreml import OpLinearQuantizerConfig, OptimizationConfig

    candidates = [op for op in operations(model) if op.op_type in _QUANTIZABLE]
    rest = [op for op in candidates if not chooser(_names(op)) or _adds_compressed(op)]
    if len(rest) == len(candidates):
        raise InputError("no operator is left for int8 activations: let [[ops]] exclude fewer, or leave activations out")
    silent = {op.name for op in rest} | {feeder.name for op in rest for feeder in _feeders(op)}
    int8 = OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8")
    statistics = {name: {"rmin": -(limit := _limit(extent)), "rmax": limit} for name, extent in ranges.items()}
    # As in ``linear_quantize_activations``, which calibrates with ``predict`` and thus on macOS only.
    steps = []
    for place, left_out in (("prefix", {op.name for op in rest}), ("suffix", silent)):
        config = OptimizationConfig(global_config=int8, op_name_configs=dict.fromkeys(sorted(left_out)))
        name = f"compression::insert_{place}_quantize_dequantize_pair"
        steps.append(graph_pass(name, config=config, activation_stats=statistics))
    result = changed(model, *steps, graph_pass("common::dequantize_quantize_pair_elimination"))
    _check(result, chooser)
    return result


def _limit(extent: Range) -> float:
    return min(max(extent.magnitude, _LEAST), _MOST)


def _names(op: Any) -> set[str]:
    """What a recipe may call an operator: its own name, that of its result, and those of its weights.

    An addition or a pool has no weights: it goes by those of the layers that feed it.
    """
    names = {op.name, op.outputs[0].name}
    layers = (op,) if OPERATORS[op.op_type].weight_axes else _feeders(op)
    names |= {var.name for layer in layers for var in layer.inputs.values() if is_weight(var)}
    return names | {plain(name) for name in names}


def _read(op: Any) -> Iterator[Any]:
    for value in op.inputs.values():
        yield from (var for var in (value if isinstance(value, list | tuple) else (value,)) if var is not None)


def _adds_compressed(op: Any) -> bool:
    """Whether an operator without weights reads a compressed constant, as position embeddings are: coremltools asks for its range."""
    return OPERATORS[op.op_type].weight_axes is None and any(_constant(var) and var.op.op_type != "const" for var in _read(op))


def _constant(var: Any) -> bool:
    return var.op is not None and is_constant(var.op)


def _feeders(op: Any) -> Iterator[Any]:
    """The quantizable operators whose results reach an operator with nothing but others in between."""
    for var in _read(op):
        if var.op is None or _constant(var):
            continue
        if var.op.op_type in _QUANTIZABLE:
            yield var.op
        else:
            yield from _feeders(var.op)


def _check(model: "ct.models.MLModel", chooser: Chooser) -> None:
    for op in operations(model):
        # Pools may come to work on the integers themselves; what has one constant operand has no pair.
        if op.op_type not in _QUANTIZABLE or op.op_type.endswith("pool") or (op.op_type == "add" and any(map(_constant, (op.x, op.y)))):
            continue
        quantized = op.x.op is not None and op.x.op.op_type == "dequantize"
        if quantized != chooser(_names(op)):
            raise RuntimeError(
                f"coremltools gave '{op.name}' {'int8' if quantized else 'float16'} inputs against the recipe: "
                "report this with the recipe and the checkpoint"
            )
