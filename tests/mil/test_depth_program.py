"""A program of one picture and one depth map: what it takes, what it gives, and what is none."""

from dataclasses import fields, replace

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
from tests.mil.protobuf import named_constant, operation
from tests.mil.specifications import saved, written_program
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


def test_it_is_loaded_for_a_size_that_it_takes_and_says_otherwise_what_its_contract_says(tmp_path) -> None:
    kernel, conv = named_constant("w", [0.5] * 3, shape=(1, 3, 1, 1)), operation("conv", (1, 1, -1, -1), x="x", weight="w")
    made = written_program({"x": ("RGB", (4, 6))}, {"y": ("FLOAT32", [])}, {"x": (1, 3, -1, -1)}, kernel, conv)
    for height, width in (SIZE, (8, 12)):
        made.description.input[0].type.imageType.enumeratedSizes.sizes.add(height=height, width=width)
    path, config = saved(made, tmp_path), tmp_path / "other.toml"
    config.write_text('depth = "inverse"')
    assert (DepthProgram.load(path).input_size, DepthProgram.load(path).contract) == (SIZE, None)
    assert DepthProgram.load(path, model_config=config).contract == DepthContract(depth="inverse")
    assert DepthProgram.load(path, size=(8, 12)).contract == DepthContract(sizes=((8, 12),))
    larger = DepthProgram.load(path, model_config=config, size=(8, 12))
    assert (larger.input_size, larger.contract) == ((8, 12), DepthContract(depth="inverse", sizes=((8, 12),)))
    depth = larger.depth(larger.predict(larger.taking(np.full((5, 7, 3), 20, np.uint8))))
    np.testing.assert_array_equal(depth, np.full((8, 12), 30.0))
    with pytest.raises(InputError, match=r"made\.mlmodel' takes 'x', RGB image 4×6 or 8×12, not the 2×2"):
        DepthProgram.load(path, size=(2, 2))


def test_a_contract_that_is_given_counts_before_the_metadata_and_outputs_are_looked_at_again() -> None:
    program = depth_program(grey())
    plain = Program(**{item.name: getattr(program, item.name) for item in fields(Program)})
    contract = DepthContract(depth="inverse")
    assert DepthProgram.of(plain, "it", contract).contract is contract
    assert DepthProgram.of(plain, "it").contract is None
    assert DepthProgram.of(plain, "it", title="net").title == "net"
    for other in (replace(program, outputs=()), replace(plain, outputs=())):
        with pytest.raises(InputError, match=r"^it gives nothing"):
            DepthProgram.of(other, "it")
