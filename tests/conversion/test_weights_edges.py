"""What is a weight of a program, who reads it and how it is stored, on programs of a few operators."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.conversion.weights import Weight, is_constant, is_weight, plain, read_weights, summary
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder, types


def converted(body: Callable[[Any], Any], target: str = "iOS18", channels: int = 4, precision: str = "FLOAT32") -> Any:
    with quiet_coremltools():
        system = getattr(ct.target, target)
        program = Builder.program(input_specs=[Builder.TensorSpec((1, channels, 3, 5))], opset_version=system)(body)
        return ct.convert(
            program,
            minimum_deployment_target=system,
            compute_precision=getattr(ct.precision, precision),
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )


@pytest.mark.parametrize("suffix", ["to_fp16", "cast_fp16", "quantized", "palettized", "sparsified", "to_fp16_sparsified_palettized"])
def test_a_plain_name_is_without_what_coremltools_appends(suffix: str) -> None:
    assert plain(f"a_{suffix}") == "a"


@pytest.mark.parametrize("name", ["a_to_fp16_b", "a", "_to_fp16", ""])
def test_other_names_are_plain(name: str) -> None:
    assert plain(name) == name


def weight(**changes: Any) -> Weight:
    values: dict[str, Any] = {"name": "w", "ops": ("y",), "kind": "conv", "shape": (4, 6, 1, 2), "groups": 1, "stored": "fp16"}
    return Weight(**{**values, "sparsity": None, "values": None, "constant": "w_to_fp16", **changes})


def test_a_recipe_may_call_a_weight_by_all_its_names() -> None:
    assert weight().names == ("w", "y")
    assert weight(ops=("y_cast_fp16", "z", "y")).names == ("w", "y", "y_cast_fp16", "z")


def test_channels_of_a_transposed_convolution_are_the_other_way_round() -> None:
    assert [weight(kind=kind).channel_axes for kind in ("conv", "linear", "conv_transpose")] == [(0, 1), (0, 1), (1, 0)]
    assert weight(kind="einsum").channel_axes == (0, 1), "as most have them"


def test_what_became_of_a_weight_as_plain_values() -> None:
    assert weight(sparsity=0.5).to_json() == {
        "name": "w",
        "ops": ("y",),
        "kind": "conv",
        "shape": (4, 6, 1, 2),
        "stored": "fp16",
        "sparsity": 0.5,
    }


def test_the_most_frequent_storage_comes_first() -> None:
    found = summary(weight(stored=stored) for stored in ("int8", "fp16", "fp16", "int4", "fp16", "int4"))
    assert list(found.items()) == [("fp16", 3), ("int4", 2), ("int8", 1)]


def test_a_constant_is_stored_as_it_is_or_expanded() -> None:
    kinds = ("const", "constexpr_cast", "constexpr_lut_to_dense", "constant", "conv", "my_constexpr_cast")
    assert [is_constant(SimpleNamespace(op_type=kind)) for kind in kinds] == [True, True, True, False, False, False]


def test_floats_of_two_axes_and_ten_elements_are_weights() -> None:
    seen: dict[str, bool] = {}

    def body(x: Any) -> Any:
        constants = {
            "ten": np.ones((2, 5), np.float32),
            "half": np.ones((2, 5), np.float16),
            "nine": np.ones((3, 3), np.float32),
            "vector": np.ones(20, np.float32),
            "integers": np.ones((2, 5), np.int32),
            "number": np.float32(3),
        }
        for name, value in constants.items():
            var = Builder.const(val=value, name=name)
            seen[name] = is_weight(var)
            seen[f"result of {name}"] = is_weight(Builder.identity(x=var, name=f"same_{name}"))
        seen["input"], seen["list"], seen["none"] = is_weight(x), is_weight([x]), is_weight(None)
        return Builder.identity(x=x)

    with quiet_coremltools():
        Builder.program(input_specs=[Builder.TensorSpec((1, 2))])(body)
    assert [name for name, found in seen.items() if found] == ["ten", "half"]


def test_readers_kinds_shapes_and_groups_are_told_in_the_order_of_the_program() -> None:
    first, second = np.random.default_rng(0).normal(size=(4, 4, 1, 1)).astype(np.float32), np.ones((4, 1, 3, 1), np.float32)

    def body(x: Any) -> Any:
        up = Builder.const(val=np.ones((4, 2, 2, 2), np.float32), name="up_weight")
        same = Builder.const(val=first, name="same_weight")
        a = Builder.conv(x=x, weight=same, name="a")
        b = Builder.conv(x=a, weight=same, name="b_cast_fp16")
        c = Builder.conv(x=b, weight=Builder.const(val=second, name="deep_weight_to_fp16"), groups=4, pad_type="same", name="c")
        return Builder.conv_transpose(x=c, weight=up, name="d")

    found, names = read_weights(converted(body))
    told = [(w.name, w.ops, w.kind, w.shape, w.groups, w.stored, w.sparsity, w.constant) for w in found]
    assert told == [
        ("same_weight", ("a", "b_cast_fp16"), "conv", (4, 4, 1, 1), 1, "fp32", None, "same_weight"),
        ("deep_weight", ("c",), "conv", (4, 1, 3, 1), 4, "fp32", None, "deep_weight_to_fp16"),
        ("up_weight", ("d",), "conv_transpose", (4, 2, 2, 2), 1, "fp32", None, "up_weight"),
    ]
    assert found[0].values is not None
    np.testing.assert_array_equal(found[0].values, first)
    assert names == {"same_weight", "deep_weight", "up_weight", "a", "b", "b_cast_fp16", "c", "d"}


def test_of_several_readers_the_first_says_what_kind_of_weight_it_is() -> None:
    def body(x: Any) -> Any:
        kernel = Builder.const(val=np.ones((4, 4, 1, 1), np.float32), name="w")
        flat = Builder.const(val=np.ones((2, 5), np.float32), name="flat")
        y = Builder.conv(x=Builder.concat(values=[x, x], axis=1), weight=kernel, groups=2, name="y")
        return y, Builder.square(x=kernel, name="z"), Builder.linear(x=x, weight=flat, name="v")

    found, _ = read_weights(converted(body, channels=4))
    assert [(w.name, w.ops, w.kind, w.groups) for w in found] == [("w", ("y", "z"), "conv", 2), ("flat", ("v",), "linear", 1)]


def typed(array: Any, kind: str) -> Any:
    return np.asarray(array).astype(types.nptype_from_builtin(types.string_to_builtin(kind)))


SHAPE = (4, 4, 1, 1)
KEPT = np.array([1, 0, 0, 0] * 4, np.uint8).reshape(SHAPE)
LUT = np.linspace(-1, 1, 16).astype(np.float32)


def sparse_integers() -> Any:
    mask, data = Builder.constexpr_sparse_blockwise_shift_scale(
        data_mask=typed(KEPT, "uint1"), nonzero_data=np.arange(1, 5, dtype=np.int8), scale=np.full((1, 1, 1, 1), 0.5, np.float32)
    )
    return Builder.constexpr_sparse_to_dense(nonzero_data=data, mask=mask)


def sparse_table() -> Any:
    mask, data = Builder.constexpr_lut_to_sparse(
        indices_mask=typed(KEPT, "uint1"), indices_nonzero_data=typed([1, 2, 3, 4], "uint4"), lut=LUT.reshape(1, 1, 1, 1, 16, 1)
    )
    return Builder.constexpr_sparse_to_dense(nonzero_data=data, mask=mask)


def int8_table() -> Any:
    lut = Builder.constexpr_blockwise_shift_scale(
        data=np.arange(16, dtype=np.int8).reshape(1, 1, 1, 1, 16, 1), scale=np.full((1,) * 6, 0.5, np.float32)
    )
    return Builder.constexpr_lut_to_dense(indices=typed(np.zeros(SHAPE), "uint4"), lut=lut)


def int8_affine() -> Any:
    return Builder.constexpr_affine_dequantize(
        quantized_data=np.ones(SHAPE, np.int8), zero_point=np.int8(0), scale=np.float32(0.5), axis=np.int32(0)
    )


STORED: dict[str, tuple[str, Callable[[], Any], str, float | None]] = {
    "affine": ("iOS16", int8_affine, "int8", None),
    "a vector as a table": (
        "iOS16",
        lambda: Builder.constexpr_lut_to_dense(indices=np.zeros(8, np.uint8), lut=LUT, shape=np.uint32(SHAPE)),
        "palette4",
        None,
    ),
    "a table": (
        "iOS18",
        lambda: Builder.constexpr_lut_to_dense(indices=typed(np.zeros(SHAPE), "uint3"), lut=LUT[:8].reshape(1, 1, 1, 1, 8, 1)),
        "palette3",
        None,
    ),
    "two tables of vectors": (
        "iOS18",
        lambda: Builder.constexpr_lut_to_dense(
            indices=typed(np.zeros((2, 4, 1, 1)), "uint2"), lut=np.ones((1, 2, 1, 1, 4, 2), np.float32), vector_axis=np.int32(0)
        ),
        "palette2",
        None,
    ),
    "a table of integers": ("iOS18", int8_table, "palette4-int8", None),
    "integers": (
        "iOS18",
        lambda: Builder.constexpr_blockwise_shift_scale(data=np.ones(SHAPE, np.int8), scale=np.ones((1,) * 4, np.float32)),
        "int8",
        None,
    ),
    "four bits": (
        "iOS18",
        lambda: Builder.constexpr_blockwise_shift_scale(data=typed(np.ones(SHAPE), "int4"), scale=np.ones((1,) * 4, np.float32)),
        "int4",
        None,
    ),
    "sparse": (
        "iOS18",
        lambda: Builder.constexpr_sparse_to_dense(nonzero_data=np.ones(4, np.float32), mask=typed(KEPT, "uint1")),
        "sparse",
        0.75,
    ),
    "sparse integers": ("iOS18", sparse_integers, "sparse-int8", 0.75),
    "sparse table": ("iOS18", sparse_table, "sparse-palette4", 0.75),
    "half": ("iOS16", lambda: Builder.const(val=np.ones(SHAPE, np.float16)), "fp16", None),
}


@pytest.mark.parametrize("name", STORED)
def test_how_a_weight_is_stored_is_read_from_what_expands_it(name: str) -> None:
    target, make, stored, sparsity = STORED[name]

    def body(x: Any) -> Any:
        x = Builder.cast(x=x, dtype="fp16") if name == "half" else x
        return Builder.conv(x=x, weight=make(), name="y")

    (found,), _ = read_weights(converted(body, target))
    assert (found.stored, found.sparsity, found.shape) == (stored, sparsity, SHAPE)
    assert (found.values is None) == (stored != "fp16")
    assert found.ops == ("y",)
