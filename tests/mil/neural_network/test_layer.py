"""What layers share: tensors as images and back, slices along an axis, shapes that tensors spell."""

import numpy as np
import pytest

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layer import Layer, Network, lengths
from fcrn_mobile.mil.neural_network.tensor import Shape, Tensor, meta, unknown


def _given(*shape: int) -> tuple[Network, Tensor]:
    """A network and its input of this shape, whose lengths of -1 are open."""
    net = Network(compact=False, batch=1)
    return net, net.input("x", "FLOAT32", unknown(shape))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 5, 6), (1, 4, 5, 6)),
        ((1, 4, 5), (1, 1, 4, 5)),
        ((4, -1, -1), (1, 4, -1, -1)),
        ((3, 4, 5, 6), (3, 4, 5, 6)),
        ((1, 4, 5, 6), (1, 4, 5, 6)),
        ((-1, 4, -1, -1), (-1, 4, -1, -1)),
        ((1, 1, 4, 5, 6), (1, 4, 5, 6)),
        ((1, 1, 4, -1, -1), (1, 4, -1, -1)),
        ((1, 1, 1, 4, -1, -1), (1, 4, -1, -1)),
        ((2, 3, 4, 5, 6), (6, 4, 5, 6)),
        ((2, 1, 4, 5, 6), (2, 4, 5, 6)),
        ((-1, 3, 4, 5, 6), (-1, 4, 5, 6)),
        ((2, -1, 4, 5, 6), (-1, 4, 5, 6)),
        ((2, 3, 2, 4, 5, 6), (12, 4, 5, 6)),
        ((2, 3, 4, -1, 6), (6, 4, -1, 6)),
    ],
)
def test_whatever_leads_maps_is_one_axis_of_images_and_comes_back(shape: Shape, expected: Shape) -> None:
    net, x = _given(*shape)
    images = net.images(x)
    assert images.shape == expected
    back = net.like(x, images)
    assert back.shape == shape
    assert (images is x) == (back is images) == (len(shape) == 4)


@pytest.mark.parametrize("shape", [(), (5,), (5, 6)])
def test_fewer_axes_than_three_are_no_maps(shape: Shape) -> None:
    net, x = _given(*shape)
    with pytest.raises(MilError, match="at least 3 axes"):
        net.images(x)


def test_maps_come_back_with_other_channels_and_sizes() -> None:
    net, x = _given(2, 3, 4, 5, 6)
    assert net.like(x, net.input("y", "FLOAT32", (meta((6, 7, 8, 9)),))).shape == (2, 3, 7, 8, 9)


@pytest.mark.parametrize("shape", [(2, 3), (-1, 3), (-1, -1)])
def test_a_tensor_that_has_a_shape_is_not_reshaped(shape: Shape) -> None:
    net, x = _given(*shape)
    assert net.reshape(x, shape) is x
    assert not net.operations


def test_a_reshape_may_leave_one_length_open() -> None:
    net, x = _given(2, -1, 3)
    assert net.reshape(x, (2, -1)).shape == (2, -1)
    assert net.reshape(x, (-1, 3)).shape == (-1, 3)
    assert net.reshape(x, (-1, 6)).shape == (-1, 6)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("taken", [(), (5,), (5, 6)])
def test_a_gather_has_the_indices_axes_in_the_place_of_its_own(axis: int, taken: Shape) -> None:
    net, x = _given(2, 3, 4)
    indices = net.input("at", "INT32", unknown(taken, net.INDEX))
    result = net.gather(x, indices, axis)
    assert result.shape == np.take(np.zeros((2, 3, 4)), np.zeros(taken, int), axis).shape
    (stored,) = net.operations[-1].inputs["axis"].arguments[0].value.immediateValue.tensor.ints.values
    assert stored == range(3)[axis]


