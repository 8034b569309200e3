"""Every weight scheme, from a recipe to the stored package: against coremltools' own expansion, and against formulas by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.conversion.weights import read_weights, summary
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.summary import summarise
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.optimize import coreml as cto

SIZE = (1, 3, 12, 16)
GROUPED = {"granularity": "per_grouped_channel", "group_size": 8}


class Small(nn.Module):
    """A convolution of three channels, a depthwise, a pointwise and a transposed one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise, self.up = nn.Conv2d(16, 32, 1), nn.ConvTranspose2d(32, 8, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.depthwise(F.relu(self.stem(x))))
        return self.up(F.relu(self.pointwise(x)))


@pytest.fixture(scope="module")
def network() -> Small:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def models(network: Small) -> Callable[..., Any]:
    """The network as an uncompressed model for a target, in float32 unless told otherwise."""
    made: dict[tuple[str, str], Any] = {}

    def model(target: str, precision: str = "FLOAT32") -> Any:
        if (target, precision) not in made:
            made[target, precision] = convert(network, SIZE, target, precision)
        return made[target, precision]

    return model


def convert(network: nn.Module, shape: tuple[int, ...], target: str, precision: str = "FLOAT16") -> Any:
    with quiet_coremltools():
        return ct.convert(
            torch.jit.trace(network, torch.rand(*shape)),
            inputs=[ct.TensorType("x", shape=shape)],
            outputs=[ct.TensorType("y", dtype=np.float32)],
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=getattr(ct.precision, precision),
            skip_model_load=True,
        )


def recipe(precision: str, **settings: Any) -> Recipe:
    return make_recipe({"precision": precision, **settings}, "test")


def squeezed(model: Any, chosen: Recipe) -> Any:
    with quiet_coremltools():
        return compress(model, chosen)


def stored(model: Any) -> dict[str, str]:
    return {weight.name: weight.stored for weight in read_weights(model)[0]}


def expanded(model: Any) -> dict[str, np.ndarray]:
    """Weights after coremltools' own decompression, by operator: it does not keep the names of constants."""
    with quiet_coremltools():
        plain = cto.decompress_weights(model)
    names = [weight.name for weight in read_weights(model)[0]]
    return {name: weight.values for name, weight in zip(names, read_weights(plain)[0], strict=True)}


def saved(model: Any, path: Path) -> Path:
    with quiet_coremltools():
        model.save(str(path))
    return path


