"""What an attribution says of its operators, its progress, and programs that it refuses: two programs of three operators by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcrn_mobile.data import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import FLOAT16, FLOAT32
from fcrn_mobile.mil.operation import Operation
from fcrn_mobile.validation.attribution import Attribution, attribute, spread
from fcrn_mobile.validation.fidelity import FidelityValues
from tests.validation.programs import SIZE, depth_program, grey, pictures, quantized, step
from tests.validation.test_suspect_edges import op, own

LEVELS = (10, 20, 30)


def network(gain: float = 0.5, size: tuple[int, int] = SIZE, *between: Operation, read: str = "grey") -> Program:
    """The sum of the colours times a gain, cut off at zero, plus one."""
    return depth_program(
        grey(gain), *between, step("relu", "positive", read), step("add", "depth", "positive", y=torch.tensor(1.0)), size=size
    )


def test_an_attribution_by_hand() -> None:
    result = attribute(network(), network(0.505), pictures(10))
    grey, positive, depth = result.ops
    # 15 becomes 15.15: a hundredth, 40 dB, and 16 becomes 16.15.
    assert (grey.snr_db, positive.snr_db) == (pytest.approx(40, abs=1e-3), pytest.approx(40, abs=1e-3))
    assert depth.snr_db == pytest.approx(20 * math.log10(16 / 0.15), abs=1e-3)
    assert [op.input_snr_db for op in result.ops] == [math.inf, grey.snr_db, positive.snr_db]
    assert grey.own is not None
    assert grey.own.drift == pytest.approx(0.15 / 16, rel=1e-4)
    assert result.fidelity.abs_rel == pytest.approx(grey.own.drift)
    assert grey.own.weight_snr_db == pytest.approx(40, abs=1e-3)
    assert (positive.own, depth.own, result.reference_only) == (None, None, 0)
    assert result.suspect is not None
    assert (result.suspect.name, result.images, result.arithmetic) == ("grey", 1, FLOAT32)
    assert [op.weights for op in result.ops] == ["grey_weight", "", ""]
    assert [op.clipped for op in result.ops] == [0.0, 0.0, 0.0]


def test_what_a_quantization_cuts_off_is_told_of_it_and_of_its_readers() -> None:
    down, up = quantized("q", 0.1, "grey")  # 15 is 150 steps
    result = attribute(network(), network(0.5, SIZE, down, up, read="q_up"), pictures(10))
    assert [each.name for each in result.ops] == ["grey", "q_down", "q_up", "positive", "depth"]
    assert [each.clipped for each in result.ops] == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert [each.matched for each in result.ops] == [True, False, False, True, True]
    # What stands between inherits the ratio of what it reads.
    assert [each.input_snr_db for each in result.ops[:4]] == [math.inf] * 4
    assert result.reference_only == 0


def test_of_several_quantized_inputs_the_one_that_lost_most_counts() -> None:
    some, all_of_it = quantized("a", 15 / 127, "grey"), quantized("b", 0.1, "grey")
    both = step("add", "both", "a_up", "b_up")
    ours = network(0.5, SIZE, step("add", "both", "grey", "grey"), read="both")
    result = attribute(ours, network(0.5, SIZE, *some, *all_of_it, both, read="both"), pictures(10))
    assert {each.name: each.clipped for each in result.ops} == {
        **dict.fromkeys(("grey", "a_down", "a_up", "positive", "depth"), 0.0),
        **dict.fromkeys(("b_down", "b_up", "both"), 1.0),
    }


def test_an_operator_that_reads_nothing_has_lost_nothing() -> None:
    made = Operation("fill", {"shape": torch.tensor([1, 1, *SIZE]), "value": torch.tensor(2.0)}, step("fill", "two").outputs)
    ours = network(0.5, SIZE, made, step("add", "both", "grey", "two"), read="both")
    result = attribute(ours, ours, pictures(10))
    assert [each.clipped for each in result.ops] == [0.0] * 5
    assert [each.input_snr_db for each in result.ops] == [math.inf] * 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_progress_counts_each_image_twice(count: int) -> None:
    calls: list[tuple[int, int]] = []
    attribute(network(), network(0.51), pictures(*LEVELS[:count]), lambda done, total: calls.append((done, total)))
    assert calls == [(done, 2 * count) for done in range(1, 2 * count + 1)]


def test_other_sizes_and_other_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="the reference takes 4×6 pixels, the candidate 6×4"):
        attribute(network(), network(0.5, (6, 4)), pictures(10))
    with pytest.raises(InputError, match="no images"):
        attribute(network(), network(), [])
    two = replace(network(), outputs=network().outputs * 2)
    for programs, words in [((two, network()), "the reference gives 2 tensors"), ((network(), two), "the candidate gives 2 tensors")]:
        with pytest.raises(InputError, match=words):
            attribute(*programs, pictures(10))
    none = replace(network(), inputs=())
    with pytest.raises(InputError, match="the candidate takes nothing: a depth model takes one RGB image"):
        attribute(network(), none, pictures(10))


def test_the_steepest_and_the_worst_are_found() -> None:
    ops = (
        op("a", snr_db=55.0, own=own(0.1)),
        op("b", snr_db=20.0),
        op("c", snr_db=40.0, own=own(0.3)),
        op("d", snr_db=None, matched=False),
        op("e", snr_db=20.0, own=own(0.2)),
    )
    found = Attribution(ops, FidelityValues(0.1, 1, 1, 1), None, 2, 3, FLOAT16)
    assert found.steepest.name == "b"
    assert [each.name for each in found.worst] == ["c", "e", "a"]
    assert [each.name for each in found.matched] == ["a", "b", "c", "e"]
    value = found.to_json()
    assert value["unmatched"] == {"candidate": 1, "reference": 2}
    assert (value["suspect"], value["steepest"], value["worst"], value["images"]) == (None, "b", ["c", "e", "a"], 3)
    assert [each["fall_db"] for each in value["ops"]] == [each.fall_db for each in ops]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (2, [0, 4]), (3, [0, 2, 4]), (4, [0, 1, 3, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_frames_lie_evenly_with_the_first_and_the_last(count: int, expected: list[int]) -> None:
    frames = [Sample(np.full((2, 2, 3), index, np.uint8), np.ones((2, 2), np.float32), str(index)) for index in range(5)]
    assert [int(image[0, 0, 0]) for image in spread(frames, count)] == expected
    with pytest.raises(InputError, match="no frame"):
        spread([], count)
