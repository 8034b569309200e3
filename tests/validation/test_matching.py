"""Counterparts of operators, by name and by what they read, on programs of a few operators."""

from dataclasses import replace

import pytest
import torch

from fcrn_mobile.errors import InputError
from fcrn_mobile.validation.matching import match, plain_name, weight_name
from tests.validation.programs import depth_program, grey, quantized, step


@pytest.mark.parametrize("suffix", ["", "_cast_fp16", "_cast_fp32", "_to_fp16"])
def test_names_lose_what_half_precision_appends(suffix: str) -> None:
    assert plain_name(f"y{suffix}") == "y"


def test_names_lose_it_in_the_middle_too_and_nothing_else() -> None:
    assert plain_name("a_to_fp16_cast_fp16_b") == "a_b"
    assert plain_name("y_cast_fp8") == "y_cast_fp8"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("w_quantized", "w"),
        ("w_palettized_to_fp16", "w_palettized"),
        ("w_to_fp16_palettized", "w"),
        ("w_sparsified_quantized", "w"),
        ("w_pcs_x", "w_pcs_x"),
    ],
)
def test_weights_lose_what_compression_appends(name: str, plain: str) -> None:
    assert weight_name(replace(grey(), names={"weight": name})) == plain
    assert weight_name(replace(grey(), names={"bias": "b"})) == ""


def test_equal_names_kinds_and_shapes_are_pairs() -> None:
    ours = depth_program(grey(), step("relu", "a", "grey"), step("add", "y", "a", "grey"))
    theirs = depth_program(grey(0.7), step("relu", "a_cast_fp16", "grey"), step("add", "y_cast_fp16", "a_cast_fp16", "grey"))
    assert match(ours, theirs) == {0: 0, 1: 1, 2: 2}
    assert list(match(theirs, ours).items()) == [(0, 0), (1, 1), (2, 2)]


def test_another_kind_shape_stride_or_weight_s_shape_is_no_counterpart() -> None:
    ours = depth_program(grey(), step("relu", "a", "grey", alpha=torch.tensor(3)), step("add", "y", "a", "grey"))
    for changed in (
        step("tanh", "a", "grey", alpha=torch.tensor(3)),
        step("relu", "a", "grey", alpha=torch.tensor(4)),
        step("relu", "a", "grey", alpha=torch.tensor(3.0)),
        step("relu", "a", "grey", alpha=torch.tensor([3])),
        step("relu", "a", "grey", alpha=torch.tensor(3), shape=(1, 1, 2, 2)),
        step("relu", "a", "grey"),
    ):
        assert match(ours, depth_program(grey(), changed, step("add", "y", "a", "grey"))) == {0: 0, 2: 2}


def test_renamed_operators_are_found_by_what_they_read_in_turn() -> None:
    ours = depth_program(grey(), step("relu", "a", "grey"), step("tanh", "b", "a"), step("add", "y", "b", "grey"))
    theirs = depth_program(grey(), step("relu", "a_1", "grey"), step("tanh", "b_1", "a_1"), step("add", "y", "b_1", "grey"))
    assert match(ours, theirs) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_casts_and_quantizations_in_between_are_looked_through() -> None:
    ours = depth_program(grey(), step("relu", "a", "grey"), step("tanh", "b", "a"), step("add", "y", "b", "grey"))
    down, up = quantized("q", 0.1, "grey")
    theirs = depth_program(
        grey(), down, up, step("relu", "r", "q_up"), step("cast", "c", "r"), step("tanh", "t", "c"), step("add", "y", "t", "grey")
    )
    assert match(ours, theirs) == {0: 0, 3: 1, 5: 2, 6: 3}


def test_an_operator_of_the_network_s_own_is_not_looked_through() -> None:
    ours = depth_program(grey(), step("relu", "a", "grey"), step("tanh", "b", "a"))
    theirs = depth_program(grey(), step("relu", "a", "grey"), step("sigmoid", "new", "a"), step("tanh", "t", "new"))
    assert match(ours, theirs) == {0: 0, 1: 1}


def test_each_operator_stands_in_one_pair() -> None:
    ours = depth_program(grey(), step("relu", "a", "grey"), step("add", "y", "a", "grey"))
    theirs = depth_program(grey(), step("relu", "b", "grey"), step("relu", "c", "grey"), step("add", "y", "b", "c"))
    assert match(ours, theirs) == {0: 0, 1: 1, 3: 2}


@pytest.mark.parametrize(("shared", "sound"), [(1, True), (0, False)])
def test_a_quarter_of_the_smaller_program_has_to_be_there(shared: int, sound: bool) -> None:
    names = ["a", "b", "c", "d"]
    ours = depth_program(*(step("relu", name, "image") for name in names))
    theirs = depth_program(
        *(step("relu", name, "image", shape=(1, 1, 4, 6 if i < shared else 7)) for i, name in enumerate(names)), *[grey()]
    )
    if sound:
        assert match(ours, theirs)[0] == 0
    else:
        with pytest.raises(InputError, match="0 of the candidate's 5 operators are in the reference: give two exports"):
            match(ours, theirs)


def test_one_of_five_is_too_few() -> None:
    ours = depth_program(*(step("relu", name, "image") for name in "abcde"))
    theirs = depth_program(step("relu", "a", "image"), *(step("tanh", name, "image") for name in "bcdef"))
    with pytest.raises(InputError, match="1 of the candidate's 6 operators"):
        match(ours, theirs)
