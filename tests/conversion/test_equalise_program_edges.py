"""Which channels share their factors, on programs of a few operators that nothing has optimised."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion import equalise_program as module
from fcrn_mobile.conversion.balance import Link
from fcrn_mobile.conversion.equalise_program import equalise_program, program_links
from fcrn_mobile.conversion.recipe import make_recipe
from tests.mil.build import ct, mb, types

SHAPE = (1, 3, 5, 6)
Body = Callable[[Any], Any]


def conv(x: Any, channels: int, name: str | None = None, groups: int = 1, **more: Any) -> Any:
    """A convolution whose weights are all different."""
    inner = x.shape[1] // groups
    weight = np.arange(1, channels * inner + 1).reshape(channels, inner, 1, 1).astype(types.nptype_from_builtin(x.dtype))
    return mb.conv(**({"x": x, "weight": weight, "groups": groups} | ({"name": name} if name else {}) | more))


def built(body: Body, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program as it is written; steps change it in place."""
    program = mb.program(input_specs=[mb.TensorSpec(shape=SHAPE)], opset_version=ct.target.iOS17)(lambda x: body(x))
    monkeypatch.setattr(module, "operations", lambda model: list(model.functions["main"].operations))
    monkeypatch.setattr(module, "changed", lambda model, change: change(model))
    return program


