"""Pairs of quantize and dequantize: where a tensor comes from, by which factor it is larger, and how they move to another program."""

from dataclasses import replace

import pytest
import torch

from fcrn_mobile.mil.operation import Operation, Reference
from fcrn_mobile.validation.quantized import gains, producers, quantize_inputs, quantizer
from tests.validation.programs import depth_program, grey, quantized, step


def given(*operations: Operation) -> dict[str, Operation]:
    return producers(depth_program(*operations))


def test_a_dequantized_tensor_comes_from_its_quantize() -> None:
    down, up = quantized("q", 0.1, "grey")
    pool = step("max_pool", "pooled", "q_down")
    later = step("dequantize", "late", "pooled", scale=torch.tensor(0.1))
    given_by = given(grey(), down, pool, up, later)
    assert quantizer("q_up", given_by) is down
    assert quantizer("late", given_by) is down
    for other in ("grey", "q_down", "pooled", "image", "unknown"):
        assert quantizer(other, given_by) is None
    lost = step("dequantize", "lost", "image", scale=torch.tensor(0.1))
    assert quantizer("lost", given(lost)) is None


def factors(*operations: Operation) -> dict[str, float]:
    return {name: round(value, 4) for name, value in gains(depth_program(*operations)).items()}


def pair(name: str, read: str, scale: float, behind: float) -> tuple[Operation, Operation]:
    return quantized(name, scale, read, behind)


def test_a_sum_of_multiples_is_a_multiple_until_it_is_scaled_back() -> None:
    a, b = pair("a", "grey", 0.1, 0.5), pair("b", "grey", 0.2, 1.0)
    total = step("add", "sum", "a_up", "b_up")
    behind = (step("relu", "r", "sum"), *pair("c", "r", 0.5, 0.1), step("tanh", "t", "r"))
    assert factors(grey(), *a, *b, total, *behind) == {"a_up": 5, "b_up": 5, "sum": 5, "r": 5, "c_down": 5}


@pytest.mark.parametrize(
    ("kind", "passes"), [("relu", True), ("max_pool", True), ("transpose", True), ("tanh", False), ("mul", False), ("conv", False)]
)
def test_only_operators_of_degree_one_pass_a_factor_on(kind: str, passes: bool) -> None:
    found = factors(grey(), *pair("a", "grey", 0.1, 0.3), step(kind, "y", "a_up"))
    assert found == {"a_up": 3.0} | ({"y": 3.0} if passes else {})


@pytest.mark.parametrize(
    ("behind", "expected"), [(0.1004, {}), (0.1006, {"a_up": 1.006}), (0.0996, {}), (0.0994, {"a_up": 0.994}), (0.1, {})]
)
def test_factors_within_half_precision_are_one(behind: float, expected: dict[str, float]) -> None:
    assert factors(grey(), *pair("a", "grey", 0.1, behind)) == expected


@pytest.mark.parametrize(("other", "joined"), [(0.5, 5.0), (0.502, 5.0), (0.51, None), (0.1, None), (1.0, None)])
def test_inputs_of_other_factors_have_no_common_one(other: float, joined: float | None) -> None:
    found = factors(grey(), *pair("a", "grey", 0.1, 0.5), *pair("b", "grey", 0.1, other), step("add", "sum", "a_up", "b_up"))
    assert found.get("sum") == joined


def test_scales_per_channel_say_no_factor() -> None:
    down, up = pair("a", "grey", 0.1, 0.5)
    several = replace(up, arguments=up.arguments | {"scale": torch.tensor([0.5, 0.6])})
    assert factors(grey(), down, several) == {}
    assert factors(step("dequantize", "y", "image", scale=torch.tensor(0.5))) == {}


