"""A program of one picture and one depth map: what it takes, what it gives, and what is none."""

from dataclasses import replace

import numpy as np
import pytest

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import FLOAT16
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule
from tests.mil.build import mb, save_program
from tests.validation.programs import SIZE, depth_program, grey, pictures


def test_a_picture_of_any_size_is_stretched_to_the_programs_own() -> None:
    program = depth_program(grey(0.5))
    assert program.input_size == SIZE
    taken = program.taking(np.full((40, 90, 3), 20, np.uint8))
    assert taken["image"].shape == (*SIZE, 3)
    depth = program.depth(program.predict(taken))
    assert depth.shape == SIZE
    np.testing.assert_array_equal(depth, 30.0)
    assert program.depth(program.predict(program.taking(pictures(4)[0])))[0, 0] == 6.0


def test_another_program_is_named(tmp_path) -> None:
    package = save_program(tmp_path, lambda x0: mb.relu(x=x0), [np.zeros((1, 3, 4, 4), np.float32)])
    with pytest.raises(InputError, match=r"'.+op.mlpackage' takes 'x0', FLOAT32 array 1×3×4×4: a depth model takes one RGB image"):
        DepthProgram.load(package)
    with pytest.raises(InputError, match="the candidate takes 'x0'"):
        DepthProgram.of(Program.load(package), "the candidate")


def test_it_stays_one_with_other_operators_and_weights() -> None:
    program = depth_program(grey(0.5))
    twice = program.with_constants({"grey": {"weight": 2 * program.operations[0].arguments["weight"]}})
    assert isinstance(twice, DepthProgram)
    assert isinstance(replace(program, arithmetic=FLOAT16), DepthProgram)
    assert DepthProgram.of(program, "it").operations is program.operations
    image = program.taking(pictures(4)[0])
    np.testing.assert_array_equal(twice.depth(twice.predict(image)), 2 * program.depth(program.predict(image)))


def test_an_output_that_is_no_map_is_named_when_it_ran() -> None:
    program = depth_program(grey())
    with pytest.raises(InputError, match="the model gave float32 1×3×4×6 when it ran"):
        program.depth({"grey": np.zeros((1, 3, *SIZE), np.float32)})
    with pytest.raises(InputError, match=r"'a.mlpackage' gave float32 scalar"):
        replace(program, title="'a.mlpackage'").depth({"grey": np.float32(0)})


def test_sizes_of_its_picture_are_counted_where_they_are_listed() -> None:
    program = depth_program(grey())
    (picture,) = program.inputs
    assert program.picture_sizes == (SIZE,)
    for rule, sizes in (
        (ShapeRule(SIZE, ((8, 12), SIZE, (2, 3))), (SIZE, (8, 12), (2, 3))),
        (ShapeRule(SIZE, ranges=((1, 9), (1, 9))), (SIZE,)),
    ):
        assert replace(program, inputs=(replace(picture, shapes=rule),)).picture_sizes == sizes
    shapes = tuple((1, 3, *size) for size in (SIZE, (8, 12)))
    array = Feature("image", "array", "FLOAT32", ShapeRule(shapes[0], shapes))
    contract = DepthContract(mean=(0, 0, 0), std=(1, 1, 1))
    assert replace(program, inputs=(array,), contract=contract).picture_sizes == (SIZE,)
