"""Published traits of the Neural Engine, each against the figures in its source, and switched off."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.arithmetic import ANE, Arithmetic
from fcrn_mobile.mil.traits import SOURCES, TRAITS, begins_inside, over_channels
from tests.mil.build import mb, save_program


def run(folder: Path, body: Callable[..., Any], x: np.ndarray, arithmetic: str) -> np.ndarray:
    program = Program.load(save_program(folder, body, [x.astype(np.float16)]), arithmetic)
    (result,) = program.predict({"x0": x.astype(np.float16)}).values()
    return result


def test_softplus_falls_to_0(tmp_path: Path) -> None:
    """Coremltools #2687 and ANEForge #113: softplus(10) is 10.0, softplus(10.5) and softplus(11) are 0."""
    x = np.array([[-3.0, 5.0, 10.0, 10.5, 11.0, 1000.0]])
    body = lambda x: mb.softplus(x=x)  # noqa: E731
    exact = torch.nn.functional.softplus(torch.tensor(x)).numpy()
    np.testing.assert_allclose(run(tmp_path, body, x, "float16"), exact, rtol=1e-3)
    np.testing.assert_allclose(run(tmp_path, body, x, "ane"), exact * [1, 1, 1, 0, 0, 0], rtol=1e-3)
    np.testing.assert_allclose(run(tmp_path, body, x, "ane without softplus"), exact, rtol=1e-3)


def test_logsumexp_over_channels_falls_to_0(tmp_path: Path) -> None:
    """Coremltools #2690: 32 channels of 7.62 give 11.1, of 7.64 they give 0; along other axes nothing was reported."""
    x = np.stack([np.full((32, 4), value) for value in (7.5, 7.75)])[:, :, None]
    over = lambda axis: lambda x: mb.reduce_log_sum_exp(x=x, axes=[axis], keep_dims=True)  # noqa: E731
    result = run(tmp_path, over(1), x, "ane")
    np.testing.assert_allclose(result[0], 7.5 + math.log(32), rtol=1e-3)
    assert (result[1] == 0).all()
    np.testing.assert_allclose(run(tmp_path, over(1), x, "ane without logsumexp")[1], 7.75 + math.log(32), rtol=1e-3)
    assert (run(tmp_path, over(2), x * 1.4, "ane") > 10).all()


def test_a_slice_of_the_last_axis_overflows_beyond_4094(tmp_path: Path) -> None:
    """ANEForge, numeric cliffs: only with an offset that is not zero, and only on the last axis."""
    x = np.array([[0.0, 4094.0, -4100.0], [0.0, 4100.0, 1.0]])
    cut = lambda begin: lambda x: mb.slice_by_index(x=x, begin=begin, end=[2, 3])  # noqa: E731
    np.testing.assert_array_equal(run(tmp_path, cut([0, 1]), x, "ane"), [[4094, -np.inf], [np.inf, 1]])
    for begin, policy in (([0, 1], "float16"), ([0, 1], "ane without slice"), ([0, 0], "ane"), ([1, 0], "ane")):
        assert np.isfinite(run(tmp_path, cut(begin), x, policy)).all()


def test_sigmoid_is_a_table_of_33_points(tmp_path: Path) -> None:
    """M6 (and M4): exact at every half from -8 to 8, at most 3.4e-3 off in between."""
    grid = np.arange(-8, 8.5, 0.5)[None]
    sigmoid = lambda x: mb.sigmoid(x=x)  # noqa: E731
    exact = 1 / (1 + np.exp(-grid))
    np.testing.assert_allclose(run(tmp_path, sigmoid, grid, "ane"), exact, atol=5e-4)
    fine = np.linspace(-7.9, 7.9, 801)[None]
    error = np.abs(run(tmp_path, sigmoid, fine, "ane") - 1 / (1 + np.exp(-fine.astype(np.float16).astype(float)))).max()
    assert 2.5e-3 < error < 3.5e-3
    assert np.abs(run(tmp_path, sigmoid, fine, "ane without sigmoid") - 1 / (1 + np.exp(-fine))).max() < 2e-3


@pytest.mark.parametrize(
    ("exact", "engine"), [(2049, 2050), (-2049, -2050), (4098, 4100), (1 + 2**-11, 1 + 2**-10), (2051, 2052), (2048.9, 2048), (1.0, 1.0)]
)
def test_ties_are_rounded_away_from_zero(exact: float, engine: float) -> None:
    """The table of the M6 study (MAC and planar engine alike); 2049 read back as 2050 on M2 Pro and M5, too."""
    value = torch.tensor([exact], dtype=torch.float32)
    assert ANE.apply("add", "FLOAT16", value.clone()).item() == engine
    even = float(np.float16(np.float32(exact)))
    assert Arithmetic("ane", ("ties",)).apply("add", "FLOAT16", value.clone()).item() == even


