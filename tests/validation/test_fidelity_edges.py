"""Fidelity at its ends, against formulas worked by hand."""

import math

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.validation.fidelity import Fidelity, FidelityValues, same_size


def compared(*pairs: tuple[object, object]) -> FidelityValues:
    fidelity = Fidelity()
    for candidate, reference in pairs:
        fidelity.update(np.asarray(candidate, np.float32), np.asarray(reference, np.float32))
    return fidelity.compute()


def test_one_image_by_hand() -> None:
    values = compared(([[1.0, 3.0]], [[2.0, 4.0]]))
    assert values.abs_rel == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert values.psnr_db == pytest.approx(20 * math.log10(4 / 1))
    assert values.max_abs == 1.0
    assert values.cosine == pytest.approx((2 + 12) / math.sqrt(10 * 20))


def test_depths_of_less_than_a_metre_have_a_peak_too() -> None:
    assert compared(([[0.4, 0.1]], [[0.5, 0.1]])).psnr_db == pytest.approx(20 * math.log10(0.5 / (0.1 / math.sqrt(2))))


def test_images_are_averaged_but_for_the_largest_difference() -> None:
    first, second = ([[1.0, 3.0]], [[2.0, 4.0]]), ([[5.0, 5.0]], [[2.0, 4.0]])
    both, one, two = compared(first, second), compared(first), compared(second)
    assert both.abs_rel == pytest.approx((one.abs_rel + two.abs_rel) / 2)
    assert both.psnr_db == pytest.approx((one.psnr_db + two.psnr_db) / 2)
    assert both.cosine == pytest.approx((one.cosine + two.cosine) / 2)
    assert both.max_abs == max(one.max_abs, two.max_abs) == 3.0


def test_update_says_the_image_s_own_abs_rel() -> None:
    fidelity = Fidelity()
    assert fidelity.update(np.full((2, 2), 3, np.float32), np.full((2, 2), 2, np.float32)).abs_rel == pytest.approx(0.5)
    assert fidelity.update(np.full((2, 2), 2, np.float32), np.full((2, 2), 2, np.float32)).abs_rel == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_the_cosine_is_that_of_the_normalised_vectors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    candidate, reference = rng.normal(size=(2, 5, 7)).astype(np.float32)
    unit = [each.ravel().astype(float) / np.linalg.norm(each.astype(float)) for each in (candidate, reference)]
    assert compared((candidate, reference)).cosine == pytest.approx(float(unit[0] @ unit[1]), rel=1e-9)
    assert compared((-2 * reference, reference)).cosine == pytest.approx(-1)


def test_equal_outputs_are_infinitely_close() -> None:
    values = compared(([[2.0, 4.0]], [[2.0, 4.0]]))
    assert (values.abs_rel, values.psnr_db, values.max_abs) == (0.0, math.inf, 0.0)
    assert values.cosine == pytest.approx(1)


def test_a_reference_of_zeros_has_neither_peak_nor_direction() -> None:
    values = compared(([[0.5, 0.5]], [[0.0, 0.0]]))
    assert math.isnan(values.psnr_db)
    assert math.isnan(values.cosine)
    assert values.abs_rel == pytest.approx((0.5 - 1e-3) / 1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_stays_so(broken: float) -> None:
    values = compared(([[broken, 4.0]], [[2.0, 4.0]]))
    assert not math.isfinite(values.abs_rel)
    assert math.isnan(values.psnr_db)
    assert not math.isfinite(values.max_abs)
    assert math.isnan(values.cosine)


def test_a_peak_may_be_negative() -> None:
    assert compared(([[-3.0, 1.0]], [[-4.0, 1.0]])).psnr_db == pytest.approx(20 * math.log10(4 / math.sqrt(0.5)))


def test_another_size_is_resized_to_the_reference_s() -> None:
    small = np.arange(6, dtype=np.float32).reshape(2, 3)
    resized = same_size(small, np.zeros((4, 9), np.float32))
    assert resized.shape == (4, 9)
    np.testing.assert_array_equal(resized, np.asarray(Image.fromarray(small).resize((9, 4), Image.Resampling.BILINEAR)))
    same = np.zeros((4, 9), np.float32)
    assert same_size(same, np.ones((4, 9), np.float32)) is same
