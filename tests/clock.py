"""The ratio of two durations, for tests that bound it on machines which other work disturbs."""

from collections.abc import Callable

from side_by_side import in_turn, ratio


def steady_ratio(one: Callable[[], object], other: Callable[[], object], bound: float, rounds: int = 15, series: int = 4) -> float:
    """What `one` takes of the time of `other`: the median over interleaved rounds.

    A series above `bound` may have been disturbed, so up to `series` of them are measured and the least counts: too slow is what is too
    slow in all of them. One series of 15 rounds spreads by a few per cent, so this does not let through what is slower by more than that.
    """
    least = float("inf")
    for _ in range(series):
        samples = in_turn({"one": one, "other": other}, rounds)
        least = min(least, ratio(samples["one"], samples["other"]))
        if least <= bound:
            break
    return least
