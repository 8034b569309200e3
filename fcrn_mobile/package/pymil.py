"""A Core ML model's program in memory, parsed once; like ``framework.py``, it uses parts of coremltools which are not documented.

coremltools keeps the program (PyMIL) of each model that it has made, but has no public way to it, and its own steps parse the package
anew. Here a program is parsed where coremltools has none, and a step takes over the program of the model before it. Written against
coremltools 9.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    import coremltools as ct
    from torch import nn

__all__ = [
    "FAILING_PASSES",
    "Step",
    "changed",
    "graph_pass",
    "half_precision",
    "note_compression",
    "operations",
    "seldom_checked",
    "weighted_kmeans",
]

#: Of coremltools 9: it takes a product and a sum that broadcast (as in ZoeDepth's head) for a batch norm, and fails. Whatever it can fuse,
#: it has fused when a network was converted.
FAILING_PASSES = frozenset({"common::fuse_elementwise_to_batchnorm"})
#: Changes a PyMIL program in place.
Step = Callable[[Any], None]


def operations(model: "ct.models.MLModel") -> list[Any]:
    """The PyMIL operators of a model's only function, constants among them, in their order. They are the model's own: change none."""
    (function,) = _program(model).functions.values()
    return list(function.operations)


def changed(model: "ct.models.MLModel", *steps: Step, version: int = 0) -> "ct.models.MLModel":
    """The model after changes of its program.

    The program moves on to the result: who asks for that of ``model`` again has its package parsed, which stays as it was.

    Args:
        model: to be changed.
        steps: in their order.
        version: of the specification that the result has at least; operators become those of its operator set.

    Raises:
        Exception: whatever coremltools says of an operator that a newer set writes otherwise.
    """
    import coremltools as ct
    from coremltools.converters.mil.converter import mil_convert

    pipeline = ct.PassPipeline()
    pipeline.remove_passes(FAILING_PASSES)
    specification = model.get_spec()
    version = max(version, specification.specificationVersion)
    program = _program(model) if version == specification.specificationVersion else _loaded(model, version)
    model._mil_program = None
    for function in program.functions.values():
        function._essential_scope_sources.clear()  # what the converter asks of each operator, and passes do not give it
    for step in steps:
        step(program)
    with seldom_checked():
        return mil_convert(
            program,
            convert_from="milinternal",
            convert_to="mlprogram",
            compute_units=model.compute_unit,
            specification_version=version,
            model_description=specification.description,
            skip_model_load=True,
            pass_pipeline=pipeline,
        )


@contextmanager
def seldom_checked() -> Iterator[None]:
    """Let coremltools check a program at both ends of each pipeline and after each removal of dead operators, not after every pass.

    It walks every edge of the graph each time, which is half of the time of a conversion.
    """
    from coremltools.converters.mil import Program

    check = Program.validate

    def validate(program: Any, check_essential_scope: bool | None = None) -> None:
        # Only after passes is it said whether scopes are to be checked; they are after a removal of dead operators.
        if check_essential_scope is not False:
            check(program, bool(check_essential_scope))

    Program.validate = validate
    try:
        yield
    finally:
        Program.validate = check


def graph_pass(name: str, **options: Any) -> Step:
    """A pass of coremltools.

    Args:
        name: with its namespace, as in ``compression::palettize_weights``.
        options: of the pass.
    """
    from coremltools.converters.mil.mil.passes.graph_pass import PassOption
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    entry = PASS_REGISTRY[name]
    entry.set_options([PassOption(key, value) for key, value in options.items()])
    apply: Step = entry.apply
    return apply


def half_precision(is_half: Callable[[Any], bool]) -> Step:
    """The pass of coremltools' converter that turns float32 operators into float16 ones, weights included.

    Args:
        is_half: whether a PyMIL operator is to become float16.
    """
    from coremltools import transform

    names = graph_pass("common::dedup_op_and_var_names")  # the other pass relies on names being unique
    half = transform.FP16ComputePrecision(op_selector=is_half)

    def apply(program: Any) -> None:
        names(program)
        half.apply(program)

    return apply


def note_compression(module: "nn.Module", parameter: str, kind: str, **facts: Any) -> None:
    """Note beside a parameter how it is to be stored, as buffers that coremltools' converter reads.

    Their names are its documented way for models that were compressed in torch (coremltools guide, "Converting Compressed Source
    Models").

    Args:
        module: whose parameter it is.
        parameter: its name in the module.
        kind: ``quantization`` or ``palettization``.
        facts: ``quantization_n_bits`` and ``quantization_scale``, or ``lut``.
    """
    from coremltools.optimize.torch._utils.metadata_utils import CompressionMetadata

    CompressionMetadata(parameter, compression_type=[kind], **facts).register(module)


def weighted_kmeans(values: Iterable[float], clusters: int, weights: Iterable[float]) -> list[float]:
    """Centres of at most ``clusters`` clusters of weighted numbers with the least squared error.

    By coremltools' copy of kmeans1d; the library itself takes no weights.
    """
    with quiet_coremltools():
        from coremltools._deps import _kmeans1d

    return list(_kmeans1d.cluster(list(values), clusters, weights=list(weights)).centroids)


def _program(model: "ct.models.MLModel") -> Any:
    if model._mil_program is None:
        model._mil_program = _loaded(model, model.get_spec().specificationVersion)
    return model._mil_program


def _loaded(model: "ct.models.MLModel", version: int) -> Any:
    from coremltools.converters.mil.frontend.milproto.load import load

    return load(model.get_spec(), version, model.weights_dir)