#: Settings of a recipe → what every weight has to be stored as, operators that the package holds, types of its constants.
SCHEMES: list[tuple[dict[str, Any], str, set[str], set[str]]] = [
    ({"precision": "int8"}, "int8", {"constexpr_affine_dequantize"}, {"INT8"}),
    ({"precision": "int8", "target": "iOS18"}, "int8", {"constexpr_blockwise_shift_scale"}, {"INT8"}),
    ({"precision": "int8", "granularity": "per_tensor"}, "int8", {"constexpr_affine_dequantize"}, {"INT8"}),
    ({"precision": "int8", "mode": "asymmetric"}, "int8", {"constexpr_affine_dequantize"}, {"INT8"}),
    ({"precision": "int8", "granularity": "per_block", "block_size": 1}, "int8", {"constexpr_blockwise_shift_scale"}, {"INT8"}),
    ({"precision": "int4", "block_size": 1}, "int4", {"constexpr_blockwise_shift_scale"}, {"INT4"}),
    ({"precision": "int4", "granularity": "per_channel"}, "int4", {"constexpr_blockwise_shift_scale"}, {"INT4"}),
    *(({"precision": f"palette{bits}"}, f"palette{bits}", {"constexpr_lut_to_dense"}, {"UINT8"}) for bits in (8, 6, 4, 2, 1)),
    ({"precision": "palette3"}, "palette3", {"constexpr_lut_to_dense"}, {"UINT3"}),
    ({"precision": "palette4", "mode": "uniform"}, "palette4", {"constexpr_lut_to_dense"}, {"UINT8"}),
    *(({"precision": f"palette{b}"} | GROUPED, f"palette{b}", {"constexpr_lut_to_dense"}, {f"UINT{b}"}) for b in (4, 3, 2, 1)),
    ({"precision": "sparse50"}, "sparse", {"constexpr_sparse_to_dense"}, {"UINT8", "FLOAT32"}),
    ({"precision": "sparse", "threshold": 0.05}, "sparse", {"constexpr_sparse_to_dense"}, {"UINT8", "FLOAT32"}),
    ({"precision": "sparse50-palette4"}, "sparse-palette4", {"constexpr_lut_to_sparse", "constexpr_sparse_to_dense"}, {"UINT1", "UINT4"}),
    ({"precision": "sparse50-int8"}, "sparse-int8", {"constexpr_sparse_blockwise_shift_scale"}, {"UINT1", "INT8"}),
    ({"precision": "sparse50-int4", "block_size": 1}, "sparse-int4", {"constexpr_sparse_blockwise_shift_scale"}, {"UINT1", "INT4"}),
    ({"precision": "palette4-int8"}, "palette4-int8", {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"}, {"UINT4", "INT8"}),
    ({"precision": "sparse50-palette4-int8"}, "sparse-palette4-int8", {"constexpr_lut_to_sparse"}, {"UINT1", "UINT4", "INT8"}),
]


@pytest.mark.parametrize(
    ("asked", "kind", "operators", "types"), SCHEMES, ids=lambda v: "-".join(map(str, v.values())) if isinstance(v, dict) else ""
)
def test_a_scheme_is_stored_and_runs_as_coremltools_expands_it(asked, kind, operators, types, models, tmp_path) -> None:
    chosen = make_recipe(asked | {"min_elements": 0}, "test")
    model = squeezed(models(chosen.target), chosen)
    assert set(stored(model).values()) == {kind}
    package = saved(model, tmp_path / "small.mlpackage")
    held = summarise(package)
    assert operators <= set(held.operators)
    assert types <= set(held.weights)
    with quiet_coremltools():
        # What is on disk, not what is in memory, is what a phone gets.
        twin = saved(cto.decompress_weights(ct.models.MLModel(str(package), skip_model_load=True)), tmp_path / "twin.mlpackage")
    assert not any(name.startswith("constexpr_") for name in summarise(twin).operators)
    x = np.random.default_rng(0).standard_normal(SIZE).astype(np.float32)
    ours, theirs = (Program.load(path, "float32").predict({"x": x})["y"] for path in (package, twin))
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def channel_axis(name: str) -> int:
    return 1 if name.startswith("up") else 0


def other_axes(name: str) -> tuple[int, ...]:
    return tuple(axis for axis in range(4) if axis != channel_axis(name))


def kernels(network: nn.Module) -> dict[str, np.ndarray]:
    return {f"{name}_weight": module.weight.detach().numpy() for name, module in network.named_children()}


def equal(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("target", ["iOS16", "iOS18"])
def test_int8_per_channel_is_the_largest_magnitude_over_127(target: str, models, network) -> None:
    model = squeezed(models(target), recipe("int8", target=target, min_elements=0))
    expected = {}
    for name, w in kernels(network).items():
        scale = np.abs(w).max(axis=other_axes(name), keepdims=True) / 127
        expected[name] = np.rint(w / scale) * scale
    equal(expanded(model), expected)


def test_int8_per_tensor_has_one_scale(models, network) -> None:
    model = squeezed(models("iOS16"), recipe("int8", granularity="per_tensor", min_elements=0))
    equal(expanded(model), {name: np.rint(w / (np.abs(w).max() / 127)) * (np.abs(w).max() / 127) for name, w in kernels(network).items()})


def test_asymmetric_int8_spans_the_range_with_a_zero_point(models, network) -> None:
    model = squeezed(models("iOS16"), recipe("int8", mode="asymmetric", min_elements=0))
    expected = {}
    for name, w in kernels(network).items():
        low = np.minimum(w.min(axis=other_axes(name), keepdims=True), 0)
        high = np.maximum(w.max(axis=other_axes(name), keepdims=True), 0)
        scale = (high - low) / 255
        zero = np.rint((-128 * high - 127 * low) / (high - low))
        expected[name] = (np.clip(np.rint(w / scale) + zero, -128, 127) - zero) * scale
    equal(expanded(model), expected)


def test_int4_blocks_span_input_channels(models, network) -> None:
    model = squeezed(models("iOS18"), recipe("int4", block_size=8, otherwise="int8", min_elements=0))
    assert stored(model) == {"stem_weight": "int8", "depthwise_weight": "int8", "pointwise_weight": "int4", "up_weight": "int4"}
    actual = expanded(model)
    blocks = kernels(network)["pointwise_weight"].reshape(32, 2, 8, 1, 1)  # C_out × blocks × input channels
    scale = np.abs(blocks).max(axis=(2, 3, 4), keepdims=True) / 7
    np.testing.assert_allclose(actual["pointwise_weight"], (np.rint(blocks / scale) * scale).reshape(32, 16, 1, 1), rtol=1e-5, atol=1e-6)
    blocks = kernels(network)["up_weight"].reshape(4, 8, 8, 2, 2)  # blocks × input channels × C_out: transposed
    scale = np.abs(blocks).max(axis=(1, 3, 4), keepdims=True) / 7
    np.testing.assert_allclose(actual["up_weight"], (np.rint(blocks / scale) * scale).reshape(32, 8, 2, 2), rtol=1e-5, atol=1e-6)


def test_a_uniform_palette_is_a_ruler_from_the_smallest_to_the_largest(models, network) -> None:
    model = squeezed(models("iOS16"), recipe("palette4", mode="uniform", min_elements=0))
    expected = {}
    for name, w in kernels(network).items():
        step = (w.max() - w.min()) / 15
        expected[name] = np.rint((w - w.min()) / step) * step + w.min()
    equal(expanded(model), expected)


@pytest.mark.parametrize("precision", ["palette3", "palette2", "palette1"])
def test_a_kmeans_palette_gives_every_weight_its_nearest_entry(precision: str, models, network) -> None:
    chosen = recipe(precision, min_elements=0)
    for name, values in expanded(squeezed(models(chosen.target), chosen)).items():
        w, table = kernels(network)[name], np.unique(values)
        assert len(table) <= 2 ** int(precision[-1])
        nearest = table[np.abs(w[..., None] - table).argmin(-1)]
        assert np.mean(np.abs(values - nearest) < 1e-6) > 0.97  # k-means may stop a step before it has settled
        # Better than the ruler, which is what clustering is for.
        ruler = np.linspace(w.min(), w.max(), len(table))
        assert np.mean((values - w) ** 2) < np.mean((ruler[np.abs(w[..., None] - ruler).argmin(-1)] - w) ** 2)


def test_grouped_channels_have_a_table_each(models, network) -> None:
    model = squeezed(models("iOS18"), recipe("palette2", min_elements=0, **GROUPED))
    values = expanded(model)["pointwise_weight"].reshape(4, -1)  # groups of eight output channels
    assert [len(np.unique(group)) for group in values] == [4, 4, 4, 4]
    assert len(np.unique(values)) == 16


def test_vectors_of_output_channels_share_an_index(models) -> None:
    chosen = recipe("palette4", vector_size=2, otherwise="palette4", min_elements=0)
    pairs = expanded(squeezed(models("iOS18"), chosen))["pointwise_weight"].reshape(16, 2, 16)
    assert len(np.unique(pairs.transpose(0, 2, 1).reshape(-1, 2), axis=0)) <= 16 < len(np.unique(pairs))


@pytest.mark.parametrize(("precision", "fraction"), [("sparse50", 0.5), ("sparse80", 0.8)])
def test_the_smallest_weights_become_zero_and_the_others_stay(precision: str, fraction: float, models, network) -> None:
    expected = {}
    for name, w in kernels(network).items():
        kept = np.ones(w.size)
        kept[np.argsort(np.abs(w), axis=None)[: int(fraction * w.size)]] = 0
        expected[name] = w * kept.reshape(w.shape)
    equal(expanded(squeezed(models("iOS16"), recipe(precision, min_elements=0))), expected)


def test_a_threshold_prunes_what_is_below_it(models, network) -> None:
    model = squeezed(models("iOS16"), recipe("sparse", threshold=0.05, min_elements=0))
    equal(expanded(model), {name: np.where(np.abs(w) <= 0.05, 0, w) for name, w in kernels(network).items()})


def test_of_every_four_input_channels_the_two_smallest_become_zero(models, network) -> None:
    model = squeezed(models("iOS16"), recipe("sparse2:4", min_elements=0, otherwise="sparse50"))
    w = kernels(network)["pointwise_weight"].reshape(32, 4, 4)
    order = np.argsort(np.abs(w), axis=-1)
    expected = w.copy()
    np.put_along_axis(expected, order[..., :2], 0, axis=-1)
    np.testing.assert_array_equal(expanded(model)["pointwise_weight"].reshape(32, 4, 4), expected)


def test_sparse_int8_quantizes_what_pruning_left(models, network) -> None:
    model = squeezed(models("iOS18"), recipe("sparse50-int8", min_elements=0))
    expected = {}
    for name, w in kernels(network).items():
        pruned = np.where(np.abs(w) <= np.sort(np.abs(w), axis=None)[w.size // 2 - 1], 0, w)
        scale = np.abs(w).max(axis=other_axes(name), keepdims=True) / 127
        expected[name] = np.rint(pruned / scale) * scale
    equal(expanded(model), expected)


def test_sparse_palettes_keep_the_zeros(models, network) -> None:
    values = expanded(squeezed(models("iOS18"), recipe("sparse50-palette4", min_elements=0)))
    for name, w in kernels(network).items():
        zeros = np.abs(w) <= np.sort(np.abs(w), axis=None)[w.size // 2 - 1]
        assert not values[name][zeros].any()
        assert len(np.unique(values[name][~zeros])) <= 16


def test_an_int8_table_holds_multiples_of_one_scale(models) -> None:
    for values in expanded(squeezed(models("iOS18"), recipe("palette4-int8", min_elements=0))).values():
        table = np.unique(values)
        assert len(table) <= 16
        steps = table / (np.abs(table).max() / 127)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)


@pytest.fixture(scope="module")
def wide() -> Any:
    """One convolution of 73,728 weights in half precision."""
    torch.manual_seed(0)
    return convert(nn.Sequential(nn.Conv2d(256, 288, 1, bias=False)), (1, 256, 2, 2), "iOS18")


@pytest.mark.parametrize(
    ("precision", "bits"),
    [("int8", 8), ("int4", 4.5), ("palette4", 4), ("palette3", 3), ("palette1", 1), ("sparse50", 9), ("sparse75", 5), ("sparse50-int8", 5)],
)
def test_weights_take_the_bits_of_their_scheme(precision: str, bits: float, wide, tmp_path) -> None:
    """Half precision has 16; a scale per 32 weights adds half a bit to int4, the mask one bit to what sparse weights keep."""
    package = saved(squeezed(wide, recipe(precision, target="iOS18")), tmp_path / "wide.mlpackage")
    size = next(package.rglob("weight.bin")).stat().st_size
    assert size * 8 / 73728 == pytest.approx(bits, rel=0.03, abs=0.1)


def test_more_weights_than_float16_can_count_are_pruned_too(wide) -> None:
    """A percentile in float16 is NaN for more than 65,504 values: coremltools' own pruner then prunes nothing, and says so nowhere."""
    (weight,) = read_weights(squeezed(wide, recipe("sparse50", target="iOS18")))[0]
    assert weight.sparsity == pytest.approx(0.5, abs=0.005)


def test_the_same_recipe_gives_the_same_bytes(models, tmp_path) -> None:
    chosen = recipe("palette4", min_elements=0, ops=[{"match": "pointwise*", "precision": "sparse50-palette3"}], **GROUPED)
    files = [saved(squeezed(models("iOS18"), chosen), tmp_path / f"{number}.mlpackage") for number in (0, 1)]
    first, second = (next(file.rglob("weight.bin")).read_bytes() for file in files)
    assert first == second


def test_one_package_mixes_precisions_and_the_last_match_counts(models) -> None:
    chosen = recipe(
        "fp16",
        target="iOS18",
        ops=[
            {"match": "*", "precision": "int8"},
            {"match": ["pointwise_weight", "point*"], "precision": "int4", "block_size": 16},
            {"match": "depth*", "precision": "palette6"},
            {"match": "stem_weight", "precision": "fp16"},
        ],
    )
    model = squeezed(models("iOS18", "FLOAT16"), chosen)
    assert stored(model) == {"stem_weight": "fp16", "depthwise_weight": "palette6", "pointwise_weight": "int4", "up_weight": "int8"}
    assert summary(read_weights(model)[0]) == {"fp16": 1, "palette6": 1, "int4": 1, "int8": 1}


def test_operators_may_be_named_instead_of_their_weights(models) -> None:
    model = models("iOS16", "FLOAT16")
    op = next(weight.ops[0] for weight in read_weights(model)[0] if weight.name == "pointwise_weight")
    for name in (op, op.removesuffix("_cast_fp16")):
        kinds = stored(squeezed(model, recipe("fp16", ops=[{"match": name, "precision": "int8"}])))
        assert kinds == {"stem_weight": "fp16", "depthwise_weight": "fp16", "pointwise_weight": "int8", "up_weight": "fp16"}


def test_small_weights_stay_float_unless_they_are_named(models) -> None:
    model = models("iOS16", "FLOAT16")
    small = {"stem_weight": "fp16", "depthwise_weight": "fp16", "pointwise_weight": "fp16", "up_weight": "int8"}
    assert stored(squeezed(model, recipe("int8"))) == small  # 432, 144, 512 and 1024 weights
    assert stored(squeezed(model, recipe("int8", min_elements=500))) == small | {"pointwise_weight": "int8"}
    assert stored(squeezed(model, recipe("int8", ops=[{"match": "stem*", "precision": "int8"}]))) == small | {"stem_weight": "int8"}


def test_a_pattern_that_matches_nothing_is_answered_with_names(models) -> None:
    with pytest.raises(InputError, match=r"match '\*depthwisse\*' is no operator of this network: weights are called depthwise_weight, "):
        squeezed(models("iOS16", "FLOAT16"), recipe("fp16", ops=[{"match": "*depthwisse*", "precision": "int8"}]))
    # Operators without weights can have their arithmetic chosen, not their weights.
    with pytest.raises(InputError, match="weights are called"):
        squeezed(models("iOS16", "FLOAT16"), recipe("fp16", ops=[{"match": "relu*", "precision": "int8"}]))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"precision": "int4", "block_size": 8},
            "int4 with blocks of 8 does not fit 'stem_weight', which has 3 input channels; "
            'block_size that fits: 1, 3: change it, or say what such weights become, as in otherwise = "int8"',
        ),
        ({"precision": "int4", "block_size": 3}, "'depthwise_weight', which has 1 input channel; block_size that fits: 1:"),
        (
            {"precision": "palette4", "granularity": "per_grouped_channel", "group_size": 5},
            "16 output channels; group_size that fits: 1, 2, 4, 8, 16",
        ),
        (
            {"precision": "palette4", "vector_size": 2},
            "'depthwise_weight', which has 1 output channel per group; vector_size that fits: 1:",
        ),
        ({"precision": "sparse2:4"}, "sparse2:4 with M = 4 does not fit 'stem_weight', which has 3 input channels; M that fits: none"),
        (
            {"precision": "sparse2:4", "sparse_axis": "output"},
            "sparse2:4 is for convolutions and linear layers, 'up_weight' belongs to a conv_transpose",
        ),
        ({"precision": "sparse", "threshold": 9}, "sparse leaves nothing of 'stem_weight': no magnitude is above 9"),
        ({"precision": "int4", "block_size": 8, "otherwise": "int4"}, "int4 with blocks of 32 does not fit 'stem_weight'"),
    ],
)
def test_a_scheme_that_does_not_fit_says_what_would(asked: dict[str, Any], message: str, models) -> None:
    with pytest.raises(InputError) as error:
        squeezed(models("iOS18"), make_recipe(asked | {"min_elements": 0}, "test"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_coremltools_passed_over_is_not_claimed(models, monkeypatch) -> None:
    monkeypatch.setattr("fcrn_mobile.conversion.compress.changed", lambda model, *_: model)
    with pytest.raises(RuntimeError, match=r"stored 'stem_weight' as fp32 with sparsity 0\.00 instead of palette4"):
        squeezed(models("iOS16"), recipe("palette4", min_elements=0))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_assignment_of_precisions_is_what_the_package_holds(data, models) -> None:
    names = ("stem_weight", "depthwise_weight", "pointwise_weight", "up_weight")
    short = ("fp16", "int8", "palette6", "palette1", "sparse60", "sparse50-int8", "palette4-int8", "sparse50-palette2")
    chosen = {name: data.draw(st.sampled_from(short), label=name) for name in names}
    ops = [{"match": name, "precision": precision} for name, precision in chosen.items()]
    model = squeezed(models("iOS18", "FLOAT16"), recipe("fp16", target="iOS18", ops=ops))
    assert stored(model) == {name: precision.replace("60", "").replace("50", "") for name, precision in chosen.items()}


def test_operators_that_share_a_bias_may_differ() -> None:
    """Four convolutions of an up-projection share one; coremltools reports a conflict when their settings are told apart by operator."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3, padding=1)
    first.bias = second.bias
    model = convert(nn.Sequential(first, nn.ReLU(), second), (1, 16, 4, 4), "iOS16")
    chosen = recipe("fp16", ops=[{"match": "*_0_weight", "precision": "int8"}, {"match": "*_2_weight", "precision": "palette4"}])
    assert set(stored(squeezed(model, chosen)).values()) == {"int8", "palette4"}
