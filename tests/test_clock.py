"""The ratio that speed tests rely on, over actions whose durations are known."""

import time

from tests.clock import steady_ratio


class Clock:
    """Time passes only when an action says so."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.calls = 0.0, 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def takes(self, *seconds: float):
        """An action that takes these durations in turn, and the last of them from then on."""
        left = list(seconds)

        def action() -> None:
            self.calls += 1
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return action


def test_what_holds_the_bound_is_measured_once(monkeypatch) -> None:
    clock = Clock(monkeypatch)
    assert steady_ratio(clock.takes(1.0), clock.takes(2.0), bound=0.6, rounds=5) == 0.5
    assert clock.calls == 2 * (1 + 5)


def test_what_is_too_slow_is_too_slow_in_every_series(monkeypatch) -> None:
    clock = Clock(monkeypatch)
    assert steady_ratio(clock.takes(1.5), clock.takes(2.0), bound=0.6, rounds=5, series=3) == 0.75
    assert clock.calls == 3 * 2 * (1 + 5)


def test_a_disturbed_series_does_not_count(monkeypatch) -> None:
    clock = Clock(monkeypatch)
    disturbed = [4.0] * 6
    assert steady_ratio(clock.takes(*disturbed, 1.0), clock.takes(2.0), bound=0.6, rounds=5) == 0.5


def test_a_disturbed_round_does_not_decide(monkeypatch) -> None:
    clock = Clock(monkeypatch)
    assert steady_ratio(clock.takes(1.0, 1.0, 9.0, 1.0), clock.takes(2.0), bound=0.6, rounds=5) == 0.5
    lucky = clock.takes(2.0, 2.0, 0.1, 2.0)
    assert steady_ratio(lucky, clock.takes(2.0), bound=0.6, rounds=5, series=1) == 1
