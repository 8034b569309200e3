"""States against running sums and a cache worked in NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.ops.states import Cell, read_state, write_state
from tests.mil.build import COVERED, mb, save_program


def accumulator(x0: Any, s0: Any) -> Any:
    """The sum of (what came before) and x, kept; as in coremltools' guide."""
    return mb.mul(x=mb.coreml_update_state(state=s0, value=mb.add(x=mb.read_state(input=s0), y=x0)), y=np.float16(1))


@pytest.fixture(scope="module")
def summing(tmp_path_factory: Any) -> Program:
    program = Program.load(save_program(tmp_path_factory.mktemp("s"), accumulator, [np.zeros(2, np.float16)], "iOS18", [(2,)]))
    assert {"read_state", "write_state"} <= {operation.kind for operation in program.operations}
    return program


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=6))
def test_a_state_accumulates_and_two_do_not_meet(summing: Program, steps: list[tuple[int, int]]) -> None:
    state, other = summing.make_state(), summing.make_state()
    for number in range(len(steps)):
        y = summing.predict({"x0": np.float16(steps[number])}, state=state)[summing.outputs[0].name]
        np.testing.assert_array_equal(y, np.sum(steps[: number + 1], 0))
        np.testing.assert_array_equal(state.read_state("s0"), y)
    np.testing.assert_array_equal(other.read_state("s0"), [0, 0])
    COVERED.update(("read_state", "write_state"))


def test_a_state_is_set_and_read(summing: Program) -> None:
    state = summing.make_state()
    state.write_state(name="s0", value=np.array([1.0, 0.1]))
    assert state.read_state(name="s0").tolist() == [1.0, float(np.float16(0.1))]
    copy = state.read_state("s0")
    copy[:] = 99
    result = summing.predict({"x0": np.float16([1, 1])}, state)[summing.outputs[0].name]
    np.testing.assert_array_equal(result, [2.0, np.float32(np.float16(0.1)) + 1])
    for wrong, message in [(np.zeros(3), "has shape 3"), (np.array(["a", "b"]), "give real numbers")]:
        with pytest.raises(MilError, match=message):
            state.write_state("s0", wrong)
    for action in (lambda: state.read_state("s9"), lambda: state.write_state("s9", np.zeros(2))):
        with pytest.raises(MilError, match="there is no state 's9': the program has s0"):
            action()


def test_a_program_with_states_wants_its_own(summing: Program, tmp_path: Path) -> None:
    x = {"x0": np.float16([1, 1])}
    for run in (summing.predict, summing.watch, summing.first_overflow, lambda inputs: list(summing.trace(inputs))):
        with pytest.raises(MilError, match=r"keeps the state 's0': give predict\(…, state=program.make_state\(\)\)"):
            run(x)
    plain = Program.load(save_program(tmp_path, lambda x0: mb.relu(x=x0), [np.zeros(2, np.float32)]))
    empty = plain.make_state()
    assert plain.predict(x, empty)[plain.outputs[0].name].tolist() == [1, 1]
    for program, state in ((summing, empty), (plain, summing.make_state())):
        with pytest.raises(MilError, match=r"other states: give its own make_state\(\)"):
            program.predict(x, state)


def test_a_run_that_fails_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    def body(x0: Any, s0: Any) -> Any:
        kept = mb.coreml_update_state(state=s0, value=mb.add(x=mb.read_state(input=s0), y=np.float16([1, 1, 1, 1])))
        return mb.gather(x=kept, indices=x0, axis=0, validate_indices=True)

    program = Program.load(save_program(tmp_path, body, [np.zeros(1, np.int32)], "iOS18", [(4,)]))
    state = program.make_state()
    program.predict({"x0": np.int32([0])}, state)
    with pytest.raises(MilError, match="operator 'gather'"):
        program.predict({"x0": np.int32([40])}, state)
    assert state.read_state("s0").tolist() == [1, 1, 1, 1]
    assert program.first_overflow({"x0": np.int32([0])}, state) is None
    assert state.read_state("s0").tolist() == [1, 1, 1, 1]
    assert len(list(program.trace({"x0": np.int32([0])}, state))) >= 3
    assert program.watch({"x0": np.int32([0])}, state)[1] is None
    assert state.read_state("s0").tolist() == [3, 3, 3, 3]


