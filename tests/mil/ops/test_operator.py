"""What is recorded of every operator, held against what it does, against torch's count and against coremltools."""

import ast
import inspect
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import fcrn_mobile
from fcrn_mobile.mil.costs import largest_shape, macs
from fcrn_mobile.mil.declared import Declarations
from fcrn_mobile.mil.ops import MIL, OPERATORS, kinds
from tests.mil.build import types  # before the registry, so that coremltools is quiet
from tests.mil.ops.cases import CASES, EXPANDED, READ, changed, ran, t, tensors
from tests.mil.protobuf import constant, named_constant, operation, tensor_type

from coremltools.converters.mil.mil.input_type import PyFunctionInputType, TupleInputType  # isort: skip
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry  # isort: skip
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY  # isort: skip

assert types
RUN = [kind for kind in OPERATORS if kind in MIL and not kind.startswith(EXPANDED)]
#: Their biases are added inside of an activation.
RECURRENT = {"gru", "lstm", "rnn"}
EACH = [pytest.param(kind, case, id=f"{kind}-{number}") for kind, cases in CASES.items() for number, case in enumerate(cases)]


def results(kind: str, case: dict[str, Any]) -> list[Tensor]:
    return tensors(ran(kind, case))


def same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 0.0) -> bool:
    return all(
        torch.allclose(a, b, rtol=tolerance, atol=0, equal_nan=True) if a.is_floating_point() else torch.equal(a, b)
        for a, b in zip(ours, theirs, strict=True)
    )


def commutes(kind: str, case: dict[str, Any], function: Any, tolerance: float = 0.0) -> bool:
    """Whether it is the same to apply a function to what is read, and to the result."""
    after = [function(value) if value.is_floating_point() else value for value in results(kind, case)]
    return same(results(kind, changed(case, function)), after, tolerance)


def observed(kind: str, case: dict[str, Any]) -> set[str]:
    """What is seen of an operator's results."""
    floats = [value for value in results(kind, case) if value.is_floating_point()]
    seen = {"exact"} if all(torch.equal(value.nan_to_num(), value.half().float().nan_to_num()) for value in floats) else set()
    if not floats or not any(value.is_floating_point() and value.dim() for key in set(case) & READ for value in tensors(case[key])):
        return seen
    if commutes(kind, case, lambda x: 4 * x, 1e-5):
        seen.add("scaled")
    if {"exact", "scaled"} <= seen and commutes(kind, case, lambda x: x**3 + x):
        seen.add("picked")
    if "picked" in seen and commutes(kind, case, lambda x: x * x - 0.25 * x):
        seen.add("moved")
    return seen


def test_every_operator_has_a_case() -> None:
    assert sorted(CASES) == sorted(RUN), "a new operator needs arguments in cases.py, on which its record is tried"


@pytest.mark.parametrize("kind", RUN)
def test_results_are_what_is_recorded(kind: str) -> None:
    seen = set.intersection(*(observed(kind, case) for case in CASES[kind]))
    expected = next((name for name in ("moved", "picked", "exact", "scaled") if name in seen), "computed")
    assert OPERATORS[kind].results == ("computed" if kind == "classify" else expected)


@pytest.mark.parametrize("kind", sorted(kinds(lambda operator: operator.channelwise)))
def test_channels_keep_their_factors(kind: str) -> None:
    """Powers of two, so that rounding is not changed; on the cases of several channels, of which there has to be one."""
    cases = [case for case in CASES[kind] if case["x"].is_floating_point() and case["x"].dim() > 1 and case["x"].shape[1] > 1]
    assert cases
    for case in cases:
        factors = 2.0 ** torch.arange(case["x"].shape[1]).reshape(-1, *[1] * (case["x"].dim() - 2))
        scaled = results(kind, case | {"x": case["x"] * factors})
        assert same(scaled, [value * factors if value.is_floating_point() else value for value in results(kind, case)], 1e-5)


def test_operators_through_which_a_factor_of_a_channel_moves() -> None:
    pools = {"avg_pool", "l2_pool", "max_pool"}
    resized = {f"resize{how}" for how in ("", "_bilinear", "_nearest_neighbor")} | {"upsample_bilinear", "upsample_nearest_neighbor"}
    assert kinds(lambda operator: operator.channelwise) == pools | resized | {"identity", "leaky_relu", "prelu", "relu"}


def test_expanded_constants_are_rounded_as_any_result() -> None:
    assert {OPERATORS[kind].results for kind in MIL - set(RUN)} == {"computed"}


@pytest.mark.parametrize(("kind", "case"), EACH)
def test_a_fresh_result_is_a_tensor_of_its_own(kind: str, case: dict[str, Any]) -> None:
    taken = {value.untyped_storage().data_ptr() for value in tensors(case)}
    if any(value.untyped_storage().data_ptr() in taken for value in results(kind, case)):
        assert not OPERATORS[kind].fresh


