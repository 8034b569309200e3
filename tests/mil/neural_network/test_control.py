"""Branches and loops of networks against the same written in Python."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.network import translate
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.neural_network.build import builder, close, load, random, run

with quiet_coremltools():
    from coremltools.models.neural_network import NeuralNetworkBuilder


def _inside(network: Any) -> Any:
    """A builder of a network inside a layer."""
    return NeuralNetworkBuilder(nn_spec=network, disable_rank5_shape_mapping=True)


def _number(b: Any, name: str, value: float) -> None:
    b.add_load_constant_nd(name, name, constant_value=np.array([value]), shape=(1,))


def _linear(b: Any, source: str, target: str, scale: float, offset: float) -> None:
    """Target = scale·source + offset, where target may be source itself."""
    step = f"{target}'{len(b.nn_spec.layers)}{id(b.nn_spec)}"
    b.add_activation(step, "LINEAR", source, step, params=[scale, offset])
    b.add_copy(f"{step} copy", step, target)


def _branch(b: Any, name: str, condition: str) -> tuple[Any, Any]:
    layer = b.add_branch(name, condition)
    return _inside(layer.branch.ifBranch), _inside(layer.branch.elseBranch)


# Statements that change the numbers a and b, as a network and in Python: ("linear", target, source, scale, offset),
# ("if", variable, bound, [...], [...]), ("for", rounds, [...]), ("while", variable, bound, [...]), "break", "continue".
_VARIABLES = st.sampled_from("ab")
_LINEAR = st.tuples(st.just("linear"), _VARIABLES, _VARIABLES, st.sampled_from((-1.0, 1.0, 2.0)), st.integers(-3, 3).map(float))


def _statements(depth: int, in_loop: bool) -> st.SearchStrategy[list[Any]]:
    kinds: list[st.SearchStrategy[Any]] = [_LINEAR]
    if in_loop:
        kinds += [st.just("break"), st.just("continue")]
    if depth:
        same, loops = _statements(depth - 1, in_loop), _statements(depth - 1, True)
        bound = st.integers(-4, 4).map(float)
        kinds.append(st.tuples(st.just("if"), _VARIABLES, bound, same, st.just([]) | same))
        kinds.append(st.tuples(st.just("for"), st.integers(1, 4), loops))
        kinds.append(st.tuples(st.just("while"), _VARIABLES, bound, loops))
    return st.lists(st.one_of(kinds), min_size=1, max_size=3)


def _meant(statements: Sequence[Any], values: dict[str, float]) -> str:
    """Run them; "break" or "continue" if one of them was met, else ""."""
    for statement in statements:
        if isinstance(statement, str):
            return statement
        kind, *details = statement
        if kind == "linear":
            target, source, scale, offset = details
            values[target] = float(np.clip(scale * values[source] + offset, -64, 64))
        elif kind == "if":
            left = _meant(details[2] if values[details[0]] > details[1] else details[3], values)
            if left:
                return left
        else:
            for _ in range(details[0] if kind == "for" else 5):
                if kind == "while" and not values[details[0]] > details[1]:
                    break
                if _meant(details[-1], values) == "break":
                    break
    return ""


def _build(b: Any, statements: Sequence[Any], path: str = "") -> None:
    for index, statement in enumerate(statements):
        name = f"{path}/{index}"
        if isinstance(statement, str):
            getattr(b, f"add_loop_{statement}")(name)
            continue
        kind, *details = statement
        if kind == "linear":
            target, source, scale, offset = details
            b.add_activation(name, "LINEAR", source, name, params=[scale, offset])
            b.add_clip(f"{name}c", name, f"{name}c", -64.0, 64.0)
            b.add_copy(f"{name}=", f"{name}c", target)
        elif kind == "if":
            b.add_greater_than(f"{name}?", [details[0]], f"{name}?", alpha=details[1])
            first, second = _branch(b, name, f"{name}?")
            _build(first, details[2], f"{name}t")
            _build(second, details[3], f"{name}f")
        else:
            layer = b.add_loop(name, max_iterations=details[0] if kind == "for" else 5)
            if kind == "while":
                layer.loop.conditionVar = f"{name}?"
                _inside(layer.loop.conditionNetwork).add_greater_than(f"{name}?", [details[0]], f"{name}?", alpha=details[1])
            _build(_inside(layer.loop.bodyNetwork), details[-1], f"{name}b")


_DOWN = ("linear", "a", "a", 1.0, -1.0)
_UP = ("linear", "b", "b", 1.0, 1.0)
#: Ends of a round and of a loop, in loops and branches of their own.
_EXITS: list[list[Any]] = [
    [("for", 4, [_UP, ("if", "b", 2.0, ["break"], []), _DOWN])],
    [("for", 4, [_UP, ("if", "b", 2.0, ["continue"], [_DOWN]), _DOWN])],
    [("while", "a", 0.0, [_DOWN, ("if", "a", 2.0, ["continue"], [("if", "a", 1.0, [_UP], ["break"])]), _UP])],
    [("for", 3, [("for", 4, [_UP, ("if", "b", 3.0, ["break"], []), _DOWN]), _UP, ("if", "a", 0.0, [], ["break", _UP])])],
    [("for", 3, [_DOWN, "break", _UP]), ("for", 3, [_UP, "continue", _DOWN])],
]


@pytest.mark.parametrize("statements", _EXITS)
@pytest.mark.parametrize(("a", "b"), [(4, 0), (1, -3)])
def test_rounds_and_loops_end_where_they_do_in_python(statements: list[Any], a: int, b: int) -> None:
    _compare(statements, a, b)


@settings(max_examples=25, deadline=None)
@given(statements=_statements(3, True).map(lambda body: [("for", 3, body)]), a=st.integers(-4, 4), b=st.integers(-4, 4))
def test_statements_do_what_they_do_in_python(statements: list[Any], a: int, b: int) -> None:
    _compare(statements, a, b)


def _compare(statements: list[Any], a: int, b: int) -> None:
    values = {"a": float(a), "b": float(b)}

    def body(network: Any) -> None:
        for name, source in (("a", "x0"), ("b", "x1")):
            network.add_copy(name, source, name)
        _build(network, statements)
        network.add_concat_nd("y", ["a", "b"], "y", axis=0)

    actual = run(body, np.array([a], np.float32), np.array([b], np.float32), exact=True)
    _meant(statements, values)
    close(actual, [values["a"], values["b"]], 0)


@pytest.mark.parametrize(("number", "expected"), [(1.0, [2.0, 4.0, 6.0]), (0.0, [1.0, 2.0, 3.0])])
def test_a_branch_without_an_else_leaves_what_was(number: float, expected: list[float]) -> None:
    def body(b: Any) -> None:
        b.add_copy("y", "x1", "y")
        first, _ = _branch(b, "branch", "x0")
        _linear(first, "x1", "y", 2.0, 0.0)

    close(run(body, np.array([number], np.float32), np.array([1, 2, 3], np.float32), exact=True), expected)


def test_branches_may_give_different_lengths() -> None:
    def body(b: Any) -> None:
        first, second = _branch(b, "branch", "x0")
        first.add_concat_nd("twice", ["x1", "x1"], "z", axis=0)
        second.add_copy("once", "x1", "z")
        b.add_unary("y", "z", "y", "abs")

    x = random(3)
    for number, expected in ((2, np.abs(np.concatenate([x, x]))), (0, np.abs(x))):
        close(run(body, np.array([number], np.float32), x, exact=True), expected)


def test_a_vector_grows_in_a_loop() -> None:
    def body(b: Any) -> None:
        b.add_copy("y", "x0", "y")
        inner = _inside(b.add_loop("loop", max_iterations=3).loop.bodyNetwork)
        inner.add_concat_nd("longer", ["y", "x0"], "longer", axis=0)
        inner.add_copy("again", "longer", "y")

    close(run(body, random(3), exact=True), np.tile(random(3), 4))
    built = builder({"x0": (3,)}, exact=True)
    body(built)
    assert load(built.spec).operations[-1].outputs[0].shape == (-1,)


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_the_number_of_rounds_may_be_an_input_and_what_no_round_gave_is_not_a_number(rounds: int) -> None:
    def body(b: Any) -> None:
        inner = _inside(b.add_loop("loop", input_name="x0", max_iterations=7).loop.bodyNetwork)
        inner.add_activation("double", "LINEAR", "x1", "double", params=[2.0, 0.0])
        b.add_activation("y", "LINEAR", "double", "y", params=[1.0, 1.0])

    x = random(2, 3)
    close(run(body, np.array([rounds], np.float32), x, exact=True), 2 * x + 1 if rounds else np.full((2, 3), np.nan))


def _counting(to: float, most: int = 0) -> Any:
    """A network that counts to a number, in as many rounds as it likes or in ``most``."""
    built = builder({"x0": (1,)}, exact=True)
    built.add_copy("y", "x0", "y")
    layer = built.add_loop("loop", max_iterations=most, condition="goes on")
    _inside(layer.loop.conditionNetwork).add_less_than("goes on", ["y"], "goes on", alpha=to)
    _linear(_inside(layer.loop.bodyNetwork), "y", "y", 1.0, 1.0)
    return built.spec


def test_numbers_count_beyond_what_half_precision_counts_to() -> None:
    close(load(_counting(2060), "float16").predict({"x0": np.array([2040], np.float32)})["y"], [2060])


def test_a_loop_counts_as_far_as_its_whole_numbers_go() -> None:
    """More rounds than an int32 holds are as many as it holds."""
    program = load(_counting(9, most=2**40))
    close(program.predict({"x0": np.array([3], np.float32)})["y"], [9])
    operations = [*program.operations]
    limits = []
    while operations:
        operation = operations.pop()
        operations += [each for block in operation.blocks for each in block.operations]
        limits += [float(operation.arguments["y"])] if operation.kind == "less" else []
    assert set(limits) == {9, 2**31 - 1}


def test_the_largest_eigenvalue_by_power_iteration_until_it_holds() -> None:
    matrix = np.array([[2, -6, 8], [-6, 4, 5], [8, 5, 3]], np.float32)

    def body(b: Any) -> None:
        b.add_copy("v", "x1", "v")
        inner = _inside(b.add_loop("loop", max_iterations=200).loop.bodyNetwork)
        inner.add_batched_mat_mul("w", ["x0", "v"], "w")
        inner.add_reduce_l2("norm", "w", "norm", axes=[0])
        inner.add_divide_broadcastable("u", ["w", "norm"], "u")
        inner.add_batched_mat_mul("cosine", ["u", "v"], "cosine", transpose_a=True)
        inner.add_copy("v=", "u", "v")
        inner.add_squeeze("c", "cosine", "c", squeeze_all=True)
        inner.add_unary("|c|", "c", "|c|", "abs")
        inner.add_greater_than("done", ["|c|"], "done", alpha=1 - 1e-7)
        first, _ = _branch(inner, "stop", "done")
        first.add_loop_break("break")
        b.add_batched_mat_mul("Av", ["x0", "v"], "Av")
        b.add_batched_mat_mul("y", ["v", "Av"], "y", transpose_a=True)

    values = np.linalg.eigvalsh(matrix)
    close(run(body, matrix, random(3, 1), exact=True), [[values[np.abs(values).argmax()]]], 1e-3)


def test_a_loop_takes_inputs_of_flexible_shapes() -> None:
    built = builder({"x0": (2, 3)}, exact=True)
    built.add_copy("y", "x0", "y")
    inner = _inside(built.add_loop("loop", max_iterations=2).loop.bodyNetwork)
    inner.add_add_broadcastable("sum", ["y", "x0"], "sum")
    inner.add_copy("y=", "sum", "y")
    array = built.spec.description.input[0].type.multiArrayType
    for low, high in ((1, 5), (3, 3)):
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    program = load(built.spec)
    for rows in (1, 2, 5):
        close(program.predict({"x0": random(rows, 3)})["y"], 3 * random(rows, 3))


def _refused(body: Any) -> str:
    built = builder({"x0": (1,)}, exact=True)
    body(built)
    with pytest.raises(MilError) as caught:
        load(built.spec)
    return str(caught.value)


def test_a_loop_that_never_says_when_it_ends_is_refused() -> None:
    def body(b: Any) -> None:
        _linear(_inside(b.add_loop("endless").loop.bodyNetwork), "x0", "y", 1.0, 1.0)

    assert "layer 'endless' (loop)" in _refused(body)
    assert "how often" in _refused(body)


def test_a_condition_that_its_network_does_not_give_is_named() -> None:
    def body(b: Any) -> None:
        layer = b.add_loop("loop", condition="other")
        _linear(_inside(layer.loop.conditionNetwork), "x0", "c", 1.0, 0.0)
        _linear(_inside(layer.loop.bodyNetwork), "x0", "y", 1.0, 1.0)

    assert "'other'" in _refused(body)


def test_a_break_outside_of_a_loop_is_refused() -> None:
    assert "layer 'out' (loopBreak)" in _refused(lambda b: b.add_loop_break("out"))


def test_another_number_of_axes_in_each_branch_is_refused() -> None:
    def body(b: Any) -> None:
        first, second = _branch(b, "branch", "x0")
        first.add_expand_dims("more", "x0", "y", axes=[0])
        second.add_copy("same", "x0", "y")

    assert "layer 'branch' (branch)" in _refused(body)


def test_what_one_branch_alone_gives_is_not_there_behind_it() -> None:
    def body(b: Any) -> None:
        first, _ = _branch(b, "branch", "x0")
        first.add_copy("once", "x0", "z")
        b.add_copy("y", "z", "y")

    assert "layer 'y' (copy)" in _refused(body)
    assert "'z'" in _refused(body)


def test_a_layer_that_no_translation_is_there_for_is_named_inside_of_a_loop_too() -> None:
    def body(b: Any) -> None:
        inner = _inside(b.add_loop("loop", max_iterations=2).loop.bodyNetwork)
        inner.nn_spec.layers.add(name="own", input=["x0"], output=["y"]).custom.className = "Mine"

    message = _refused(body)
    assert message.startswith("layer 'own' (custom)")
    assert "loop" not in message


def test_loops_in_loops_end_somewhere() -> None:
    def body(b: Any) -> None:
        b.add_copy("y", "x0", "y")
        for depth in range(6):
            b = _inside(b.add_loop(f"loop{depth}", max_iterations=2).loop.bodyNetwork)
        _linear(b, "y", "y", 1.0, 1.0)

    assert "layer 'loop5' (loop)" in _refused(body)


def _kinds(spec: Any) -> list[str]:
    """Kinds of all operators, those inside of others included."""
    operations, kinds = [*load(spec).operations], []
    while operations:
        operation = operations.pop()
        kinds.append(operation.kind)
        operations += [each for block in operation.blocks for each in block.operations]
    return kinds


@pytest.mark.parametrize(("number", "expected"), [(1.0, 2.0), (0.0, 3.0), (-2.0, 2.0)])
def test_a_branch_whose_number_is_known_is_taken_before_the_network_runs(number: float, expected: float) -> None:
    built = builder({"x0": (2,)}, exact=True)
    _number(built, "c", number)
    first, second = _branch(built, "branch", "c")
    _linear(first, "x0", "y", 2.0, 0.0)
    _linear(second, "x0", "y", 3.0, 0.0)
    assert "cond" not in _kinds(built.spec)
    close(load(built.spec).predict({"x0": random(2)})["y"], expected * random(2))


def test_what_the_second_branch_alone_gives_is_not_there_behind_it() -> None:
    def body(b: Any) -> None:
        _, second = _branch(b, "branch", "x0")
        second.add_copy("once", "x0", "z")
        b.add_copy("y", "z", "y")

    assert "reads 'z'" in _refused(body)


def test_a_branch_that_changes_nothing_costs_no_operator() -> None:
    built = builder({"x0": (1,)}, exact=True)
    first, _ = _branch(built, "branch", "x0")
    first.add_copy("once", "x0", "z")
    _linear(built, "x0", "y", 2.0, 0.0)
    assert "cond" not in _kinds(built.spec)


def test_a_break_behind_a_loop_is_refused() -> None:
    def body(b: Any) -> None:
        _linear(_inside(b.add_loop("loop", max_iterations=2).loop.bodyNetwork), "x0", "y", 1.0, 1.0)
        b.add_loop_break("out")

    assert "layer 'out' (loopBreak)" in _refused(body)


def test_loops_behind_each_other_are_not_deep_and_numbers_behind_them_are_rounded() -> None:
    built = builder({"x0": (1,)}, exact=True)
    built.add_copy("v", "x0", "v")
    for index in range(6):
        _linear(_inside(built.add_loop(f"loop{index}", max_iterations=2).loop.bodyNetwork), "v", "v", 1.0, 1.0)
    built.add_activation("y", "LINEAR", "x0", "y", [1.0, 1.0])
    program = load(built.spec, "float16")
    close(program.predict({"x0": np.array([2048], np.float32)})["y"], [2048])
    built.nn_spec.layers[-1].input[0] = "v"
    close(load(built.spec).predict({"x0": np.array([2.0], np.float32)})["y"], [15])


def test_five_loops_inside_of_one_another_are_translated() -> None:
    def body(b: Any) -> None:
        b.add_copy("y", "x0", "y")
        for depth in range(5):
            b = _inside(b.add_loop(f"loop{depth}", max_iterations=1 + depth % 2).loop.bodyNetwork)
        _linear(b, "y", "y", 1.0, 1.0)

    close(run(body, np.array([1.0], np.float32), exact=True), [5])


def test_a_loop_hands_round_what_others_read_and_what_it_changes() -> None:
    built = builder({"x0": (2,)}, exact=True)
    built.add_copy("y", "x0", "y")
    inner = _inside(built.add_loop("loop", max_iterations=3).loop.bodyNetwork)
    inner.add_unary("own", "y", "own", "abs")
    inner.add_activation("unread", "LINEAR", "own", "unread", params=[3.0, 0.0])
    _linear(inner, "own", "y", 2.0, 0.0)
    program = load(built.spec)
    (loop,) = (operation for operation in program.operations if operation.kind == "while_loop")
    assert len(loop.outputs) == 3  # y, how often it went round, and whether it goes on
    close(program.predict({"x0": random(2)})["y"], 8 * np.abs(random(2)))


def test_translating_a_loop_several_times_leaves_no_weights_behind() -> None:
    """A body is translated anew until the types of its variables stay."""
    built = builder({"x0": (3,)}, exact=True)
    built.add_copy("y", "x0", "y")
    inner = _inside(built.add_loop("loop", max_iterations=3).loop.bodyNetwork)
    inner.add_load_constant_nd("w", "w", constant_value=np.arange(100.0), shape=(100,))
    inner.add_concat_nd("longer", ["y", "w"], "longer", axis=0)
    inner.add_copy("again", "longer", "y")
    assert sum(array.size == 100 for array in translate(built.spec, "net").arrays) == 1


@pytest.mark.parametrize("x", [random(1, 3), random(2, 1)])
def test_what_no_round_gave_has_the_shape_that_a_round_would_give(x: Any) -> None:
    def body(b: Any) -> None:
        inner = _inside(b.add_loop("loop", input_name="x0").loop.bodyNetwork)
        inner.add_activation("y", "LINEAR", "x1", "y", params=[2.0, 0.0])

    for rounds, expected in ((0, np.full(x.shape, np.nan)), (2, 2 * x)):
        close(run(body, np.array([rounds], np.float32), x, exact=True), expected)


def test_what_no_round_gave_has_a_length_of_one_where_only_running_tells_it() -> None:
    built = builder({"x0": (1,), "x1": (2, 3)}, exact=True)
    inner = _inside(built.add_loop("loop", input_name="x0").loop.bodyNetwork)
    inner.add_activation("y", "LINEAR", "x1", "y", params=[2.0, 0.0])
    for low, high in ((1, 9), (3, 3)):
        built.spec.description.input[1].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    program, x = load(built.spec), random(4, 3)
    close(program.predict({"x0": np.array([0], np.float32), "x1": x})["y"], np.full((1, 3), np.nan))
    close(program.predict({"x0": np.array([1], np.float32), "x1": x})["y"], 2 * x)


@pytest.mark.parametrize(
    ("change", "sound"),
    [
        (lambda layer: layer.loop.__setattr__("maxLoopIterations", 0), True),
        (lambda layer: layer.loop.__setattr__("conditionVar", ""), False),
        (lambda layer: layer.loop.conditionNetwork.ClearField("layers"), False),
        (lambda layer: layer.loop.ClearField("conditionNetwork") or layer.loop.__setattr__("conditionVar", ""), True),
    ],
)
def test_a_loop_says_when_it_ends_by_a_number_or_a_condition_that_has_a_name(change: Any, sound: bool) -> None:
    spec = _counting(9, most=20)
    change(spec.neuralNetwork.layers[1])
    if not sound:
        with pytest.raises(MilError, match="how often it goes round"):
            load(spec)
        return
    (number,) = load(spec).predict({"x0": np.array([5], np.float32)})["y"]
    assert number == (9 if spec.neuralNetwork.layers[1].loop.conditionVar else 25)
