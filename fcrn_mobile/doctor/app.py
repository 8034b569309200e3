"""Detections of what the app meets that runs the model: rows, Vision, sizes, units, names, systems."""

import re
from collections.abc import Callable, Iterator
from math import prod

from fcrn_mobile.doctor.subject import Place, Subject
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.systems import IOS18

__all__ = ["DETECTIONS"]

#: Float16 values in the 64 bytes that rows are padded to.
_ROW = 32
#: What is a name in Swift and in Objective-C.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: Rows and columns from which on three planes are taken for a picture.
_PICTURE_SIDE = 16
_CHANNELS = (1, 3)


def _padded_array_rows(subject: Subject) -> Iterator[Place]:
    for feature in subject.outputs:
        rows = prod(feature.shape[:-1])
        if feature.kind == "array" and feature.dtype == "FLOAT16" and rows > 1 and feature.shape[-1] % _ROW:
            yield Place(feature.name, "output", str(feature.shapes))


def _float16_images(subject: Subject) -> Iterator[Feature]:
    return (feature for feature in subject.outputs if feature.dtype == "GRAYSCALE_FLOAT16")


def _padded_image_rows(subject: Subject) -> Iterator[Place]:
    for feature in _float16_images(subject):
        if feature.shape[-1] % _ROW:
            yield Place(feature.name, "output", f"{feature.shape[-1]} columns")


def _simulator(subject: Subject) -> Iterator[Place]:
    for feature in _float16_images(subject):
        yield Place(feature.name, "output")


def _picture_as_array(subject: Subject) -> Iterator[Place]:
    for feature in subject.inputs if not subject.images else ():
        shape = feature.shape[-3:] if feature.kind == "array" and len(feature.shape) in (3, 4) else ()
        if not shape or (len(feature.shape) == 4 and feature.shape[0] != 1):
            continue
        first, last = (shape[0], shape[1:]), (shape[-1], shape[:-1])
        if any(channels in _CHANNELS and min(sides) >= _PICTURE_SIDE for channels, sides in (first, last)):
            yield Place(feature.name, "input", str(feature.shapes))


def _inputs_besides_the_image(subject: Subject) -> Iterator[Place]:
    for feature in subject.inputs if subject.images else ():
        if feature is not subject.images[0]:
            yield Place(feature.name, "input", feature.type_text)


def _array_from_vision(subject: Subject) -> Iterator[Place]:
    for feature in subject.outputs if subject.images else ():
        if feature.kind == "array":
            yield Place(feature.name, "output", feature.type_text)


def _fixed_size(subject: Subject) -> Iterator[Place]:
    for feature in subject.images:
        if not feature.shapes.enumerated and not feature.shapes.ranges:
            yield Place(feature.name, "input", str(feature.shapes))


def _units_missing(subject: Subject) -> Iterator[Place]:
    if subject.is_picture_to_map and subject.contract is None:
        yield Place(subject.outputs[0].name, "output")


def _names_in_code(subject: Subject) -> Iterator[Place]:
    for what, features in (("input", subject.inputs), ("output", subject.outputs)):
        for feature in features:
            if not _NAME.match(feature.name):
                yield Place(feature.name, what)


def _new_system(subject: Subject) -> Iterator[Place]:
    if subject.version >= IOS18:
        yield Place(detail=f"specification {subject.version}")


def _stateful(subject: Subject) -> Iterator[Place]:
    for name in subject.states:
        yield Place(name, "state")


#: Rule → where it applies.
DETECTIONS: dict[str, Callable[[Subject], Iterator[Place]]] = {
    "padded-array-rows": _padded_array_rows,
    "padded-image-rows": _padded_image_rows,
    "simulator": _simulator,
    "picture-as-array": _picture_as_array,
    "inputs-besides-the-image": _inputs_besides_the_image,
    "array-from-vision": _array_from_vision,
    "fixed-size": _fixed_size,
    "units-missing": _units_missing,
    "names-in-code": _names_in_code,
    "new-system": _new_system,
    "stateful": _stateful,
}