def test_results_that_take_long_to_round_are_overwritten() -> None:
    products = kinds(lambda operator: operator.is_product) - {"einsum"}  # of one operand it is a view
    usual = {"add", "batch_norm", "gelu", "layer_norm", "mul", "real_div", "sigmoid", "silu", "softmax", "sub"}
    assert kinds(lambda operator: operator.fresh) == products | usual


def declared(kind: str, case: dict[str, Any]) -> tuple[Any, Declarations]:
    """An operator as a specification has it: small constants with their values, everything else with its shape."""
    types, known, inputs = {}, [], {}
    for key, value in case.items():
        many = value if isinstance(value, tuple) else (value,)
        if key not in READ and isinstance(value, Tensor) and value.numel() <= 32:
            inputs[key] = constant(value.flatten().tolist() if value.dim() else value.item(), tuple(value.shape))
        elif isinstance(value, bool | int | float):
            inputs[key] = value
        elif isinstance(value, str):
            known.append(named_constant(key, [0]))
            known[-1].attributes["val"].immediateValue.tensor.strings.values.append(value)
            inputs[key] = key
        elif all(isinstance(item, Tensor) for item in many):
            inputs[key] = [f"{key}{number}" for number in range(len(many))]
            types |= {f"{key}{number}": tensor_type(item.shape) for number, item in enumerate(many)}
    given = results(kind, case)
    declarations = Declarations(types)
    for each in known:
        declarations.learn(each)
    return operation(kind, given[0].shape if given else (), **inputs), declarations


@pytest.mark.parametrize(("kind", "case"), EACH)
def test_a_result_that_outgrows_its_inputs_is_foretold(kind: str, case: dict[str, Any]) -> None:
    if OPERATORS[kind].blocks:
        return  # results come out of operators inside, which foretell theirs
    largest = max((value.numel() for value in results(kind, case)), default=0)
    foretold = largest_shape(*declared(kind, case))
    if foretold is None:
        read = [value for value in tensors(case) if value.numel()]
        most = sum(value.numel() for value in read) * max((value.dim() for value in read), default=1)  # an index has a number per axis
        ranks = [max((value.dim() for value in group), default=0) for group in (results(kind, case), tensors(case))]
        assert largest <= most, "its record says nothing of its size: give 'grows'"
        assert ranks[0] <= max(1, ranks[1]), "its record says nothing of its rank: give 'grows'"
        assert "pad" not in inspect.signature(OPERATORS[kind].run).parameters, "its record says nothing of its padded input: give 'grows'"
    elif kind not in ("expand_dims", "reshape"):  # of which only the rank can be absurd
        assert largest <= max(math.prod(foretold) + 1, max(value.numel() for value in tensors(case)))
    else:
        assert len(foretold) == results(kind, case)[0].dim()


def test_every_rule_of_growth_is_needed() -> None:
    """Each is the only thing that foretells a case, or holds a rank or a broadcast."""
    growing = {
        kind
        for kind, cases in CASES.items()
        for case in cases
        if max((value.numel() for value in results(kind, case)), default=0) > max((value.numel() for value in tensors(case)), default=0)
        or max((value.dim() for value in results(kind, case)), default=0) > max((value.dim() for value in tensors(case)), default=0)
    }
    padded = {"reshape", "avg_pool", "l2_pool", "scaled_dot_product_attention"}
    logical = {kind for kind in RUN if kind.startswith("logical_")}
    assert kinds(lambda operator: operator.grows is not None) - padded - logical <= growing


@pytest.mark.parametrize(("kind", "case"), EACH)
def test_multiply_accumulates_are_what_torch_counts(kind: str, case: dict[str, Any]) -> None:
    proto, declarations = declared(kind, case)
    with FlopCounterMode(display=False) as counter:
        ran(kind, case)
    # An affine operator's coordinates are computed by a matrix product here, which is none of the network's.
    expected = 0 if kind == "affine" else counter.get_total_flops() / 2
    if kind == "conv_transpose":
        expected = case["x"].numel() * case["weight"][0].numel()  # torch does not count what is cut off
    if kind == "einsum":
        terms = zip(case["equation"].partition("->")[0].split(","), case["values"], strict=True)
        expected = math.prod({index: length for term, value in terms for index, length in zip(term, value.shape, strict=True)}.values())
    assert macs(proto, declarations) == expected
    assert OPERATORS[kind].is_product == (expected > 0)


