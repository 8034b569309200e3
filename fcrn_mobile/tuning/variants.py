"""What every candidate makes of every weight: one package per candidate, made as export and compress make it, and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import package_weights
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.work import FREE, Work, work
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.graph import read_graph
from fcrn_mobile.mil.operation import every
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.tuning.candidates import FLOAT, Candidate, assembled
from fcrn_mobile.tuning.origin import Origin
from fcrn_mobile.validation.matching import weight_name
from fcrn_mobile.whole_file import written_whole

__all__ = ["Variant", "Variants", "make_variants"]


@dataclass(frozen=True, eq=False)
class Variant:
    """A weight as one candidate stores it.

    Attributes:
        values: expanded, in the layout of the operator.
        stored_bytes: in the package, tables and scales included.
        works: what the operators that read it cost, for the latency estimate.
    """

    values: Tensor
    stored_bytes: int
    works: tuple[Work, ...]


@dataclass(frozen=True, eq=False)
class Variants:
    """A network's weights under every candidate.

    Attributes:
        reference: the float program, float32 arithmetic.
        half: the same with float16 weights and arithmetic.
        half_package: its package.
        readers: name of a weight → names of the reference's operators that read it.
        half_readers: the same of ``half``.
        stored: candidate, ``fp16`` among them → name of a weight → how it is stored; a candidate lacks what it does not fit.
        works: what all operators of ``half`` cost.
    """

    reference: Program
    half: Program
    half_package: Path
    readers: Mapping[str, tuple[str, ...]]
    half_readers: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, Mapping[str, Variant]]
    works: tuple[Work, ...]

    def uniform(self, name: str) -> dict[str, str]:
        """The choice of one candidate for every weight that it fits; the others stay float16."""
        return {weight: name if weight in self.stored[name] else FLOAT for weight in self.readers}

    def replacement(self, choice: Mapping[str, str], half: bool = False) -> dict[str, dict[str, Tensor]]:
        """Weights as a choice (weight → candidate) stores them, by operator of the reference or of the half-precision program."""
        readers = self.half_readers if half else self.readers
        return {op: {"weight": self.stored[name][weight].values} for weight, name in choice.items() for op in readers[weight]}

    def assembled(self, choice: Mapping[str, str]) -> Program:
        """The half-precision program with the weights of a choice: what the exported package computes."""
        return self.half.with_constants(self.replacement(choice, half=True))


def make_variants(origin: Origin, base: Recipe, candidates: Sequence[Candidate], folder: Path, on_package: OnStep) -> Variants:
    """Make what is not in the folder yet, and read it.

    Args:
        origin: the float network.
        base: what all packages have in common.
        candidates: to be compared.
        folder: that keeps one package per candidate.
        on_package: progress.

    Raises:
        InputError: a base recipe that does not suit the network, or a network without a weight to compress.
    """
    single, half = folder / "fp32.mlpackage", folder / "fp16.mlpackage"
    count = len(candidates) + 2
    # An array: a Float16 image would round the reference's depth.
    for done, (path, recipe) in enumerate([(single, replace(base, precision="fp32", output="array")), (half, base)]):
        on_package(done, count)
        if not path.exists():
            origin.write(recipe, path)
    for done, candidate in enumerate(candidates, 2):
        on_package(done, count)
        path = folder / f"{_file(candidate)}.mlpackage"
        if not path.exists():
            _compressed(half, candidate, base, path)
    on_package(count, count)
    reference, program = Program.load(single), Program.load(half, "float16")
    readers, half_readers = _readers(reference), _readers(program)
    if not readers or set(readers) != set(half_readers):
        raise InputError(f"{origin.title} has no weights of convolutions and linear layers that could be compressed: give another network")
    stored = {FLOAT: _stored(half, program, half_readers)}
    for candidate in candidates:
        path = folder / f"{_file(candidate)}.mlpackage"
        if path.exists():
            stored[candidate.name] = _changed(_stored(path, Program.load(path, "float16"), half_readers), stored[FLOAT])
    return Variants(reference, program, half, readers, half_readers, stored, tuple(work(read_graph(half))))


def _compressed(half: Path, candidate: Candidate, base: Recipe, path: Path) -> None:
    """The half-precision package with all weights that the candidate fits stored its way; none if it fits none."""
    fitting = [weight.name for weight in package_weights(half) if candidate.fits(weight)]
    if not fitting:
        return
    recipe = assembled(base, [candidate], dict.fromkeys(fitting, candidate.name))
    with written_whole(path, force=False) as partial, quiet_coremltools():
        import coremltools as ct

        compress(ct.models.MLModel(str(half), skip_model_load=True), recipe).save(str(partial))


def _readers(program: Program) -> dict[str, tuple[str, ...]]:
    readers: dict[str, tuple[str, ...]] = {}
    for operation in every(program.operations):
        weight = operation.arguments.get("weight")
        if (name := weight_name(operation)) and isinstance(weight, Tensor) and weight.dim() > 1:
            readers[name] = (*readers.get(name, ()), operation.name)
    return readers


def _stored(package: Path, program: Program, half_readers: Mapping[str, tuple[str, ...]]) -> dict[str, Variant]:
    graph = read_graph(package)
    costs = dict(zip([node.name for node in graph.nodes if node.kind not in FREE], work(graph), strict=True))
    bytes_of = {node.name: node.weights["weight"].stored_bytes for node in graph.nodes if "weight" in node.weights}
    values = {operation.name: operation.arguments.get("weight") for operation in every(program.operations)}
    variants = {}
    for weight, ops in half_readers.items():
        tensor = values[ops[0]]
        assert isinstance(tensor, Tensor), "the package is the half-precision one with compressed weights"
        variants[weight] = Variant(tensor, bytes_of[ops[0]], tuple(costs[op] for op in ops))
    return variants


def _changed(stored: Mapping[str, Variant], floats: Mapping[str, Variant]) -> dict[str, Variant]:
    """Without the weights that the candidate left as they were, or did not make smaller."""
    return {weight: variant for weight, variant in stored.items() if variant.stored_bytes < floats[weight].stored_bytes}


def _file(candidate: Candidate) -> str:
    return candidate.name.replace("/", "-")