def links(body: Body, monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    return program_links(built(body, monkeypatch))[0]


Step = Callable[[Any, Any], Any]


def between(step: Step) -> Body:
    """A step from the result of a convolution, and the program's input, to what another reads."""

    def body(x: Any) -> Any:
        return conv(step(conv(x, 4), x), 2)

    return body


@pytest.mark.parametrize(
    "step",
    [
        lambda y, x: mb.relu(x=y),
        lambda y, x: mb.max_pool(x=y, kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid"),
        lambda y, x: mb.cast(x=y, dtype="fp16"),
        lambda y, x: mb.pad(x=y, pad=[1, 2, 3, 0]),
        lambda y, x: mb.pad(x=y, pad=[0, 0, 1, 1, 1, 1]),
        lambda y, x: mb.pad(x=y, pad=[0, 0, 0, 0, 1, 0, 0, 1]),
        lambda y, x: mb.pad(x=y, pad=[1, 1, 1, 1], mode="reflect", constant_val=0.5),
        lambda y, x: mb.concat(values=[y], axis=1),
        lambda y, x: mb.concat(values=[y], axis=-3, interleave=False),
    ],
)
def test_factors_pass(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    (link,) = links(between(step), monkeypatch)
    assert [len(side.rows) for side in (*link.givers, *link.readers)] == [4, 4]
    assert link.clip is None


@pytest.mark.parametrize(
    "step",
    [
        lambda y, x: mb.sigmoid(x=y),
        lambda y, x: mb.cast(x=mb.cast(x=y, dtype="int32"), dtype="fp32"),
        lambda y, x: mb.pad(x=y, pad=[1, 1, 1, 1], constant_val=0.5),
        lambda y, x: mb.pad(x=y, pad=[0, 1, 0, 0, 0, 0]),
        lambda y, x: mb.pad(x=y, pad=[0, 0, 1, 0, 0, 0, 0, 0]),
        lambda y, x: mb.pad(x=y, pad=[1, 0, 0, 0, 0, 0, 0, 0]),
        lambda y, x: mb.concat(values=[y, y], axis=2),
        lambda y, x: mb.concat(values=[y, y], axis=-1),
        lambda y, x: mb.concat(values=[y, y], axis=1, interleave=True),
        lambda y, x: mb.concat(values=[y, x], axis=1),
        lambda y, x: mb.add(x=y, y=np.float32(1)),
        lambda y, x: mb.add(x=y, y=conv(mb.reduce_mean(x=x, axes=[2, 3], keep_dims=True), 4)),
        lambda y, x: mb.relu6(x=mb.concat(values=[y, y], axis=1)),
        lambda y, x: conv(y, 4, groups=2),
        lambda y, x: conv(y, 8, groups=4),
        lambda y, x: conv(y, 4, weight=mb.add(x=np.ones((4, 4, 1, 1), np.float32), y=np.float32(1))),
        lambda y, x: conv(y, 4, bias=mb.add(x=np.ones(4, np.float32), y=np.float32(1))),
    ],
)
def test_factors_do_not_pass(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither into the step nor out of it."""
    assert links(between(step), monkeypatch) == []


def test_a_reader_of_joined_maps_reads_each_where_its_channels_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(x: Any) -> Any:
        a, b = conv(x, 4, "a"), conv(x, 6, "b")
        return conv(mb.concat(values=[a, b, a], axis=1), 2)

    first, second = links(body, monkeypatch)
    columns = np.arange(1, 29, dtype=np.float32).reshape(2, 14).T
    for link, places in ((first, (slice(0, 4), slice(10, 14))), (second, (slice(4, 10),))):
        assert [reader.rows[..., 0, 0].tolist() for reader in link.readers] == [columns[place].tolist() for place in places]
        assert {(reader.single, reader.size, reader.bias) for reader in link.readers} == {(False, 28, None)}


@pytest.mark.parametrize("channels", [2, 4])
def test_a_depthwise_convolution_ends_a_map_and_begins_another(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    into, out = links(lambda x: conv(conv(conv(x, channels), channels, groups=channels), 1), monkeypatch)
    (reader,), (giver,) = into.readers, out.givers
    assert reader.rows.shape == giver.rows.shape == (channels, 1, 1, 1)
    assert reader.rows.flatten().tolist() == list(range(1, channels + 1))
    assert reader.single and giver.single and not into.givers[0].single and not out.readers[0].single


def counts(found: list[Link]) -> list[tuple[int, int, int]]:
    """Of each link its givers, its readers, and the clips on the way."""
    return [(len(link.givers), len(link.readers), len(link.clip or ())) for link in found]


def test_maps_that_are_added_share_their_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    def sum_of_four(x: Any) -> Any:
        a, b, c, d = (conv(x, 4) for _ in range(4))
        return conv(mb.relu6(x=mb.add(x=mb.add(x=a, y=mb.relu6(x=b)), y=mb.add(x=mb.relu6(x=c), y=d))), 1)

    assert counts(links(sum_of_four, monkeypatch)) == [(4, 1, 3)]

    def itself(x: Any) -> Any:
        y = conv(x, 4)
        return conv(mb.add(x=y, y=y), 1)

    assert counts(links(itself, monkeypatch)) == [(1, 1, 0)]

    def read_before(x: Any) -> Any:
        a, b = conv(x, 4), conv(x, 4)
        return conv(a, 1), conv(b, 1), conv(mb.add(x=a, y=b), 1)

    assert counts(links(read_before, monkeypatch)) == [(2, 3, 0)]

    def joined(x: Any, *sizes: int) -> Any:
        return mb.concat(values=[conv(x, size) for size in sizes], axis=1)

    assert counts(links(lambda x: conv(mb.add(x=joined(x, 4, 6), y=joined(x, 4, 6)), 1), monkeypatch)) == [(2, 1, 0)] * 2
    assert counts(links(lambda x: conv(mb.add(x=joined(x, 4, 6), y=joined(x, 6, 4)), 1), monkeypatch)) == []


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("before", [False, True])
def test_what_fixes_one_fixes_all_that_it_is_added_to(side: int, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(x: Any) -> Any:
        maps = [conv(x, 4), conv(x, 4)]
        other = [mb.sigmoid(x=maps[side])] if before else []
        total = conv(mb.add(x=maps[0], y=maps[1]), 1)
        return total, *(other or [mb.sigmoid(x=maps[side])])

    assert links(body, monkeypatch) == []


def test_a_result_and_what_an_inner_block_reads_are_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    def result(x: Any) -> Any:
        y = conv(x, 4)
        return y, conv(y, 1)

    assert links(result, monkeypatch) == []

    def inside(x: Any) -> Any:
        y = conv(x, 4)
        count = mb.reduce_sum(x=x, axes=[0, 1, 2, 3], keep_dims=False)
        return conv(y, 1), mb.cond(pred=mb.greater(x=count, y=np.float32(0)), _true_fn=lambda: mb.exp(x=y), _false_fn=lambda: mb.sin(x=y))

    assert links(inside, monkeypatch) == []


def test_weights_of_two_convolutions_stay_and_a_bias_of_two_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(**names: tuple[int, ...]) -> Body:
        def body(x: Any) -> Any:
            more = {name: mb.const(val=np.ones(shape, np.float32)) for name, shape in names.items()}
            return conv(conv(x, 4, **more), 1), conv(conv(x, 4, **more), 2)

        return body

    assert counts(links(shared(weight=(4, 3, 1, 1)), monkeypatch)) == []
    assert counts(links(shared(bias=(4,)), monkeypatch)) == [(1, 1, 0)] * 2


def equalised(body: Body, factors: list[float], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Callable]:
    """A program after each map's channels were divided by factors, and how its weights are said to be stored."""
    schemes: list[Callable] = []

    def balance(found: list[Link], scheme_of: Callable, exact: bool) -> list[tuple[Link, torch.Tensor]]:
        schemes.append(scheme_of)
        assert exact, "powers of two change no digit"
        for link in found:
            for side in link.givers:
                side.rows.div_(torch.tensor(factors).view(-1, 1, 1, 1))
                if side.bias is not None:
                    side.bias.div_(torch.tensor(factors))
        return [(link, torch.tensor(factors)) for link in found]

    weights = [SimpleNamespace(name=name, names={name}) for name in ("a", "b")]
    program = built(body, monkeypatch)
    monkeypatch.setattr(module, "read_weights", lambda model: (weights, None))
    monkeypatch.setattr(module, "balance", balance)
    recipe = make_recipe({"precision": "int8", "min_elements": 12, "ops": [{"match": "b", "precision": "palette4"}]}, "test")
    equalise_program(program, recipe)
    return program, schemes[0]


def clipped(x: Any) -> Any:
    return conv(mb.relu6(x=conv(x, 4, "first"), name="clip"), 1)


@pytest.mark.parametrize(
    ("factors", "bound"), [([1.0] * 4, None), ([2.0] * 4, [3.0] * 4), ([1.0, 2, 4, 1], [6.0, 3, 1.5, 6]), ([2.0, 1, 2, 2], [3.0, 6, 3, 3])]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_clip_at_six_is_one_at_six_over_the_factor(
    factors: list[float], bound: list[float] | None, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ReLU6 of x, divided by f, is what ReLU6 makes of x / f below 6 / f."""
    program, _ = equalised(lambda x: clipped(mb.cast(x=x, dtype="fp16") if dtype is np.float16 else x), factors, monkeypatch)
    (clip,) = program.find_ops(op_type="relu6")
    if bound is None:
        assert clip.x.op.op_type == "conv"
    else:
        low = clip.x.op
        assert (low.op_type, low.name, low.x.op.op_type) == ("minimum", "clip_bound", "conv")
        assert (low.y.val.shape, low.y.val.dtype, low.y.val.flatten().tolist()) == ((1, 4, 1, 1), dtype, bound)


def test_weights_are_exchanged_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(x: Any) -> Any:
        weight = mb.const(val=np.full((4, 3, 1, 1), 8, np.float16), name="w")
        return conv(conv(mb.cast(x=x, dtype="fp16"), 4, weight=weight, bias=np.full(4, 4, np.float16)), 1)

    program, _ = equalised(body, [1.0, 2, 4, 8], monkeypatch)
    first, _ = program.find_ops(op_type="conv")
    assert (first.weight.name, first.weight.op.name, first.weight.val.dtype) == ("w", "w", np.float16)
    assert first.weight.val[:, 0, 0, 0].tolist() == [8, 4, 2, 1]
    assert first.bias.val.tolist() == [4, 2, 1, 0.5]
    names = [op.name for op in program.functions["main"].operations if op.op_type == "const"]
    assert names.count("w") == 1 and "w_equalised" not in names


def test_a_bias_of_two_convolutions_becomes_one_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(x: Any) -> Any:
        bias = mb.const(val=np.full(4, 8, np.float32), name="both")
        return conv(conv(x, 4, "one", bias=bias), 1), mb.sigmoid(x=conv(x, 4, "two", bias=bias))

    program, _ = equalised(body, [1.0, 2, 4, 8], monkeypatch)
    biases = {op.name: op.bias for op in program.find_ops(op_type="conv") if op.name in ("one", "two")}
    assert biases["one"].val.tolist() == [8, 4, 2, 1]
    assert biases["two"].val.tolist() == [8] * 4
    assert biases["two"].name == "both" != biases["one"].name


def test_a_weight_of_no_more_elements_than_the_least_stays_float(monkeypatch: pytest.MonkeyPatch) -> None:
    """What coremltools calls its threshold: above it a weight is compressed."""
    _, scheme_of = equalised(clipped, [1.0] * 4, monkeypatch)
    assert [scheme_of("a", size).name for size in (11, 12, 13)] == ["fp16", "fp16", "int8"]
    assert [scheme_of("b", size).name for size in (0, 1, 13)] == ["fp16", "palette4", "palette4"]