def test_every_operator_of_coremltools_runs_with_every_input_of_every_version() -> None:
    """Constants are no operators; ``write_state`` is what its writer makes of ``coreml_update_state``."""
    assert set(SSAOpRegistry.core_ops) - {"const", "_const_symbolic"} == MIL - {"write_state"}
    for kind in MIL & set(SSAOpRegistry.core_ops):
        taken = set(inspect.signature(OPERATORS[kind].run).parameters)
        for target, version in SSAOpRegistry.core_ops[kind].items():
            written = {name for name in version.input_spec.input_types if not name.startswith("_")}  # others are the builder's own
            assert written <= taken, f"{kind} of {target} has inputs that this runtime lacks: {written - taken}"


def test_the_operator_set_that_brought_it_is_that_of_coremltools() -> None:
    """Coremltools counts versions of the specification, which have a number more than the operator set of the same system."""
    first = {kind: max(5, min(target.value for target in versions) - 1) for kind, versions in SSAOpRegistry.core_ops.items()}
    assert {kind: OPERATORS[kind].since for kind in MIL - {"write_state"}} == {kind: first[kind] for kind in MIL - {"write_state"}}
    assert OPERATORS["write_state"].since == OPERATORS["read_state"].since


def test_versions_that_differ_are_told_the_operator_set() -> None:
    versioned = kinds(lambda operator: operator.versioned)
    assert versioned == {kind for kind, operator in OPERATORS.items() if "opset" in inspect.signature(operator.run).parameters}
    assert versioned == {"reshape", *(f"{what}{how}" for what in ("gather", "scatter") for how in ("", "_along_axis", "_nd"))}
    assert all(len(SSAOpRegistry.core_ops[kind]) > 1 for kind in versioned), "coremltools has one version of it"


def test_lists_are_those_of_coremltools() -> None:
    for kind, operator in ((kind, OPERATORS[kind]) for kind in MIL):
        versions = [version.input_spec.input_types for version in SSAOpRegistry.core_ops.get(kind, {}).values()]
        lists = {name for version in versions for name, declared in version.items() if isinstance(declared, TupleInputType)}
        assert set(operator.lists) == lists, kind


def test_blocks_are_those_of_coremltools() -> None:
    """It builds one of each function that it is given; those of a loop take its variables."""
    for kind, operator in OPERATORS.items():
        declared = {
            name: spec for each in SSAOpRegistry.core_ops.get(kind, {}).values() for name, spec in each.input_spec.input_types.items()
        }
        functions = [name for name, spec in declared.items() if isinstance(spec, PyFunctionInputType)]
        assert len(operator.blocks) == len(functions), kind
        assert {block.takes for block in operator.blocks} <= {"", *operator.lists}


def test_only_a_state_is_written_without_a_result() -> None:
    assert kinds(lambda operator: operator.writes) == {"write_state"} == MIL - set(SSAOpRegistry.core_ops)


@pytest.mark.parametrize(("kind", "case"), EACH)
def test_prepared_constants_give_the_same(kind: str, case: dict[str, Any]) -> None:
    prepare = OPERATORS[kind].prepare
    if prepare is not None:
        torch.testing.assert_close(results(kind, prepare(case)), results(kind, case), rtol=1e-4, atol=1e-4)


def test_kernels_are_prepared() -> None:
    assert kinds(lambda operator: operator.prepare is not None) == {kind for kind in OPERATORS if kind.startswith("conv")}


@pytest.mark.parametrize("kind", [kind for kind in RUN if "weight" in inspect.signature(OPERATORS[kind].run).parameters])
def test_axes_of_weights_are_those_that_channels_depend_on(kind: str) -> None:
    axes, channels = OPERATORS[kind].weight_axes, OPERATORS[kind].bias_axis
    case = CASES[kind][0]
    assert axes is not None
    assert channels is not None
    whole, weight = results(kind, case)[0], case["weight"].clone()
    weight.select(axes[0], 2).mul_(2)
    moved = results(kind, case | {"weight": weight})[0] - whole
    assert moved.movedim(channels, 0).flatten(1).abs().sum(1).nonzero().tolist() == [[2]]
    weight, x = case["weight"].clone(), case["x"].clone()
    weight.select(axes[1], 1).zero_()
    x.select(channels, 1).zero_()
    assert same(results(kind, case | {"weight": weight}), results(kind, case | {"x": x}), 1e-4)


@pytest.mark.parametrize("kind", RUN)
def test_a_bias_shifts_its_channel_alone(kind: str) -> None:
    axis = OPERATORS[kind].bias_axis
    added = "bias" in inspect.signature(OPERATORS[kind].run).parameters and kind not in RECURRENT
    assert (axis is None) == (not added)
    if axis is not None:
        case = next(case for case in CASES[kind] if "bias" in case)
        bias = case["bias"].clone()
        bias[3] += 0.5
        moved = results(kind, case | {"bias": bias})[0] - results(kind, case)[0]
        expected = torch.zeros(len(bias))
        expected[3] = 0.5
        torch.testing.assert_close(moved.movedim(axis, -1), expected.expand(moved.movedim(axis, -1).shape), rtol=0, atol=1e-4)


