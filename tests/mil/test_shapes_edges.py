"""Rules of shapes as a specification spells them, at their bounds and in words."""

import pytest
from coremltools.proto.FeatureTypes_pb2 import ArrayFeatureType, ImageFeatureType

from fcrn_mobile.mil.shapes import ShapeRule, by


def test_a_rule_of_one_shape_allows_it_alone() -> None:
    rule = ShapeRule((2, 3))
    assert rule.allows((2, 3))
    assert not rule.allows((3, 2))
    assert not rule.allows((2,))
    assert str(rule) == "2×3"


def test_enumerated_shapes_and_the_default_are_allowed() -> None:
    rule = ShapeRule((1, 1), ((2, 3), (4, 5)))
    assert [rule.allows(shape) for shape in ((2, 3), (4, 5), (1, 1), (2, 5), (2,))] == [True, True, True, False, False]
    assert str(rule) == "2×3 or 4×5"


def test_ranges_allow_their_bounds_and_what_lies_between() -> None:
    rule = ShapeRule((3, 3), ranges=((2, 4), (3, 3), (5, None)))
    allowed = [(2, 3, 5), (4, 3, 5), (3, 3, 10**9)]
    refused = [(1, 3, 5), (5, 3, 5), (2, 2, 5), (2, 4, 5), (2, 3, 4), (2, 3), (2, 3, 5, 1)]
    assert all(rule.allows(shape) for shape in allowed)
    assert not any(rule.allows(shape) for shape in refused)
    assert str(rule) == "2..4×3×5.."


def test_a_shape_in_words_stops_after_eight_lengths() -> None:
    assert by(()) == "()"
    assert by((7,)) == "7"
    assert by(range(8)) == "0×1×2×3×4×5×6×7"
    assert by(range(9)) == "0×1×2×3×4×5×6×7×…"


def test_sizes_of_an_image() -> None:
    image = ImageFeatureType(height=4, width=6)
    assert ShapeRule.of_image(image) == ShapeRule((4, 6))
    image.enumeratedSizes.sizes.add(height=8, width=12)
    image.enumeratedSizes.sizes.add(height=2, width=3)
    assert ShapeRule.of_image(image) == ShapeRule((4, 6), ((8, 12), (2, 3)))
    image.imageSizeRange.heightRange.lowerBound, image.imageSizeRange.heightRange.upperBound = 1, 9
    image.imageSizeRange.widthRange.lowerBound, image.imageSizeRange.widthRange.upperBound = 2, -1
    assert ShapeRule.of_image(image) == ShapeRule((4, 6), ranges=((1, 9), (2, None)))


@pytest.mark.parametrize("upper", [0, 3])
def test_shapes_of_an_array_with_a_default_and_without(upper: int) -> None:
    array = ArrayFeatureType(shape=[1, 2])
    assert ShapeRule.of_array(array) == ShapeRule((1, 2))
    for lengths in ([3, 4], [5, 6]):
        array.enumeratedShapes.shapes.add(shape=lengths)
    assert ShapeRule.of_array(array) == ShapeRule((1, 2), ((3, 4), (5, 6)))
    del array.shape[:]
    assert ShapeRule.of_array(array) == ShapeRule((3, 4), ((3, 4), (5, 6)))
    for low, high in ((1, upper), (4, -1)):
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    assert ShapeRule.of_array(array) == ShapeRule((1, 4), ranges=((1, upper), (4, None)))
    array.shape.extend([2, 5])
    assert ShapeRule.of_array(array).default == (2, 5)
