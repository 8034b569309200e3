"""Loops and conditions against NumPy, torch and recurrences worked by hand; blocks see what stands before them."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from tests.mil.build import check_op, mb, run_op

ONE = np.float32(1)


@settings(max_examples=12, deadline=None)
@given(base=st.integers(-3, 3), times=st.integers(0, 7))
def test_a_loop_goes_round_while_its_condition_holds(base: int, times: int) -> None:
    """A power by repeated multiplication with a value of the program, which no variable of the loop carries."""

    def power(x0: Any, x1: Any) -> Any:
        result, _ = mb.while_loop(
            _cond=lambda result, done: mb.less(x=done, y=x1),
            _body=lambda result, done: (mb.mul(x=result, y=x0), mb.add(x=done, y=ONE)),
            loop_vars=(np.ones(1, np.float32), np.zeros(1, np.float32)),
        )
        return result

    check_op("while_loop", power, [np.float32([base]), np.float32([times])], np.float32([float(base) ** times]))


def test_a_recurrent_network_by_a_loop_is_torchs() -> None:
    torch.manual_seed(0)
    network = torch.nn.RNN(5, 4)
    sequence = torch.randn(7, 2, 5)
    expected, last = network(sequence)
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}

    def scan(x0: Any) -> Any:
        def body(step: Any, h: Any, outputs: Any) -> Any:
            x = mb.squeeze(x=mb.gather(x=x0, indices=mb.expand_dims(x=step, axes=[0]), axis=0), axes=[0])
            h = mb.add(
                x=mb.linear(x=x, weight=weights["weight_ih_l0"], bias=weights["bias_ih_l0"]),
                y=mb.linear(x=h, weight=weights["weight_hh_l0"], bias=weights["bias_hh_l0"]),
            )
            h = mb.tanh(x=h)
            return mb.add(x=step, y=1), h, mb.list_write(ls=outputs, index=step, value=h)

        outputs = mb.make_list(init_length=7, elem_shape=(2, 4), dynamic_length=False)
        _, h, outputs = mb.while_loop(
            _cond=lambda step, h, outputs: mb.less(x=step, y=mb.list_length(ls=outputs)),
            _body=body,
            loop_vars=(0, np.zeros((2, 4), np.float32), outputs),
        )
        return mb.list_gather(ls=outputs, indices=np.arange(7, dtype=np.int32)), h

    check_op("while_loop", scan, [sequence.numpy()], (expected.detach(), last[0].detach()))


def test_a_loop_in_a_loop_in_a_branch() -> None:
    """Sums of 1..n for n = 1..rows, each by a loop of its own, which reads a variable of the loop outside and an input."""

    def sums(x0: Any, x1: Any) -> Any:
        def row(n: Any, total: Any) -> Any:
            _, part = mb.while_loop(
                _cond=lambda k, part: mb.less_equal(x=k, y=n),
                _body=lambda k, part: (mb.add(x=k, y=ONE), mb.add(x=part, y=mb.mul(x=k, y=x1))),
                loop_vars=(ONE, np.float32(0)),
            )
            return mb.add(x=n, y=ONE), mb.add(x=total, y=part)

        def by_loops() -> Any:
            return mb.while_loop(_cond=lambda n, total: mb.less_equal(x=n, y=x0), _body=row, loop_vars=(ONE, np.float32(0)))[1]

        return mb.cond(pred=mb.greater(x=x1, y=np.float32(0)), _true_fn=by_loops, _false_fn=lambda: mb.mul(x=x0, y=x1))

    def scalars(x0: Any, x1: Any) -> Any:
        return mb.expand_dims(x=sums(mb.squeeze(x=x0), mb.squeeze(x=x1)), axes=[0])

    for rows, factor in ((5, 2.0), (1, 0.5), (4, -1.0)):
        expected = sum(factor * k for n in range(1, rows + 1) for k in range(1, n + 1)) if factor > 0 else rows * factor
        check_op("cond", scalars, [np.float32([rows]), np.float32([factor])], np.float32([expected]))


@pytest.mark.parametrize("positive", [True, False])
def test_a_branch_gives_several_results_some_of_them_from_outside_or_constant(positive: bool) -> None:
    x = np.float32([[3, -4]])
    chosen = np.float32([1 if positive else -1])

    def body(x0: Any, x1: Any) -> Any:
        outside = mb.relu(x=x0)
        pred = mb.squeeze(x=mb.greater(x=x1, y=np.float32(0)))
        one, two = mb.cond(
            pred=pred,
            _true_fn=lambda: (outside, mb.mul(x=outside, y=np.float32(2))),
            _false_fn=lambda: (mb.const(val=np.float32([[7, 8]])), x0),
        )
        return mb.add(x=one, y=ONE), mb.add(x=two, y=outside)

    expected = ([[4, 1]], [[9, 0]]) if positive else ([[8, 9]], [[6, -4]])
    check_op("cond", body, [x, chosen], [np.float32(each) for each in expected])


def test_variables_that_a_body_passes_on_or_exchanges() -> None:
    """Fibonacci numbers: each turn the variables change places."""

    def fibonacci(x0: Any) -> Any:
        zero = mb.sub(x=x0, y=x0)
        return mb.while_loop(
            _cond=lambda a, b, left, same: mb.greater(x=left, y=np.float32(0)),
            _body=lambda a, b, left, same: (b, mb.add(x=a, y=b), mb.sub(x=left, y=ONE), same),
            loop_vars=(zero, mb.add(x=zero, y=ONE), x0, x0),
        )

    check_op("while_loop", fibonacci, [np.float32([10])], [np.float32([value]) for value in (55, 89, 0, 10)])


def test_a_tensor_may_grow_in_a_loop() -> None:
    def grown(x0: Any) -> Any:
        return mb.while_loop(
            _cond=lambda rows: mb.less(x=mb.gather(x=mb.shape(x=rows), indices=0, axis=0), y=5),
            _body=lambda rows: mb.concat(values=[rows, x0], axis=0),
            loop_vars=(x0,),
        )

    check_op("while_loop", grown, [np.float32([[1, 2], [3, 4]])], np.float32([[1, 2], [3, 4]] * 3))


def test_a_truth_may_be_a_variable() -> None:
    """As coremltools writes loops of TorchScript: the body says whether it wants to go on."""

    def halved(x0: Any) -> Any:
        return mb.while_loop(
            _cond=lambda go, x: go,
            _body=lambda go, x: (
                mb.greater(x=mb.reduce_max(x=x, axes=[0], keep_dims=False), y=np.float32(2)),
                mb.mul(x=x, y=np.float32(0.5)),
            ),
            loop_vars=(True, x0),
        )[1]

    check_op("while_loop", halved, [np.float32([12, 3])], np.float32([0.75, 0.1875]))


def test_half_precision_rounds_inside_a_loop_as_outside() -> None:
    """1/3 added ten times, rounded each time; and beyond 65504 it runs over, at the operator inside."""

    def added(x0: Any) -> Any:
        third = np.float16(1 / 3)
        return mb.while_loop(
            _cond=lambda n, x: mb.less(x=n, y=10), _body=lambda n, x: (mb.add(x=n, y=1), mb.add(x=x, y=third)), loop_vars=(0, x0)
        )[1]

    start = np.float16([1000])
    rounded = start.copy()
    for _ in range(10):
        rounded = (rounded + np.float16(1 / 3)).astype(np.float16)
    _, (half,) = run_op(added, start, arithmetic="float16")
    _, (wide,) = run_op(added, start)
    assert half[0] == rounded[0] == 1005
    assert wide[0] == pytest.approx(1000 + 10 * float(np.float16(1 / 3)), abs=1e-3)


def test_a_condition_of_several_elements_is_refused() -> None:
    def body(x0: Any) -> Any:
        return mb.while_loop(_cond=lambda x: mb.less(x=x, y=ONE), _body=lambda x: mb.add(x=x, y=ONE), loop_vars=(x0,))

    with pytest.raises(MilError, match=r"operator 'while_loop' at '\w+': its condition has 2 elements, not one"):
        run_op(body, np.float32([0, 0]))