def test_what_spans_the_range_of_what_it_reads() -> None:
    spanning = kinds(lambda operator: operator.spans)
    assert spanning == {"max_pool", "pad", "upsample_bilinear"}
    for kind in spanning:
        for case in CASES[kind]:
            x, (result,) = case["x"], results(kind, case)
            ends = (*x.aminmax(), t(0.0), case.get("constant_val", t(0.0)))
            assert min(ends) <= result.min()
            assert result.max() <= x.max()
            assert kind == "upsample_bilinear" or result.max() == x.max()


@pytest.mark.parametrize("kind", [kind for kind in RUN if OPERATORS[kind].shares_range])
def test_what_shares_a_range_gives_nothing_beyond_it(kind: str) -> None:
    for case in CASES[kind]:
        floats = [
            value for value in tensors({key: case[key] for key in set(case) & (READ | {"constant_val"})}) if value.is_floating_point()
        ]
        low, high = min(0.0, *(float(v.min()) for v in floats)), max(0.0, *(float(v.max()) for v in floats))
        assert all(low <= value.min() and value.max() <= high for value in results(kind, case))


def test_int8_activations_are_those_of_coremltools() -> None:
    prefix, suffix = (PASS_REGISTRY[f"compression::insert_{place}_quantize_dequantize_pair"] for place in ("prefix", "suffix"))
    assert kinds(lambda operator: operator.quantizable) == set(prefix.SUPPORTED_OP_TYPES)
    assert kinds(lambda operator: operator.activation) == suffix._allowed_activations & set(OPERATORS)


def test_what_compression_and_half_precision_insert() -> None:
    assert kinds(lambda operator: operator.inserted) == {"cast", "dequantize", "identity", "quantize"}


def test_what_only_renames_or_is_fused_is_free() -> None:
    renaming = {
        kind
        for kind in RUN
        if all(
            len(given := results(kind, case)) == 1
            and "x" in case
            and given[0].untyped_storage().data_ptr() == case["x"].untyped_storage().data_ptr()
            and given[0].numel() == case["x"].numel()
            and torch.equal(given[0].flatten(), case["x"].flatten())
            for case in CASES[kind]
        )
    }
    activations = {
        *("clamped_relu", "clip", "elu", "gelu", "leaky_relu", "linear_activation", "prelu", "relu", "relu6", "scaled_tanh", "sigmoid"),
        *("sigmoid_hard", "silu", "softplus", "softsign", "tanh", "thresholded_relu"),
    }
    assert kinds(lambda operator: operator.free) == renaming | activations | {"batch_norm", "cast", "dequantize", "quantize"}
    for kind in kinds(lambda operator: operator.free) - renaming:
        (given,) = results(kind, CASES[kind][0])
        assert given.shape == next(value for key, value in CASES[kind][0].items() if key in READ).shape


def test_shapes_that_coremltools_declares_wrongly() -> None:
    """Of a condition larger than both branches, and of a vector by a stack of matrices."""
    assert kinds(lambda operator: operator.misdeclared) == {"matmul", "select"}


def test_padding_and_stacking_are_refused() -> None:
    assert kinds(lambda operator: operator.refusal is not None) == {"pad", "stack"}
    pad, stack = OPERATORS["pad"].refusal, OPERATORS["stack"].refusal
    assert pad is not None
    assert stack is not None
    for mode, pads, refused in [
        ("reflect", t(1, 1, 0, 0, 0, 0), True),
        ("reflect", t(0, 0, 1, 1, 1, 1), False),
        ("constant", t(1, 1), False),
    ]:
        assert bool(pad({"mode": mode, "pad": pads}.get, lambda key: [])) == refused
    for shapes, refused in [([(2, 3), (2, 4)], True), ([(2, 3), (2, 3)], False), ([(2, 3), (2, -1)], False), ([], False)]:
        assert bool(stack({}.get, {"values": shapes}.__getitem__)) == refused


def test_no_other_table_in_the_package_is_keyed_by_operators() -> None:
    """Three operators in one literal, outside ``mil/ops``, where programs are handled; kinds of layers have names of theirs."""
    root = Path(fcrn_mobile.__file__).parent
    tables = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        if any(path.is_relative_to(root / folder) for folder in ("mil/ops", "mil/neural_network/layers")) or not any(
            word in text for word in ("fcrn_mobile.mil", "coremltools")
        ):
            continue
        for node in ast.walk(ast.parse(text)):
            items = getattr(node, "keys" if isinstance(node, ast.Dict) else "elts", None)
            names = [item.value for item in items or () if isinstance(item, ast.Constant)]
            if len([name for name in names if name in RUN]) >= 3:
                tables.append(f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)} {names}")
    assert not tables, "what is known of an operator stands in its record, mil/ops/operator.py"