def test_a_cache_of_keys_and_values_gives_the_attention_of_the_whole_sequence(tmp_path: Path) -> None:
    """One token a step, written into its place of two states; against attention over all tokens so far."""
    rng = np.random.default_rng(0)
    steps, width = 5, 4
    tokens = rng.normal(size=(steps, 1, width)).astype(np.float16)
    projections = rng.normal(size=(3, width, width)).astype(np.float16)

    def step(x0: Any, x1: Any, s0: Any, s1: Any) -> Any:
        query, *kept = (mb.linear(x=x0, weight=weight, bias=np.zeros(width, np.float16)) for weight in projections)
        end = mb.concat(values=[mb.add(x=x1, y=np.int32([1])), np.int32([width])], axis=0)
        begin = mb.concat(values=[x1, np.int32([0])], axis=0)
        caches = [
            mb.coreml_update_state(state=state, value=mb.slice_update(x=mb.read_state(input=state), update=each, begin=begin, end=end))
            for state, each in zip((s0, s1), kept, strict=True)
        ]
        seen = [mb.slice_by_index(x=cache, begin=[0, 0], end=end) for cache in caches]
        scores = mb.softmax(x=mb.matmul(x=query, y=seen[0], transpose_y=True), axis=-1)
        return mb.matmul(x=scores, y=seen[1])

    path = save_program(tmp_path, step, [tokens[0], np.zeros(1, np.int32)], "iOS18", [(steps, width)] * 2)
    program = Program.load(path)
    state = program.make_state()
    for number in range(steps):
        ours = program.predict({"x0": tokens[number], "x1": np.int32([number])}, state=state)[program.outputs[0].name]
        query, keys, values = (
            torch.tensor(tokens[: number + 1, 0].astype(np.float32)) @ torch.tensor(weight.astype(np.float32)).T for weight in projections
        )
        expected = torch.softmax(query[-1:] @ keys.T, -1) @ values
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(state.read_state("s0")).min() > 0


def test_a_state_is_written_in_a_loop_and_in_the_branch_that_runs(tmp_path: Path) -> None:
    def body(x0: Any, s0: Any) -> Any:
        def counted(n: Any) -> Any:
            mb.coreml_update_state(state=s0, value=mb.add(x=mb.read_state(input=s0), y=np.float16([1])))
            return mb.add(x=n, y=np.float32(1))

        def doubled() -> Any:
            return mb.coreml_update_state(state=s0, value=mb.mul(x=mb.read_state(input=s0), y=np.float16([2])))

        mb.while_loop(_cond=lambda n: mb.less(x=n, y=x0), _body=counted, loop_vars=(np.zeros(1, np.float32),))
        return mb.cond(pred=mb.squeeze(x=mb.greater(x=x0, y=np.float32(2))), _true_fn=doubled, _false_fn=lambda: mb.read_state(input=s0))

    program = Program.load(save_program(tmp_path, body, [np.zeros(1, np.float32)], "iOS18", [(1,)]))
    state = program.make_state()
    for times, expected in ((2, 2), (3, 10), (0, 10)):
        assert program.predict({"x0": np.float32([times])}, state)[program.outputs[0].name] == [expected]
        assert state.read_state("s0") == [expected]


def test_a_state_takes_nothing_that_does_not_fit() -> None:
    cell = Cell(torch.zeros(2))
    for data in (torch.zeros(3), torch.zeros(2, dtype=torch.int32), "text"):
        with pytest.raises(MilError, match=r"writes .* into a state of torch\.float32 2"):
            write_state(cell, data)
    for action in (lambda: read_state(torch.zeros(2)), lambda: write_state(torch.zeros(2), torch.zeros(2))):
        with pytest.raises(MilError, match="no state"):
            action()