def test_a_gather_takes_rows_where_no_axis_is_named() -> None:
    net, x = _given(2, 3, 4)
    assert net.gather(x, net.input("at", "INT32", unknown((7,), net.INDEX))).shape == (7, 3, 4)


def test_numbers_are_those_of_a_constant_in_order() -> None:
    net, x = _given(2, 3)
    assert net.numbers(x) is None
    assert net.numbers(net.known(np.array([[3.0, 1.0], [2.0, -4.0]]))) == [3, 1, 2, -4]
    assert net.numbers(net.known(np.array(7))) == [7]


@pytest.mark.parametrize(("shape", "expected"), [((4,), 4), ((2, 3), 6), ((1,), 1), ((0,), 0), ((12,), 12)])
def test_a_vector_has_as_many_numbers_as_its_shape_says(shape: Shape, expected: int) -> None:
    net, x = _given(*shape)
    assert net.count(x) == expected


@pytest.mark.parametrize(("shape", "reason"), [((-1,), "how many axes it gives depends on the input"), ((13,), "reads 13 numbers")])
def test_a_vector_of_open_length_or_of_more_numbers_than_axes_has_no_count(shape: Shape, reason: str) -> None:
    net, x = _given(*shape)
    with pytest.raises(MilError, match=reason):
        net.count(x)


def test_a_shape_may_be_given_known_or_spelled_by_running() -> None:
    net, x = _given(3)
    assert net.filled([2, 5], 1.5).shape == (2, 5)
    assert net.filled(net.known(np.array([2, 5, 4])), 1.5).shape == (2, 5, 4)
    assert net.filled(x, 1.5).shape == (-1, -1, -1)
    assert [operation.type for operation in net.operations][-2:] == ["cast", "fill"]


@pytest.mark.parametrize("spelled", [True, False])
def test_a_shape_that_no_memory_holds_is_not_filled(spelled: bool) -> None:
    net, _ = _given(3)
    with pytest.raises(MilError, match=r"its result has the shape 65536×65536"):
        net.filled(net.known(np.array([2**16, 2**16])) if spelled else [2**16, 2**16], 0.0)


def test_a_layer_reads_one_tensor_where_its_record_does_not_say() -> None:
    layer = Layer(lambda net, params, inputs: inputs[0])
    assert (layer.least, layer.most) == (1, 1)


@pytest.mark.parametrize(
    ("shape", "taken", "expected"),
    [
        ((-1, 3, -1), (-1, 3, -1), (0, 3, -1)),
        ((-1, -1), (-1, -1), (0, -1)),
        ((-1, -1, -1), (-1, -1, -1), (0, 0, -1)),
        ((2, -1, -1), (2, -1, -1), (2, 0, -1)),
        ((-1, -1, 6), (-1, -1, 2, 3), (0, -1, 6)),
        ((-1, 6), (2, 3), (-1, 6)),
        ((2, -1, -1, -1), (2, -1, -1, -1), (2, 0, 0, -1)),
        ((1, -1, -1), (1, -1, -1), (1, 0, -1)),
        ((-1, 6), (-1, 3, 2), (-1, 6)),
        ((4, 6), (2, 12), (4, 6)),
        ((-1, 3, -1), (-1, 2, -1), (0, 3, -1)),
        ((-1, -1, -1), (-1, -1, 5), (0, 0, -1)),
    ],
)
def test_open_lengths_that_stay_are_named_so(shape: Shape, taken: Shape, expected: Shape) -> None:
    """``reshape`` works one length out (-1) and keeps others (0)."""
    assert lengths(shape, taken) == expected


@pytest.mark.parametrize(("shape", "taken"), [((-1, -1), (2, -1)), ((3, -1, -1), (2, -1, -1)), ((-1, -1, -1), (-1, 2, -1))])
def test_two_open_lengths_that_do_not_stay_are_refused(shape: Shape, taken: Shape) -> None:
    with pytest.raises(MilError, match="more than one length of its result depends on the input"):
        lengths(shape, taken)
