"""Whether what callers are promised is what a function takes, gives and keeps: names, shapes and sizes of its features."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import check_size, shape_of
from fcrn_mobile.package.errors import DAMAGED, MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function
    from coremltools.proto.Model_pb2 import FeatureDescription

__all__ = ["LONGEST_NAME", "check_described", "check_features", "check_lengths", "check_name"]

#: Core ML has tensors of rank 5 and compression parameters of rank 6.
_LARGEST_RANK = 8
LONGEST_NAME = 500


def check_features(
    function: "Function",
    block: "Block",
    inputs: Sequence["FeatureDescription"],
    outputs: Sequence["FeatureDescription"],
    where: str,
    states: Sequence["FeatureDescription"] = (),
) -> None:
    """Refuse a package whose description promises other inputs and outputs than its function has, or impossible sizes.

    Raises:
        MilError: naming the input or output.
    """
    for role, features, names in (("input", inputs, [value.name for value in function.inputs]), ("output", outputs, list(block.outputs))):
        for name in (feature.name for feature in features):
            if name not in names:
                raise MilError(f"'{where}' describes an {role} {name[:80]!r} that its program lacks: {DAMAGED}")
    check_described(inputs, outputs, where)
    taken = {value.name: shape_of(value.type) for value in function.inputs}
    for feature in inputs:
        _check_agreement(feature, taken[feature.name], f"input {feature.name!r} of '{where}'")
    _check_states(function, states, where)
    callers = {feature.name for feature in (*inputs, *states)}
    for value in function.inputs:
        if value.name not in callers:
            raise MilError(f"input '{value.name}' of the program in '{where}' is not described to callers: {DAMAGED}")


def check_described(inputs: Sequence["FeatureDescription"], outputs: Sequence["FeatureDescription"], where: str) -> None:
    """Refuse inputs and outputs that are described twice, or with names or sizes that none has.

    Raises:
        MilError: naming the input or output.
    """
    for role, features in (("input", inputs), ("output", outputs)):
        described = [feature.name for feature in features]
        for feature in features:
            check_name(feature.name, f"{role} of '{where}'")
            _check_feature(feature, f"{role} {feature.name!r} of '{where}'")
        # One tensor may be given back twice: both outputs have its name.
        alike = {feature.name: feature for feature in features} if role == "output" else {}
        if len(set(described)) != len(described) and any(alike.get(feature.name) != feature for feature in features):
            raise MilError(f"'{where}' describes an {role} twice ({', '.join(described)[:80]!r}): {DAMAGED}")


def check_name(name: str, what: str) -> None:
    """Refuse a name that is none; names are printed in messages of one line.

    Raises:
        MilError: with what it is the name of.
    """
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise MilError(f"a value cannot have the name {name[:80]!r} ({what}): {DAMAGED}")


def check_lengths(shape: tuple[int, ...], what: str) -> None:
    """Refuse a shape of more dimensions or elements than there can be.

    Raises:
        MilError: with what has it.
    """
    if len(shape) > _LARGEST_RANK:
        raise MilError(f"{what} has {len(shape)} dimensions, the limit is {_LARGEST_RANK}: {DAMAGED}")
    check_size(shape, what)


def _check_states(function: "Function", states: Sequence["FeatureDescription"], where: str) -> None:
    state_types = {value.name: value.type.stateType for value in function.inputs if value.type.WhichOneof("type") == "stateType"}
    if len({feature.name for feature in states}) != len(states):
        raise MilError(f"'{where}' describes a state twice: {DAMAGED}")
    for feature in states:
        if feature.name not in state_types:
            raise MilError(f"'{where}' describes a state {feature.name[:80]!r} that its program lacks: {DAMAGED}")
        described, taken = tuple(feature.type.stateType.arrayType.shape), shape_of(state_types[feature.name].wrappedType)
        if described != taken or -1 in taken:
            what = f"state {feature.name!r} of '{where}'"
            raise MilError(f"{what} is described as {by(described)}, the program keeps {by(taken)}: {DAMAGED}")


def _check_agreement(feature: "FeatureDescription", taken: tuple[int, ...], what: str) -> None:
    """An input of one shape has to be described with the shape that the program takes."""
    image, array = feature.type.imageType, feature.type.multiArrayType
    if image.WhichOneof("SizeFlexibility") or array.WhichOneof("ShapeFlexibility"):
        return
    described: tuple[int, ...] = tuple(array.shape)
    if feature.type.WhichOneof("Type") == "imageType":
        described, taken = (int(image.height), int(image.width)), taken[-2:]
    same = len(described) == len(taken) and all(theirs in (-1, ours) for ours, theirs in zip(described, taken, strict=True))
    if described and not same:
        raise MilError(f"{what} is described as {by(described)}, the program takes {by(taken)}: {DAMAGED}")


def _feature_shapes(feature: "FeatureDescription") -> Iterator[tuple[int, ...]]:
    """Every shape that a feature names: its default, the enumerated ones, the least of a range."""
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        yield (int(image.height), int(image.width))
        for size in image.enumeratedSizes.sizes:
            yield (int(size.height), int(size.width))
        if image.HasField("imageSizeRange"):
            sides = (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange)
            yield tuple(int(side.lowerBound) for side in sides)
    elif kind == "multiArrayType":
        array = feature.type.multiArrayType
        yield tuple(array.shape)
        for shape in array.enumeratedShapes.shapes:
            yield tuple(shape.shape)
        if array.HasField("shapeRange"):
            yield tuple(int(side.lowerBound) for side in array.shapeRange.sizeRanges)


def _check_feature(feature: "FeatureDescription", what: str) -> None:
    if feature.type.WhichOneof("Type") is None:
        raise MilError(f"{what} has no type: {DAMAGED}")
    array = feature.type.multiArrayType
    if array.WhichOneof("ShapeFlexibility") == "enumeratedShapes" and not array.enumeratedShapes.shapes and not array.shape:
        raise MilError(f"{what} has no shape: {DAMAGED}")
    for shape in _feature_shapes(feature):
        if any(length < 0 for length in shape):
            raise MilError(f"{what} has the shape {by(shape)}: {DAMAGED}")
        check_lengths(shape, what)
