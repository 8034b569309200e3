"""Noise, overflow and saturation of single operators, counted by hand."""

import math
from dataclasses import replace

import pytest
import torch

from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.validation.matching import match
from fcrn_mobile.validation.signals import Signal, measure_signals, snr_db
from tests.validation.programs import depth_program, grey, pictures, quantized, step


@pytest.mark.parametrize(
    ("power", "noise", "decibels"),
    [(100.0, 1.0, 20.0), (1.0, 1.0, 0.0), (1.0, 100.0, -20.0), (5.0, 0.0, math.inf), (0.0, 0.0, math.inf), (0.0, 1.0, -math.inf)],
)
def test_a_ratio_in_decibels(power: float, noise: float, decibels: float) -> None:
    assert snr_db(power, noise) == Signal(power, noise).snr_db == decibels
    assert snr_db(1.0, math.nan) == snr_db(1.0, math.inf) == -math.inf


def test_a_share_of_nothing_is_nothing() -> None:
    assert Signal(elements=8).share(2) == 0.25
    assert Signal().share(3) == 0.0


def test_sums_are_pooled_over_images() -> None:
    ours, theirs = (depth_program(grey(gain), step("relu", "y", "grey")) for gain in (0.5, 0.6))
    signals, fidelity = measure_signals(ours, theirs, match(ours, theirs), pictures(10, 20))
    for signal in signals:  # 24 pixels of 15 and of 30, that become 18 and 36
        assert signal.power == pytest.approx(24 * (15**2 + 30**2))
        assert signal.noise == pytest.approx(24 * (3**2 + 6**2), rel=1e-5)
        assert (signal.elements, signal.not_finite, signal.beyond, signal.clipped) == (48, 0, 0, 0)
    assert fidelity.abs_rel == pytest.approx(0.2, rel=1e-5)
    assert fidelity.max_abs == pytest.approx(6, rel=1e-5)


def test_progress_counts_images() -> None:
    ours = depth_program(grey())
    calls: list[tuple[int, int]] = []
    measure_signals(ours, ours, {0: 0}, pictures(1, 2, 3), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_an_operator_without_a_counterpart_has_no_noise() -> None:
    ours = depth_program(grey(), step("relu", "y", "grey"))
    theirs = depth_program(grey(0.6), step("tanh", "extra", "grey"), step("relu", "y", "grey"))
    signals, _ = measure_signals(ours, theirs, {2: 1}, pictures(10))
    assert [signal.noise > 0 for signal in signals] == [False, False, True]
    assert [signal.power > 0 for signal in signals] == [False, False, True]
    assert [signal.elements for signal in signals] == [24, 24, 24]


def test_counterparts_in_another_order_wait_for_their_turn() -> None:
    """What the candidate comes to later is kept until then, whatever without a counterpart stands in between."""
    kinds, colours = {"r": "relu", "t": "tanh", "s": "sigmoid"}, (1, 3, 4, 6)
    made = {name: step(kind, name, "image", shape=colours) for name, kind in kinds.items()}
    made |= {name: step("identity", name, "image", shape=colours) for name in "ij"}
    ours = depth_program(made["r"], made["t"], made["s"], grey())
    theirs = depth_program(made["s"], made["i"], made["t"], made["j"], made["r"], grey())
    signals, _ = measure_signals(ours, theirs, {0: 2, 2: 1, 4: 0, 5: 3}, pictures(10))
    assert [signal.noise for signal in signals] == [0.0] * 6
    assert [signal.power > 0 for signal in signals] == [True, False, True, False, True, True]


@pytest.mark.parametrize(
    ("gain", "dtype", "arithmetic", "beyond", "not_finite"),
    [
        (2000.0, "FLOAT16", "float32", 0, 0),  # 60,000
        (2300.0, "FLOAT16", "float32", 24, 0),  # 69,000
        (65504 / 30, "FLOAT16", "float32", 0, 0),  # the largest number
        (2300.0, "FLOAT16", "float16", 24, 24),
        (2300.0, "FLOAT32", "float32", 0, 0),
        (1200.0, "FLOAT16", "ane", 24, 24),  # 36,000
        (1000.0, "FLOAT16", "ane", 0, 0),
        (-2300.0, "FLOAT16", "float32", 24, 0),
        (math.nan, "FLOAT16", "float32", 24, 24),
        (math.nan, "FLOAT32", "float32", 24, 24),
    ],
)
def test_what_runs_over_is_counted(gain: float, dtype: str, arithmetic: str, beyond: int, not_finite: int) -> None:
    conv = grey(gain)
    program = replace(depth_program(replace(conv, outputs=(replace(conv.outputs[0], dtype=dtype),))), arithmetic=Arithmetic(arithmetic))
    (signal,), _ = measure_signals(program, program, {0: 0}, pictures(10))
    assert (signal.beyond, signal.not_finite, signal.elements) == (beyond, not_finite, 24)


@pytest.mark.parametrize(
    ("scale", "zero", "clipped"),
    [
        (0.1, None, 24),  # 15 is 150 steps
        (15 / 127, None, 0),
        (15 / 127.4, None, 0),  # rounds to 127
        (15 / 127.6, None, 24),
        (15 / 127.5, None, 0),  # half a step beyond
        (-15 / 128.5, None, 0),
        (15 / 120, 7, 0),
        (15 / 120, 8, 24),
        (-15 / 128.4, None, 0),
        (-15 / 128.6, None, 24),
    ],
)
def test_what_a_quantization_cannot_hold_is_counted(scale: float, zero: int | None, clipped: int) -> None:
    down, up = quantized("q", scale, "grey")
    if zero is not None:
        down, up = (replace(each, arguments=each.arguments | {"zero_point": torch.tensor(zero, dtype=torch.int8)}) for each in (down, up))
    program = depth_program(grey(), down, up)
    signals, _ = measure_signals(program, program, {0: 0}, pictures(10))
    assert [signal.clipped for signal in signals] == [0, clipped, 0]


@pytest.mark.parametrize("factor", [2, 3])
def test_multiples_inside_a_quantized_sum_are_no_noise(factor: int) -> None:
    down, up = quantized("q", 0.2, "grey", behind=0.2 * factor)
    ours = depth_program(grey(), step("relu", "r", "grey"), step("tanh", "y", "r"))
    theirs = depth_program(grey(), down, up, step("relu", "r", "q_up"), step("tanh", "y", "r"))
    signals, _ = measure_signals(ours, theirs, {0: 0, 3: 1}, pictures(10))
    assert signals[3].noise == pytest.approx(0, abs=1e-6)  # 30 by 2, 45 by 3
    assert signals[3].power == pytest.approx(24 * 15**2)
