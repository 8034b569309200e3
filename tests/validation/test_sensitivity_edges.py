"""Trials on programs of a few operators: their drift by hand, and the progress of their images."""

import pytest
import torch

from fcrn_mobile.validation.sensitivity import weight_drifts
from tests.validation.programs import depth_program, grey, pictures, step


def test_drifts_are_averaged_over_images_and_progress_counts_them() -> None:
    program = depth_program(grey(), step("add", "y", "grey", y=torch.tensor(5.0)))
    calls: list[tuple[int, int]] = []
    trials = [{}, {"grey": {"weight": torch.full((1, 3, 1, 1), 1.0)}}, {"y": {"y": torch.tensor(7.0)}}]
    none, doubled, raised = weight_drifts(program, pictures(10, 20), trials, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert none.abs_rel == 0
    assert doubled.abs_rel == pytest.approx((15 / 20 + 30 / 35) / 2)
    assert raised.abs_rel == pytest.approx((2 / 20 + 2 / 35) / 2)
    assert doubled.max_abs == pytest.approx(30)
