"""Indices at and beyond both ends of an axis, omitted arguments, updates of integers and of places named twice."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.indexing import OPERATORS
from tests.mil.ops.defaults import check_defaults

X = torch.arange(6.0).reshape(3, 2)


def at(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int32)


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("kind", ["gather", "gather_along_axis", "gather_nd", "scatter", "scatter_along_axis", "scatter_nd"])
@pytest.mark.parametrize("index", [3, -4, 99])
def test_every_operator_refuses_an_index_outside_its_axis(kind: str, index: int) -> None:
    indices = at(0, index)
    if kind.endswith("nd"):
        indices = indices[:, None]
    if kind.endswith("along_axis"):
        indices = indices[:, None].expand(2, 2)
    arguments = (torch.ones(2, 2),) if kind.startswith("scatter") else ()
    with pytest.raises(MilError, match=f"index {index} lies outside an axis of length 3"):
        OPERATORS[kind].run(X, indices, *arguments)


@pytest.mark.parametrize(("index", "row"), [(0, 0), (2, 2), (-1, 2), (-3, 0)])
def test_every_operator_counts_from_either_end(index: int, row: int) -> None:
    assert OPERATORS["gather"].run(X, at(index)).equal(X[[row]])
    assert OPERATORS["gather_along_axis"].run(X, at(index)[:, None].expand(1, 2)).equal(X[[row]])
    assert OPERATORS["gather_nd"].run(X, at(index)[:, None]).equal(X[[row]])
    expected = X.clone()
    expected[row] += 10
    update = torch.full((1, 2), 10.0)
    assert OPERATORS["scatter"].run(X, at(index), update).equal(expected)
    assert OPERATORS["scatter_along_axis"].run(X, at(index)[:, None].expand(1, 2), update).equal(expected)
    assert OPERATORS["scatter_nd"].run(X, at(index)[:, None], update).equal(expected)


KINDS = ["gather", "gather_along_axis", "gather_nd", "scatter", "scatter_along_axis", "scatter_nd"]


def outside(kind: str, index: int, x: torch.Tensor, **options: object) -> torch.Tensor:
    """The operator of iOS 17 on rows 1 and ``index`` of a matrix of two columns."""
    indices = {"gather_nd": at(1, index)[:, None], "scatter_nd": at(1, index)[:, None]}.get(kind, at(1, index))
    if kind.endswith("along_axis"):
        indices = indices[:, None].expand(2, 2)
    arguments = (torch.ones(2, 2, dtype=x.dtype),) if kind.startswith("scatter") else ()
    result: torch.Tensor = OPERATORS[kind].run(x, indices, *arguments, opset=7, **options)
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", [-1, -4, 3, 99])
def test_from_ios_17_on_an_index_outside_is_undefined_or_refused(kind: str, index: int) -> None:
    result = outside(kind, index, X)
    if kind.startswith("gather"):
        assert result[0].equal(X[1])
        assert result[1].isnan().all()
    else:
        assert result.isnan().all()
        assert result.shape == X.shape
    with pytest.raises(MilError, match="an index lies outside its axis, which is undefined from iOS 17 on"):
        outside(kind, index, X.int())
    for x in (X, X.int()):
        with pytest.raises(MilError, match=f"index {index} lies outside an axis of length 3"):
            outside(kind, index, x, validate_indices=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_from_ios_17_on_indices_inside_are_what_they_were(kind: str, index: int) -> None:
    for validate in (False, True):
        indices = {"gather_nd": at(index)[:, None], "scatter_nd": at(index)[:, None]}.get(kind, at(index))
        if kind.endswith("along_axis"):
            indices = indices[:, None].expand(1, 2)
        arguments = (torch.ones(1, 2),) if kind.startswith("scatter") else ()
        before = OPERATORS[kind].run(X, indices, *arguments)
        assert OPERATORS[kind].run(X, indices, *arguments, validate_indices=validate, opset=8).equal(before)


def test_what_is_undefined_lies_where_its_index_does() -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    run = OPERATORS["gather"].run
    along = run(x, at(0, -1), torch.tensor(2), opset=7)
    assert along[..., 0].equal(x[..., 0])
    assert along[..., 1].isnan().all()
    batched = run(x, torch.tensor([[0, 3], [-1, 1]]), torch.tensor(2), torch.tensor(1), opset=7)
    assert batched.isnan().nonzero()[:, [0, 2]].unique(dim=0).tolist() == [[1, 0]]
    assert batched[0].equal(x[0][:, [0, 3]])
    assert batched[1, :, 1].equal(x[1, :, 1])
    pairs = torch.tensor([[[0, 3], [0, -1]], [[3, 0], [2, 1]]])
    places = OPERATORS["gather_nd"].run(x, pairs, torch.tensor(1), opset=7)  # of the last two axes, one per batch and row
    assert places.isnan().tolist() == [[False, True], [True, False]]
    assert places[0, 0] == x[0, 0, 3]
    assert places[1, 1] == x[1, 2, 1]


@pytest.mark.parametrize(
    ("opset", "indices", "told"),
    [
        (7, (0, 3), "index 3 lies outside an axis of length 3"),
        (7, (-1, 3), "index -1 lies outside an axis of length 3"),
        (7, (-3, 2), "index -3 lies outside an axis of length 3; from iOS 17 on negative ones do not count from the end"),
        (7, (-4, 0), "index -4 lies outside an axis of length 3"),
        (6, (-3, 3), "index 3 lies outside an axis of length 3"),
        (6, (-4, 3), "index -4 lies outside an axis of length 3"),
    ],
)
def test_an_index_outside_is_named_and_what_may_be_meant(opset: int, indices: tuple[int, ...], told: str) -> None:
    with pytest.raises(MilError) as error:
        OPERATORS["gather"].run(X, at(*indices), validate_indices=True, opset=opset)
    assert str(error.value) == told


def test_places_of_several_rows_have_their_undefined_slices_where_they_lie() -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    indices = torch.tensor([[[0, 1], [1, 2], [0, 5]]], dtype=torch.int32)
    found = OPERATORS["gather_nd"].run(x, indices, opset=7)
    assert found.shape == (1, 3, 4)
    assert torch.equal(found[0, :2], torch.stack([x[0, 1], x[1, 2]])) and found[0, 2].isnan().all()


def test_no_index_lies_outside_even_of_nothing() -> None:
    for opset in (6, 7):
        assert OPERATORS["gather"].run(X, at(), validate_indices=True, opset=opset).shape == (0, 2)


def test_indices_of_nothing_read_nothing() -> None:
    assert OPERATORS["gather"].run(X, at()).shape == (0, 2)
    assert OPERATORS["gather"].run(X, at(), torch.tensor(1)).shape == (3, 0)
    assert OPERATORS["gather"].run(torch.zeros(2, 0), at(1)).shape == (1, 0)


def test_shared_axes_may_be_followed_by_others_before_the_one_that_is_read() -> None:
    x = torch.arange(24).reshape(2, 3, 4)
    indices = at(3, 0, 1, 2).reshape(2, 2)
    expected = torch.stack([x[b][:, indices[b]] for b in range(2)])
    assert OPERATORS["gather"].run(x, indices, torch.tensor(2), torch.tensor(1)).equal(expected)
    assert OPERATORS["gather"].run(x, indices, torch.tensor(-1), torch.tensor(1)).equal(expected)
    expected = torch.stack([x[b][indices[b] % 3] for b in range(2)])
    assert OPERATORS["gather"].run(x, indices % 3, torch.tensor(1), torch.tensor(1)).equal(expected)


def test_places_of_two_shared_axes() -> None:
    x = torch.arange(24).reshape(2, 3, 4)
    indices = torch.randint(0, 4, (2, 3, 5, 1), generator=torch.Generator().manual_seed(0))
    expected = torch.gather(x, 2, indices[..., 0])
    assert OPERATORS["gather_nd"].run(x, indices, torch.tensor(2)).equal(expected)


@pytest.mark.parametrize("kind", ["scatter", "scatter_along_axis", "scatter_nd"])
@pytest.mark.parametrize(
    ("mode", "expected"),
    [("add", [12, 5]), ("sub", [2, 5]), ("mul", [42, 5]), ("div", [1, 5]), ("max", [7, 5]), ("min", [2, 5])],
)
def test_a_place_named_twice_meets_both_updates(kind: str, mode: str, expected: list[int]) -> None:
    """7 meets 2 and then 3; of integers a quotient loses its fraction."""
    data, updates = torch.tensor([7, 5]), torch.tensor([2, 3])
    indices = at(0, 0)[:, None] if kind.endswith("nd") else at(0, 0)
    assert OPERATORS[kind].run(data, indices, updates, mode=mode).tolist() == expected
    assert data.tolist() == [7, 5]
    floats = OPERATORS[kind].run(data.float(), indices, updates.float(), mode=mode).tolist()
    assert floats == pytest.approx([7 / 6, 5] if mode == "div" else expected)


def test_a_negative_quotient_of_integers_is_cut_towards_zero() -> None:
    assert OPERATORS["scatter"].run(torch.tensor([-7]), at(0), torch.tensor([2]), mode="div").tolist() == [-3]


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MilError, match="scatter mode 'mean' is not one of add, div, max, min, mul, sub, update"):
        OPERATORS["scatter"].run(X, at(0), torch.ones(1, 2), mode="mean")


def test_an_update_of_another_type_takes_that_of_the_data() -> None:
    replaced = OPERATORS["scatter"].run(torch.tensor([1.0, 2.0]), at(1), torch.tensor([7]), mode="update")
    assert replaced.dtype == torch.float32
    assert replaced.tolist() == [1, 7]


def test_slices_along_a_later_axis_meet_updates() -> None:
    updates = torch.tensor([[10.0], [20.0], [30.0]])
    expected = X.clone()
    expected[:, 1] += updates[:, 0]
    for axis in (1, -1):
        assert OPERATORS["scatter"].run(X, at(1), updates, torch.tensor(axis)).equal(expected)
        assert OPERATORS["scatter_along_axis"].run(X, torch.ones(3, 1, dtype=torch.int32), updates, torch.tensor(axis)).equal(expected)


def test_a_hot_place_is_one_and_others_zero_on_the_last_axis_unless_told() -> None:
    hot = OPERATORS["one_hot"].run(at(1, 0), torch.tensor(2))
    assert hot.dtype == torch.int32
    assert hot.tolist() == [[0, 1], [1, 0]]
    assert OPERATORS["one_hot"].run(at(1), 3, torch.tensor(0)).tolist() == [[0], [1], [0]]
    assert OPERATORS["one_hot"].run(at(-1, 3), 3).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert OPERATORS["one_hot"].run(at(0), 1, -1, torch.tensor(0.5), torch.tensor(0.25)).tolist() == [[0.5]]


def test_places_that_are_not_zero_are_int32() -> None:
    places = OPERATORS["non_zero"].run(torch.tensor([[0, 2], [3, 0]]))
    assert places.dtype == torch.int32
    assert places.tolist() == [[0, 1], [1, 0]]


def test_places_from_either_end_stand_side_by_side() -> None:
    assert OPERATORS["gather"].run(X, at(-1, 0, 1)).equal(X[[2, 0, 1]])
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert OPERATORS["gather_nd"].run(x, torch.tensor([[-1, -1], [0, -3]])).equal(torch.stack([x[1, 2], x[0, 0]]))
    paired = OPERATORS["gather_nd"].run(x, torch.tensor([[[-1, -1]], [[0, -3]]]), torch.tensor(1))
    assert paired.equal(torch.stack([x[0, 2, 3:4], x[1, 0, 1:2]]))
