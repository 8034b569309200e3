"""A float ``.mlpackage``, whoever made it: opened for compression, or refused by what it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fcrn_mobile.conversion.activations import as_program
from fcrn_mobile.conversion.coreml import half_wanted
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import Weight, read_weights, summary
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_interface import DepthInterface, Port
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.metadata import Metadata, model_contract
from fcrn_mobile.package.pymil import Step, changed, half_precision, operations
from fcrn_mobile.package.reading import metadata, package_hash, read_specification
from fcrn_mobile.quantize.scheme import FLOATS, TARGETS, newest
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.systems import IOS16

if TYPE_CHECKING:
    import coremltools as ct
    from coremltools.proto.Model_pb2 import Model

__all__ = ["FloatPackage", "open_float_package"]

_SOURCE = 'convert its source to an ML program, ct.convert(…, convert_to="mlprogram"), and give that .mlpackage'
#: Largest difference of a program's outputs after a change of its operator set, relative to their largest magnitude.
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class FloatPackage:
    """An ML program whose weights are float.

    Attributes:
        path: of the package.
        model: as coremltools holds it.
        sha256: see ``package_hash``.
        weights: of the program.
        inputs, outputs: as it declares them.
        written: what it says of itself.
        contract: what its metadata or a model config say of picture and depth; None where nobody says anything.
        interface: how a picture goes in; None where it takes none.
        problem: why not; None where it does.
    """

    path: Path
    model: "ct.models.MLModel"
    sha256: str
    weights: tuple[Weight, ...]
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    written: Mapping[str, str]
    contract: DepthContract | None = None
    interface: DepthInterface | None = None
    problem: str | None = None

    @property
    def metadata(self) -> Metadata:
        """Those of our keys that it has."""
        return Metadata.from_dict(self.written)

    @property
    def is_single(self) -> bool:
        """Whether its weights, and thus its arithmetic, are float32 throughout."""
        return all(weight.stored == "fp32" for weight in self.weights)

    @property
    def version(self) -> int:
        """Of its specification."""
        return int(self.model.get_spec().specificationVersion)

    @property
    def target(self) -> str:
        """The oldest system of a recipe's that runs it; the newest that a recipe knows for what is newer."""
        return next((name for name, version in TARGETS.items() if version >= self.version), newest(TARGETS))

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Height and width of its picture; None where it takes none."""
        return self.interface.size if self.interface else None

    @property
    def picture_sizes(self) -> tuple[tuple[int, int], ...]:
        """All heights and widths of its picture, the usual one first; empty where there is one, or they are not counted."""
        if self.inputs[0].kind != "image" or self.picture_size is None:
            return ()
        others = tuple((height, width) for height, width in self.inputs[0].shapes.enumerated)
        return tuple(dict.fromkeys((self.picture_size, *others))) if others else ()

    def prepared(self, recipe: Recipe) -> "ct.models.MLModel":
        """The program as an export would have it before compression: in half precision, for the recipe's target.

        Arithmetic that is float16 in part is left as its author chose it.

        Raises:
            InputError: operators that the target's set writes otherwise.
        """
        compresses = any(scheme.name not in FLOATS for scheme in recipe.schemes)
        # A float program for iOS 15 may stay one; int8 activations are of iOS 17, and so is the recipe's target.
        moves = compresses or TARGETS[recipe.target] > IOS16
        version = max(TARGETS[recipe.target], self.version) if moves else self.version
        halves = self.is_single and any(scheme.name != "fp32" for scheme in recipe.schemes)
        steps = [half_precision(half_wanted(recipe))] if halves else []
        if version == self.version and not steps:
            return self.model
        if version == self.version:
            return changed(self.model, *steps)
        return self._upgraded(version, recipe, steps)

    def _upgraded(self, version: int, recipe: Recipe, steps: Sequence[Step]) -> "ct.models.MLModel":
        remedy = f"use a precision that {self.target} runs, such as int8, or convert its source for {recipe.target}"
        try:
            model = changed(self.model, version=version)
        except Exception as error:
            raise InputError(
                f"'{self.path}' has operators that {recipe.target} writes otherwise ({brief(error, 120)}), which "
                f"'{recipe.precision}' needs: {remedy}"
            ) from error
        _check_same(Program.load(self.path), as_program(model), f"'{self.path}' computes something else for {recipe.target}: {remedy}")
        return changed(model, *steps) if steps else model


def open_float_package(path: Path, model_config: Path | None = None) -> FloatPackage:
    """Open a package.

    Args:
        path: of the package.
        model_config: TOML of its contract; None: what its metadata say, else the file beside it. The contract goes into its metadata.

    Raises:
        InputError: no .mlpackage, no ML program, several functions, or compressed already; says what to give instead; a contract that
            cannot be read.
    """
    if path.suffix not in (".mlpackage", ".mlmodel"):
        raise InputError(f"'{path}' is no .mlpackage: give a float one, or make one with 'fcrn-mobile export'")
    specification, _ = read_specification(path)
    _check_kind(path, specification)
    with quiet_coremltools():
        import coremltools as ct

        model = ct.models.MLModel(str(path), skip_model_load=True)
        try:
            weights, _ = read_weights(model)
        except Exception as error:
            raise InputError(f"'{path}' is not a program that coremltools reads ({brief(error, 160)}): convert its source again") from error
    _check_float(path, weights, model)
    written, described = metadata(specification), specification.description
    contract = model_contract(path, written, model_config)
    if contract:
        model.user_defined_metadata.update(Metadata(**contract.to_metadata()).to_dict())
    inputs, outputs = (tuple(Feature.from_description(each) for each in features) for features in (described.input, described.output))
    interface, problem = None, None
    try:
        interface = DepthInterface.of(f"'{path}'", [*map(Port.of, inputs)], [*map(Port.of, outputs)], contract)
    except InputError as error:
        if model_config:
            raise
        problem = str(error)
    return FloatPackage(path, model, package_hash(path), tuple(weights), inputs, outputs, written, contract, interface, problem)


def _check_kind(path: Path, specification: "Model") -> None:
    kind = str(specification.WhichOneof("Type"))
    if kind.startswith("neuralNetwork"):
        raise InputError(f"'{path}' is a neural network ({kind}), whose weights have other encodings: {_SOURCE}")
    if kind.startswith("pipeline"):
        raise InputError(f"'{path}' is a pipeline: compress the .mlpackage of each stage before they are joined")
    if kind != "mlProgram":
        raise InputError(f"'{path}' is a {kind} model, which has no weights to compress: give an ML program")
    functions = sorted(specification.mlProgram.functions)
    if len(functions) > 1:
        raise InputError(f"'{path}' has the functions {', '.join(functions)}: compress the package of each before they are joined")


def _check_float(path: Path, weights: Sequence[Weight], model: "ct.models.MLModel") -> None:
    if not weights:
        raise InputError(f"'{path}' has no weights of two axes and ten elements: there is nothing to compress")
    packed = [weight for weight in weights if weight.stored not in FLOATS]
    if packed:
        how = ", ".join(f"{kind}: {count}" for kind, count in summary(weights).items())
        first = f"'{packed[0].name}' is {packed[0].stored}"
        raise InputError(f"'{path}' is compressed already ({how} weights; {first}): give its float package")
    if any(op.op_type in ("quantize", "dequantize") for op in operations(model)):
        raise InputError(f"'{path}' has int8 activations already: give the float package that it was made from")


def _check_same(before: Program, after: Program, message: str) -> None:
    """Run both on the same random inputs, in float32."""
    random = np.random.default_rng(0)
    inputs = {feature.name: _random(feature, random) for feature in before.inputs}
    expected, results = (program.predict(inputs, program.make_state()) for program in (before, after))
    for name, value in expected.items():
        first, second = (np.asarray(each, np.float64) for each in (value, results[name]))
        same = first.shape == second.shape and np.allclose(second, first, rtol=0, atol=_TOLERANCE * np.abs(first).max(initial=0))
        if not same:
            raise InputError(message)


def _random(feature: Feature, random: np.random.Generator) -> Any:
    if feature.kind != "image":
        return random.random(feature.shape, np.float32) if not feature.dtype.startswith("INT") else np.zeros(feature.shape, np.int32)
    shape = (*feature.shape, 3) if feature.dtype in ("RGB", "BGR") else feature.shape
    if feature.dtype == "GRAYSCALE_FLOAT16":
        return random.random(shape, np.float32)
    return random.integers(0, 256, shape, np.uint8)
