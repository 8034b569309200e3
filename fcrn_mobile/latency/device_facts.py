"""What a report of the iOS app says beside its times, in sentences."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.latency.latency import Latency
from fcrn_mobile.latency.reports import DeviceReport, timeline

__all__ = ["report_facts", "result_facts"]

#: Seconds at the beginning and at the end of a soak that are held against each other.
_SOAK_PART = 30.0


def report_facts(report: DeviceReport) -> list[str]:
    """What holds for the whole report: battery, and how its predictions were spread over time."""
    facts = []
    if plan := report.plan:
        turns = f"in {plan['rounds']} turns" if plan["rounds"] > 1 else "in one turn"
        facts.append(f"{plan['runs']} predictions for each result {turns}, a pause of {plan['cool_down_s']:g} s before each")
    if power := report.power:
        levels = [f"{100 * entry['battery_level']:.0f} %" for entry in power if "battery_level" in entry]
        states = list(dict.fromkeys(entry["battery_state"] for entry in power))
        facts.append("battery " + ", ".join([*([" → ".join(dict.fromkeys(levels))] if levels else []), " → ".join(states)]))
        if any(entry["low_power_mode"] for entry in power):
            facts.append("low-power mode was on: times are not those of the device at full speed")
    return facts


def result_facts(report: DeviceReport) -> list[str]:
    """What holds for single results, each with the name of its result."""
    return [f"{result.label}: {fact}" for result, times in timeline(report) for fact in _of_result(result, times)]


def _of_result(result: Latency, times: NDArray[np.float64]) -> list[str]:
    facts = []
    if result.spans == "prediction":
        apart = "" if result.preprocess_ms is None else f"; bringing an image into its input, {result.preprocess_ms:.2f} ms, is not in them"
        facts.append(f"times of the model alone{apart}")
    elif result.spans == "request":
        facts.append("times of requests to Vision, scaling included")
    if result.load_kind:
        again = "" if result.reload_ms is None else f", later {result.reload_ms:.0f} ms"
        facts.append(f"{result.load_kind} load {result.load_ms:.0f} ms{again}")
    if result.operators:
        units = Counter(operator["unit"] for operator in result.operators)
        facts.append("operators by Core ML's plan: " + ", ".join(f"{unit} {count}" for unit, count in units.most_common()))
    if result.mode == "soak":
        facts.append(_soak(np.asarray(result.samples_ms), times))
    return facts


def _soak(samples: NDArray[np.float64], times: NDArray[np.float64]) -> str:
    begin, end = float(times[0]), float(times[-1])
    part = min(_SOAK_PART, (end - begin) / 2)
    first, last = np.median(samples[times <= begin + part]), np.median(samples[times >= end - part])
    return (
        f"median of the first {part:.0f} s {first:.1f} ms, of the last {last:.1f} ms ({last / first:.2f} times) after {end - begin:.0f} s"
    )