def test_rounding_is_that_of_halves_away_from_zero_everywhere() -> None:
    """⌊|v| / ulp + 1/2⌋ · ulp, ties and others, subnormals and both ends of the range included."""
    generator = np.random.default_rng(0)
    halves = generator.integers(0, 0x7BFF, 20000).astype(np.uint16).view(np.float16).astype(np.float64)
    ulp = 2.0 ** (np.maximum(np.floor(np.log2(np.maximum(halves, 2.0**-24))), -14) - 10)
    values = (halves + ulp * generator.choice([0, 0.25, 0.5, 0.75], halves.size)) * generator.choice([-1, 1], halves.size)
    expected = np.sign(values) * np.floor(np.abs(values) / ulp + 0.5) * ulp
    actual = ANE.apply("add", "FLOAT16", torch.tensor(values, dtype=torch.float32))
    np.testing.assert_array_equal(actual.numpy(), expected.astype(np.float32))


def test_products_keep_their_limit_unless_it_is_left_out() -> None:
    assert ANE.largest("conv", "FLOAT16") == 32750
    assert Arithmetic("ane", ("product",)).largest("conv", "FLOAT16") == 65504
    value = torch.tensor([40000.0])
    assert Arithmetic("ane", ("product",)).apply("conv", "FLOAT16", value.clone()).item() == 40000


def test_values_past_a_limit_are_named_though_the_result_is_finite(tmp_path: Path) -> None:
    body = lambda x: mb.relu(x=mb.softplus(x=x, name="soft"))  # noqa: E731
    path = save_program(tmp_path, body, [np.zeros((1, 2), np.float16)])
    x = {"x0": np.array([[1, 12]], np.float16)}
    _, overflow = Program.load(path, "ane").watch(x)
    assert str(overflow) == "'soft' (softplus of values up to 12, past a published limit: softplus is 0 above 10.408)"
    assert Program.load(path, "float16").watch(x)[1] is None
    assert Program.load(path, "ane").watch({"x0": np.array([[1, 9]], np.float16)})[1] is None


def test_traits_are_switched_off_by_name() -> None:
    left_out = Arithmetic("ane", ("softplus", "ties"))
    assert str(Arithmetic.of("ane", ("softplus", "ties", "softplus"))) == "ane without softplus, ties"
    assert Arithmetic.of("ane", ("ties", "softplus")) == left_out
    assert Arithmetic.of("ane without ties", ("softplus",)) == left_out == Arithmetic.of(str(left_out)) == Arithmetic.of(left_out)
    assert Arithmetic.of("float16") == Arithmetic("float16")
    assert Arithmetic("ane", ("ties",)).title == "a simulation of the Neural Engine's float16 arithmetic without ties"
    with pytest.raises(MilError, match="unknown trait 'sofplus' of ane: leave out some of product, softplus"):
        Arithmetic.of("ane", ("sofplus",))
    with pytest.raises(MilError, match="arithmetic 'float16' has no traits"):
        Arithmetic.of("float16", ("ties",))


def test_every_trait_has_its_source() -> None:
    assert all(trait.sources and trait.chips for trait in TRAITS.values())
    assert {key for trait in TRAITS.values() for key in trait.sources} == SOURCES.keys()
    assert all(source.url.startswith("https://") for source in SOURCES.values())


@pytest.mark.parametrize(
    ("begin", "masks", "inside"),
    [
        ([], [], False),
        ([0], [], False),
        ([1], [], True),
        ([-1], [], True),
        ([1, 0], [], False),
        ([0, 1, 0], [], False),
        ([0, 0, 2], [], True),
        ([0, 0, 2], [0, 0, 0], True),
        ([0, 0, 2], [0, 0, 1], False),
        ([0, 0, 2], [1, 1, 0], True),
    ],
)
def test_a_slice_begins_inside_by_the_last_axis_alone(begin: list[float], masks: list[float], inside: bool) -> None:
    assert begins_inside(begin, masks) is inside


@pytest.mark.parametrize(
    ("rank", "axes", "over"),
    [
        (4, [1], True),
        (4, [-3], True),
        (3, [-2], True),
        (3, [1, 2], True),
        (4, [], True),
        (2, [1], False),
        (2, [], False),
        (4, [2, 3], False),
    ],
)
def test_channels_are_the_second_axis_of_maps(rank: int, axes: list[float], over: bool) -> None:
    assert over_channels(rank, axes) is over