def test_quantized_inputs_are_put_before_the_float_operator() -> None:
    down, up = pair("q", "grey_16", 0.3, 0.3)
    zero = {"zero_point": torch.tensor(3), "axis": torch.tensor(1)}
    down = replace(down, arguments=down.arguments | zero | {"other": 7})
    ours, theirs = step("mul", "y", "grey", "image", alpha=torch.tensor(2.0)), step("mul", "y", "q_up", "image")
    made = quantize_inputs(ours, theirs, given(down, up), {"grey_16": 3.0}, {"grey": (1, 1, 4, 6)})
    first, second = made.inserted
    assert (first.kind, second.kind) == ("quantize", "dequantize")
    assert first.arguments["input"] == Reference("grey")
    assert second.arguments["input"] == Reference(first.name)
    assert made.operation.arguments["x"] == Reference(second.name)
    assert made.operation.arguments["y"] == Reference("image")
    assert made.operation.arguments["alpha"] is ours.arguments["alpha"]
    for each in made.inserted:
        assert float(each.arguments["scale"]) == pytest.approx(0.1)
        assert (int(each.arguments["zero_point"]), int(each.arguments["axis"])) == (3, 1)
        assert each.outputs[0].shape == (1, 1, 4, 6)
    assert set(first.arguments) == {"input", "output_dtype", "scale", "zero_point", "axis"}
    assert set(second.arguments) == {"input", "scale", "zero_point", "axis"}
    assert (first.outputs[0].dtype, second.outputs[0].dtype) == ("INT8", "FLOAT32")


def test_the_picture_s_shape_is_not_known() -> None:
    down, up = quantized("q", 0.3, "image")
    made = quantize_inputs(step("relu", "y", "image"), step("relu", "y", "q_up"), given(down, up), {}, {})
    assert [each.outputs[0].shape for each in made.inserted] == [(-1, -1, -1, -1)] * 2


def test_lists_of_inputs_are_gone_through() -> None:
    a, b = quantized("a", 0.3, "one"), quantized("b", 0.3, "two")
    ours = Operation("concat", {"values": (Reference("one"), Reference("two"), 5)}, step("relu", "y", "one").outputs)
    theirs = replace(ours, arguments={"values": (Reference("a_up"), Reference("b_up"), 5)})
    made = quantize_inputs(ours, theirs, given(*a, *b), {}, {})
    assert [each.kind for each in made.inserted] == ["quantize", "dequantize"] * 2
    assert made.operation.arguments["values"] == (Reference("one_dequantized"), Reference("two_dequantized"), 5)
    shorter = replace(ours, arguments={"values": (Reference("a_up"),)})
    assert quantize_inputs(ours, shorter, given(*a, *b), {}, {}).inserted == ()


def test_what_is_a_constant_on_one_side_stays_as_it_is() -> None:
    down, up = quantized("q", 0.3, "grey")
    ours, theirs = step("add", "y", "grey", "grey"), step("add", "y", "q_up", y=torch.tensor(1.0))
    made = quantize_inputs(ours, theirs, given(grey(), down, up), {}, {})
    assert [each.kind for each in made.inserted] == ["quantize", "dequantize"]
    assert made.operation.arguments["y"] == Reference("grey")
    lacking = quantize_inputs(ours, step("add", "y", "q_up"), given(grey(), down, up), {}, {})
    assert lacking.operation.arguments["y"] == Reference("grey")
    turned = quantize_inputs(theirs, ours, given(grey(), down, up), {}, {})
    assert turned.inserted == () and turned.operation.arguments["y"] is theirs.arguments["y"]


def test_what_reads_nothing_has_no_factor() -> None:
    assert factors(Operation("identity", {"x": torch.ones(2)}, step("identity", "one").outputs), grey()) == {}


def test_what_is_not_quantized_stays_as_it_is() -> None:
    ours = step("relu", "y", "grey")
    assert quantize_inputs(ours, ours, given(grey()), {}, {}).inserted == ()
    assert quantize_inputs(ours, ours, given(grey()), {}, {}).operation == ours
