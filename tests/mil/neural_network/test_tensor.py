"""What is known of a tensor while a network is translated: lengths that are open, elements that are spelled."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.tensor import Shape, Tensor, joined, meta, paired, product, unknown


def _tensor(*shapes: Shape, dtype: str = "FLOAT32", kind: torch.dtype = torch.float32) -> Tensor:
    """One that was inferred for these sizes of the inputs."""
    return Tensor("x", dtype, tuple(meta(shape, kind) for shape in shapes))


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 3)], (2, 3)),
        ([()], ()),
        ([(2, 3), (2, 4)], (2, -1)),
        ([(2, 3), (2, 3), (2, 4)], (2, -1)),
        ([(1, 3), (2, 3), (1, 3)], (-1, 3)),
        ([(5, 5), (7, 7)], (-1, -1)),
    ],
)
def test_a_length_is_open_where_any_size_of_the_inputs_changes_it(shapes: list[Shape], expected: Shape) -> None:
    tensor = _tensor(*shapes)
    assert tensor.shape == expected
    assert tensor.rank == len(expected)


@pytest.mark.parametrize(("lengths", "expected"), [((), 1), ((4,), 4), ((2, 3, 4), 24), ((2, -1), -1), ((-1, -1), -1), ((0, 3), 0)])
def test_a_product_of_lengths_is_open_if_one_is(lengths: Shape, expected: int) -> None:
    assert product(lengths) == expected


def test_elements_are_spelled_by_a_constant_or_for_every_size() -> None:
    plain = _tensor((2,), (2,), (2,))
    constant = replace(plain, value=np.array([4, 5]))
    several = replace(plain, values=(np.array([1, 2]), np.array([3, 4]), np.array([5, 6])))
    assert [each.is_spelled for each in (plain, constant, several)] == [False, True, True]
    assert [constant.spelled(at).tolist() for at in range(3)] == [[4, 5]] * 3
    assert [several.spelled(at).tolist() for at in range(4)] == [[1, 2], [3, 4], [5, 6], [1, 2]]


def test_one_without_open_lengths_goes_with_every_size() -> None:
    fixed, varied = _tensor((1, 4)), _tensor((2, 1), (3, 1), (5, 1))
    assert [tuple(varied.probe(at).shape) for at in range(4)] == [(2, 1), (3, 1), (5, 1), (2, 1)]
    assert not fixed.is_scalar
    probes = paired(lambda a, b: (a[1], b[0]), fixed, varied, dtype=torch.int32)
    assert [tuple(probe.shape) for probe in probes] == [(4, 2), (4, 3), (4, 5)]
    assert {probe.dtype for probe in probes} == {torch.int32}
    assert {probe.device.type for probe in probes} == {"meta"}
    assert [probe.dtype for probe in paired(lambda a: a, fixed)] == [torch.float32]


@pytest.mark.parametrize("shape", [(), (2, 3), (0, 2), (1,), (-1,), (4, -1, 2), (-1, 0, -1), (1, -1)])
def test_lengths_that_only_running_tells_are_open_and_no_others(shape: Shape) -> None:
    probes = unknown(shape, torch.bool)
    assert Tensor("x", "BOOL", probes).shape == shape
    assert (len(probes) > 1) == (-1 in shape)
    assert {probe.dtype for probe in probes} == {torch.bool}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([(2, 3)], [(2, 3)], (2, 3)),
        ([(2, 3)], [(4, 3)], (-1, 3)),
        ([(2, 3)], [(4, 5)], (-1, -1)),
        ([(2, 3), (2, 4)], [(2, 3), (2, 4)], (2, -1)),
        ([(2, 3), (2, 4)], [(2, 3)], (2, -1)),
        ([(2, 3)], [(2, 3), (2, 4)], (2, -1)),
        ([(1, 2, 9), (1, 3, 9)], [(1, 2, 8), (1, 3, 8)], (1, -1, -1)),
        ([()], [()], ()),
    ],
)
def test_of_two_in_turn_the_lengths_are_open_that_differ_in_either(first: list[Shape], second: list[Shape], expected: Shape) -> None:
    either = joined(_tensor(*first), _tensor(*second))
    assert either.shape == expected
    assert either.name == "x"


def test_an_open_length_that_both_share_stays_what_it_was() -> None:
    either = joined(_tensor((2, 9), (3, 9)), _tensor((2, 8), (3, 8)))
    assert [probe.shape[0] for probe in either.probes] == [2, 3, 2]


@pytest.mark.parametrize(
    ("first", "second", "expected", "kind"),
    [
        ("INT32", "INT32", "INT32", torch.int32),
        ("BOOL", "BOOL", "BOOL", torch.bool),
        ("INT32", "BOOL", "FLOAT32", torch.float32),
        ("INT32", "FLOAT32", "FLOAT32", torch.float32),
        ("FLOAT16", "FLOAT16", "FLOAT32", torch.float32),
        ("FLOAT32", "FLOAT16", "FLOAT32", torch.float32),
        ("UINT8", "UINT8", "FLOAT32", torch.float32),
    ],
)
def test_of_two_in_turn_only_whole_numbers_and_truth_values_stay_so(first: str, second: str, expected: str, kind: torch.dtype) -> None:
    kinds = {"INT32": torch.int32, "BOOL": torch.bool, "UINT8": torch.uint8}
    either = joined(*(_tensor((2,), dtype=each, kind=kinds.get(each, torch.float32)) for each in (first, second)))
    assert either.dtype == expected
    assert [probe.dtype for probe in either.probes] == [kind]


def test_two_of_other_numbers_of_axes_are_refused() -> None:
    with pytest.raises(MilError, match="has 2 axes, and then 1"):
        joined(_tensor((2, 3)), _tensor((2,)))
