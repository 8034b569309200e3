"""Random and filled tensors: the shape of a tensor, one that is stored, known or read; the temperature of a draw and its small number."""

from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layers.nd_filling import LAYERS
from tests.mil.neural_network.build import builder, close, load, number, random, run
from tests.mil.neural_network.test_kinds import check_counts

KINDS: dict[str, tuple[dict[str, float], float, float]] = {
    "normal": ({"mean": 2.0, "stddev": 0.5}, 2.0, 0.5),
    "uniform": ({"minval": 1.0, "maxval": 3.0}, 2.0, 12**-0.5 * 2),
    "bernoulli": ({"prob": 0.3}, 0.3, 0.21**0.5),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["like", "open", "static", "known", "read"])
def test_random_numbers_have_their_shape_and_distribution(kind: str, source: str) -> None:
    settings, mean, deviation = KINDS[kind]
    shape = (40, 1, 50)

    def body(b: Any) -> None:
        number(b, "c", *shape)
        if source == "static":
            getattr(b, f"add_random_{kind}_static")("n", "y", shape, seed=7, **settings)
        elif source in ("known", "read"):
            getattr(b, f"add_random_{kind}_dynamic")("n", ["c" if source == "known" else "x0"], "y", seed=7, **settings)
        else:
            getattr(b, f"add_random_{kind}_like")("n", "x0", "y", seed=7, **settings)

    x = np.float32(shape) if source == "read" else random(*shape)
    drawn, again = (run(body, x, exact=True, free={"x0": (0, 2)} if source == "open" else None) for _ in "ab")
    assert drawn.shape == shape
    np.testing.assert_array_equal(drawn, again)
    assert abs(drawn.mean() - mean) < 0.06
    assert abs(drawn.std() - deviation) < 0.05


@pytest.mark.parametrize("source", ["like", "static"])
def test_a_shape_that_is_fixed_is_not_read(source: str) -> None:
    built = builder({"x0": (3, 1)}, exact=True)
    built.add_random_normal_like("n", "x0", "y") if source == "like" else built.add_random_normal_static("n", "y", (3, 1))
    assert [operation.kind for operation in load(built.spec).operations] == ["random_normal"]


@pytest.mark.parametrize("source", ["static", "dynamic", "fill"])
def test_more_random_numbers_than_a_memory_holds_are_refused(source: str) -> None:
    def body(b: Any) -> None:
        number(b, "c", 2**20, 2**20)
        if source == "fill":
            b.add_fill_dynamic("odd", "c", "y", 1.0)
        elif source == "dynamic":
            b.add_random_uniform_dynamic("odd", ["c"], "y")
        else:
            b.add_random_uniform_static("odd", "y", (2**20, 2**20))

    with pytest.raises(MilError, match=r"layer 'odd' .*its result has the shape 1048576×1048576"):
        run(body, random(2), exact=True)


@pytest.mark.parametrize("source", ["like", "open", "static", "known", "read"])
def test_one_number_stands_everywhere(source: str) -> None:
    def body(b: Any) -> None:
        number(b, "c", 2, 1, 3)
        if source == "static":
            b.add_fill_static("n", "y", (2, 1, 3), 2.5)
        elif source in ("known", "read"):
            b.add_fill_dynamic("n", "c" if source == "known" else "x0", "y", 2.5)
        else:
            b.add_fill_like("n", "x0", "y", 2.5)

    x = np.float32([2, 1, 3]) if source == "read" else random(2, 1, 3)
    close(run(body, x, exact=True, free={"x0": (0, 2)} if source == "open" else None), np.full((2, 1, 3), 2.5))


def _shares(probabilities: list[float], logits: bool, temperature: float | None, eps: float | None) -> Any:
    """How often each of the indices is drawn; None leaves a field out."""
    count = 20000

    def body(b: Any) -> None:
        b.add_categorical_distribution("n", "x0", "y", count, logits, eps or 0.0, temperature or 0.0, 5)
        params = b.nn_spec.layers[-1].categoricalDistribution
        for name, value in (("eps", eps), ("temperature", temperature)):
            if value is None:
                params.ClearField(name)

    x = np.array([probabilities], np.float32)
    drawn = run(body, np.log(x) if logits else x, exact=True)
    return np.bincount(drawn[0].astype(int), minlength=len(probabilities)) / count


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("temperature", [None, 1.0, 2.0, 0.25])
def test_a_temperature_divides_logarithms(temperature: float | None, logits: bool) -> None:
    expected = np.array([0.1, 0.2, 0.7]) ** (1 / (temperature or 1.0))
    np.testing.assert_allclose(_shares([0.1, 0.2, 0.7], logits, temperature, 1e-10), expected / expected.sum(), atol=0.015)


@pytest.mark.parametrize(("eps", "small"), [(None, 1e-10), (0.5, 0.5)])
def test_a_small_number_keeps_logarithms_of_nothing_finite(eps: float | None, small: float) -> None:
    """It is 1e-10 where it is left out: to the power of 1/10 a tenth."""
    expected = (np.array([0.0, 1.0]) + small) ** 0.1
    np.testing.assert_allclose(_shares([0.0, 1.0], False, 10.0, eps), expected / expected.sum(), atol=0.015)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_draws_of_every_row_keep_the_axes_in_front(temperature: float) -> None:
    x = np.zeros((2, 3, 4), np.float32)
    x[0, :, 1] = x[1, :, 3] = 1.0
    body = lambda b: b.add_categorical_distribution("n", "x0", "y", 6, False, temperature=temperature, seed=1)  # noqa: E731
    close(run(body, x, exact=True, free={"x0": (0,)}), np.stack([np.full((3, 6), 1.0), np.full((3, 6), 3.0)]))


def test_layers_read_as_many_tensors_as_they_are_said_to() -> None:
    check_counts(LAYERS)
