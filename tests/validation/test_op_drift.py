"""One operator's figures for ranking."""

import math

import numpy as np
import pytest

from fcrn_mobile.validation.op_drift import HALF_PRECISION_DB
from tests.validation.test_suspect_edges import op, own


def test_half_precision_keeps_what_rounded_values_do() -> None:
    values = 2 ** np.random.default_rng(0).uniform(-8, 8, 400_000)
    noise = values.astype(np.float16).astype(np.float64) - values
    assert pytest.approx(10 * math.log10(np.square(values).sum() / np.square(noise).sum()), abs=0.1) == HALF_PRECISION_DB


@pytest.mark.parametrize(
    ("before", "after", "fall"),
    [
        (60.0, 50.0, 10.0),
        (50.0, 60.0, 0.0),
        (math.inf, 50.0, HALF_PRECISION_DB - 50.0),
        (math.inf, 200.0, 0.0),
        (200.0, 100.0, 0.0),
        (-math.inf, 50.0, 0.0),
        (-math.inf, -math.inf, 0.0),
        (60.0, None, 0.0),
    ],
)
def test_a_fall_counts_below_what_half_precision_leaves(before: float, after: float | None, fall: float) -> None:
    assert op("a", input_snr_db=before, snr_db=after).fall_db == pytest.approx(fall)
    assert op("a", input_snr_db=60.0, snr_db=-math.inf).fall_db == math.inf


def test_an_own_drift_that_is_not_finite_ranks_first() -> None:
    assert op("a").own_drift == 0.0
    assert op("a", own=own(0.25)).own_drift == 0.25
    assert op("a", own=own(math.nan)).own_drift == math.inf
