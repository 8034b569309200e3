import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.latency.stability import BLOCKS, LONGEST_WARM_UP_MS, MOST_WARM_UP, WINDOW, is_settled, spread, warm_up


class Series:
    """Gives out times one after the other."""

    def __init__(self, times: list[float]) -> None:
        self.left = list(times)

    def run(self, count: int) -> list[float]:
        taken, self.left = self.left[:count], self.left[count:]
        return taken


def test_steady_times_settle_as_soon_as_two_windows_are_full() -> None:
    found = warm_up(Series([10.0] * 100).run)
    assert (found.first_ms, found.predictions, found.settled) == (10.0, 2 * WINDOW, True)


def test_a_first_prediction_that_compiles_does_not_delay_it() -> None:
    found = warm_up(Series([9000.0] + [10.0] * 100).run)
    assert (found.first_ms, found.predictions, found.settled) == (9000.0, 2 * WINDOW, True)


def test_a_step_is_waited_for_until_it_lies_behind_both_windows() -> None:
    slow = 7
    found = warm_up(Series([30.0] * slow + [10.0] * 100).run)
    assert found.settled
    # By hand: the earlier window's median is fast once three of its five times are.
    assert found.predictions == slow + 3 + WINDOW


def test_decay_is_waited_for_until_a_window_changes_by_a_twentieth() -> None:
    times = [10 * (1 + np.exp(-i / 4)) for i in range(100)]
    found = warm_up(Series(times).run)
    assert found.settled
    # Monotone series: the medians are the times in the middle of each window.
    ratios = [times[n - 3] / times[n - 8] for n in range(10, 100)]
    assert found.predictions == 10 + next(i for i, ratio in enumerate(ratios) if abs(ratio - 1) <= 0.05)


def test_times_that_keep_growing_end_at_the_limit_and_say_so() -> None:
    found = warm_up(Series([10 * 1.02**i for i in range(200)]).run)
    assert (found.predictions, found.settled) == (MOST_WARM_UP, False)


def test_slow_predictions_end_at_the_limit_of_time() -> None:
    found = warm_up(Series([LONGEST_WARM_UP_MS / 3] * 100).run)
    assert (found.predictions, found.settled) == (4, False)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=2 * WINDOW - 1))
def test_too_few_times_never_count_as_settled(times: list[float]) -> None:
    assert not is_settled(times)


def test_a_slow_part_of_the_run_is_found_where_single_outliers_are_not() -> None:
    quiet = np.random.default_rng(0).normal(10, 0.1, 50)
    assert spread(list(quiet)) < 0.03
    outliers = quiet.copy()
    outliers[[3, 17, 29]] = 40
    assert spread(list(outliers)) < 0.03
    disturbed = quiet.copy()
    disturbed[20:30] *= 1.5
    assert spread(list(disturbed)) == pytest.approx(0.5, abs=0.03)


def test_the_spread_is_that_of_medians_worked_by_hand() -> None:
    assert spread([1, 1, 2, 2, 3, 3, 4, 4, 5, 5]) == pytest.approx((5 - 1) / 3)
    assert spread([1.0] * (2 * BLOCKS - 1)) is None