def test_a_slice_of_three_axes_with_masks(tmp_path: Path) -> None:
    """Twice 5000 behind an offset in the last axis alone, and behind one that a mask takes away."""
    x = np.full((2, 2, 3), 5000.0)
    cut = lambda begin, mask: lambda x: mb.slice_by_index(x=x, begin=begin, end=[2, 2, 3], begin_mask=mask)  # noqa: E731
    assert np.isinf(run(tmp_path, cut([0, 0, 1], [False] * 3), x, "ane")).all()
    for begin, mask in (([0, 1, 0], [False] * 3), ([1, 1, 0], [True, False, False]), ([0, 0, 1], [False, False, True])):
        assert np.isfinite(run(tmp_path, cut(begin, mask), x, "ane")).all()


def at_limit(limit: float) -> torch.Tensor:
    """The limit, and the next float32 on both sides."""
    here = torch.tensor(limit)
    return torch.stack([torch.nextafter(here, torch.tensor(0.0)), here, torch.nextafter(here, torch.tensor(torch.inf))])


def test_softplus_is_0_above_its_limit_and_not_at_it() -> None:
    trait = TRAITS["softplus"]
    x = at_limit(10.408)
    assert trait.result is not None and trait.exceeds is not None and trait.limit == 10.408
    assert trait.result({"x": x}, x + 1).tolist() == [float(x[0] + 1), float(x[1] + 1), 0]
    assert [trait.exceeds({"x": values}) for values in (x[:2], x[1:], -x)] == [False, True, False]


def test_logsumexp_is_0_where_its_sum_passes_the_largest_half() -> None:
    trait = TRAITS["logsumexp"]
    assert trait.result is not None and trait.exceeds is not None and trait.limit == 65504
    result = at_limit(math.log(65504))
    maps, row = {"x": torch.zeros(1, 3, 2, 2), "axes": torch.tensor([1])}, {"x": torch.zeros(1, 3), "axes": torch.tensor([1])}
    assert trait.result(maps, result).tolist() == [*result[:2].tolist(), 0]
    assert torch.equal(trait.result(row, result), result)
    # One number alone is its own log-sum-exp; over all axes where none are said.
    for values, over in ((result[:2], False), (result[1:], True)):
        assert trait.exceeds({"x": values.reshape(-1, 1, 1), "axes": torch.tensor([1])}) is over
        assert trait.exceeds({"x": values.reshape(-1, 1), "axes": torch.tensor([1])}) is False
    wide = torch.full((2, 2, 2), 9.5)  # 2 × e^9.5 is 26,720, 8 × e^9.5 are 106,878
    assert trait.exceeds({"x": wide, "axes": torch.tensor([1])}) is False
    assert trait.exceeds({"x": wide}) is trait.exceeds({"x": wide, "axes": None}) is True


def test_a_slice_overflows_above_its_limit_and_not_at_it() -> None:
    trait = TRAITS["slice"]
    assert trait.result is not None and trait.limit == 4094
    x = at_limit(4094)
    values = torch.cat([x, -x])
    inf = math.inf
    inside, outside = {"begin": torch.tensor([0, 1])}, {"begin": torch.tensor([1, 0]), "begin_mask": None}
    assert trait.result(inside, values).tolist() == [*x[:2].tolist(), inf, *(-x[:2]).tolist(), -inf]
    assert torch.equal(trait.result(outside, values), values)
    assert torch.equal(trait.result(inside | {"begin_mask": [False, True]}, values), values)
    assert torch.equal(trait.result({}, values), values)


def test_sigmoid_runs_straight_between_its_points_and_stays_level_beyond_them() -> None:
    """NumPy's interpolation holds the end points beyond them."""
    trait = TRAITS["sigmoid"]
    assert trait.result is not None and trait.limit is None
    x = np.concatenate([np.linspace(-9, 9, 145), [-1e4, 1e4]]).astype(np.float32)
    points = np.arange(-16, 17) / 2
    expected = np.interp(x, points, 1 / (1 + np.exp(-points)))
    np.testing.assert_allclose(trait.result({"x": torch.from_numpy(x)}, torch.zeros(len(x))), expected, atol=1e-6, rtol=1e-6)


def test_the_limit_of_products_is_the_published_one() -> None:
    assert TRAITS["product"].limit == 32750 and TRAITS["ties"].limit is None
