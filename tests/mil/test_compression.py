"""Every compression that coremltools offers away from macOS, run from the compressed package.

The other side is the same package after coremltools' own ``decompress_weights``: an expansion that this project has no part in.
Two joint forms are missing because coremltools 9.0 cannot make them: a palette of vectors over sparse weights (IndexError in its
palettizer), and a quantised look-up table other than per tensor (NotImplementedError).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.mil import Program
from fcrn_mobile.package.reading import function_block, read_specification
from tests.conftest import psnr
from tests.mil.build import convert, ct, mb, quiet_coremltools, save_program
from tests.mil.ops.arrays import values

with quiet_coremltools():
    from coremltools.converters.mil.frontend.milproto.load import load as load_pymil
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
    from coremltools.optimize import coreml as cto
    from coremltools.proto import MIL_pb2

SIZE = (1, 3, 12, 16)


class Small(nn.Module):
    """Plain, depthwise and pointwise convolutions, a transposed one and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise, self.up = nn.Conv2d(16, 32, 1), nn.ConvTranspose2d(32, 8, 2, 2)
        self.head = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.depthwise(F.relu(self.stem(x))))
        x = self.up(F.relu(self.pointwise(x)))
        return self.head(x.permute(0, 2, 3, 1))


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Callable[..., Any]:
    """The small network as a float model for a target."""
    torch.manual_seed(0)
    network = Small().eval()
    folder = tmp_path_factory.mktemp("float")

    def model(target: str, precision: str = "FLOAT32") -> Any:
        name = f"{target}-{precision}"
        path = folder / f"{name}.mlpackage"
        if not path.exists():
            settings = {"minimum_deployment_target": getattr(ct.target, target), "compute_precision": getattr(ct.precision, precision)}
            convert(network, [torch.rand(*SIZE)], folder, name, inputs=[ct.TensorType("x", shape=SIZE)], **settings)
        with quiet_coremltools():
            return ct.models.MLModel(str(path), skip_model_load=True)

    return model


def quantized(**settings: Any) -> Callable[[Any], Any]:
    return lambda model: cto.linear_quantize_weights(model, config(cto.OpLinearQuantizerConfig(weight_threshold=0, **settings)))


def palettized(**settings: Any) -> Callable[[Any], Any]:
    return lambda model: cto.palettize_weights(model, config(cto.OpPalettizerConfig(weight_threshold=0, **settings)))


def pruned(**settings: Any) -> Callable[[Any], Any]:
    return lambda model: cto.prune_weights(model, config(cto.OpMagnitudePrunerConfig(weight_threshold=0, **settings)))


def config(settings: Any) -> Any:
    return cto.OptimizationConfig(global_config=settings)


def jointly(first: Callable[[Any], Any], then: Any) -> Callable[[Any], Any]:
    """A second compression over what a first one left."""
    second = cto.palettize_weights if isinstance(then, cto.OpPalettizerConfig) else cto.linear_quantize_weights
    return lambda model: second(first(model), config(then), joint_compression=True)


def halves(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table of two values for a custom palette: the means of the negative and the positive weights."""
    return np.array([weight[weight < 0].mean(), weight[weight >= 0].mean()], np.float32), (weight >= 0).astype(np.uint8).reshape(-1)


AFFINE, SHIFT, LUT, SPARSE = (
    "constexpr_affine_dequantize",
    "constexpr_blockwise_shift_scale",
    "constexpr_lut_to_dense",
    "constexpr_sparse_to_dense",
)
LUT_SPARSE, SHIFT_SPARSE = "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale"

#: Name → target, compression, operators that the package must hold.
SCHEMES: dict[str, tuple[str, Callable[[Any], Any], set[str]]] = {}
for dtype in ("int8", "uint8"):
    for mode in ("linear_symmetric", "linear"):
        for granularity in ("per_tensor", "per_channel"):
            settings = {"mode": mode, "dtype": dtype, "granularity": granularity}
            for target, operator in (("iOS16", AFFINE), ("iOS17", AFFINE), ("iOS18", SHIFT)):
                SCHEMES[f"{dtype} {mode} {granularity} {target}"] = (target, quantized(**settings), {operator})
for dtype in ("int4", "uint4", "int8", "uint8"):
    for mode in ("linear_symmetric", "linear"):
        SCHEMES[f"{dtype} {mode} per_block"] = ("iOS18", quantized(mode=mode, dtype=dtype, granularity="per_block", block_size=4), {SHIFT})
    SCHEMES[f"{dtype} per_channel iOS18"] = ("iOS18", quantized(dtype=dtype, granularity="per_channel"), {SHIFT})
for bits in (1, 2, 4, 6, 8):
    for target in ("iOS16", "iOS17", "iOS18"):
        SCHEMES[f"palette kmeans {bits} {target}"] = (target, palettized(mode="kmeans", nbits=bits), {LUT})
    SCHEMES[f"palette uniform {bits}"] = ("iOS16", palettized(mode="uniform", nbits=bits), {LUT})
for bits in (1, 2, 3, 4, 6, 8):
    grouped = {"granularity": "per_grouped_channel", "group_size": 4, "channel_axis": 0}
    SCHEMES[f"palette grouped {bits}"] = ("iOS18", palettized(mode="kmeans", nbits=bits, **grouped), {LUT})
SCHEMES |= {
    "palette kmeans 3 iOS18": ("iOS18", palettized(mode="kmeans", nbits=3), {LUT}),
    "palette custom": ("iOS16", palettized(mode="custom", lut_function=halves), {LUT}),
    "palette scaled": ("iOS18", palettized(mode="kmeans", nbits=4, enable_per_channel_scale=True), {LUT, SHIFT}),
    "palette of vectors": ("iOS18", palettized(mode="kmeans", nbits=4, cluster_dim=4), {LUT}),
    "palette, then int8 table": (
        "iOS18",
        jointly(palettized(mode="kmeans", nbits=4), cto.OpLinearQuantizerConfig(weight_threshold=0, granularity="per_tensor")),
        {LUT, SHIFT},
    ),
    "palette, then uint8 table": (
        "iOS18",
        jointly(
            palettized(mode="kmeans", nbits=4),
            cto.OpLinearQuantizerConfig(weight_threshold=0, granularity="per_tensor", dtype="uint8", mode="linear"),
        ),
        {LUT, SHIFT},
    ),
    "palette of vectors, then int8 table": (
        "iOS18",
        jointly(
            palettized(mode="kmeans", nbits=4, cluster_dim=4), cto.OpLinearQuantizerConfig(weight_threshold=0, granularity="per_tensor")
        ),
        {LUT, SHIFT},
    ),
    "palette uniform 4 iOS18": ("iOS18", palettized(mode="uniform", nbits=4), {LUT}),
    "palette custom iOS18": ("iOS18", palettized(mode="custom", lut_function=halves), {LUT}),
    "palette of vectors, grouped": ("iOS18", palettized(mode="kmeans", nbits=3, cluster_dim=2, **grouped), {LUT}),
    "palette of vectors, inputs": ("iOS18", palettized(mode="kmeans", nbits=4, cluster_dim=2, channel_axis=1), {LUT}),
    "palette grouped, inputs": ("iOS18", palettized(mode="kmeans", nbits=2, **(grouped | {"channel_axis": 1})), {LUT}),
    "palette grouped, scaled": ("iOS18", palettized(mode="kmeans", nbits=4, enable_per_channel_scale=True, **grouped), {LUT, SHIFT}),
    "threshold": (
        "iOS16",
        lambda model: cto.prune_weights(
            model, config(cto.OpThresholdPrunerConfig(threshold=0.15, minimum_sparsity_percentile=0.1, weight_threshold=0))
        ),
        {SPARSE},
    ),
    "block sparse": ("iOS16", pruned(target_sparsity=0.5, block_size=2, dim=0), {SPARSE}),
    "2:4": ("iOS16", pruned(n_m_ratio=(2, 4), dim=1), {SPARSE}),
    "sparse, then palette": (
        "iOS18",
        jointly(pruned(target_sparsity=0.5), cto.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=0)),
        {LUT_SPARSE, SPARSE},
    ),
    "sparse, then int8": (
        "iOS18",
        jointly(pruned(target_sparsity=0.5), cto.OpLinearQuantizerConfig(weight_threshold=0)),
        {SHIFT_SPARSE, SPARSE},
    ),
    "sparse, then int4": (
        "iOS18",
        jointly(pruned(target_sparsity=0.5), cto.OpLinearQuantizerConfig(weight_threshold=0, dtype="int4")),
        {SHIFT_SPARSE, SPARSE},
    ),
}
SCHEMES |= {
    "2:4 iOS18": ("iOS18", pruned(n_m_ratio=(2, 4), dim=1), {SPARSE}),
    "block sparse iOS18": ("iOS18", pruned(target_sparsity=0.5, block_size=2, dim=1), {SPARSE}),
    "sparse, then uint8": (
        "iOS18",
        jointly(pruned(target_sparsity=0.5), cto.OpLinearQuantizerConfig(weight_threshold=0, dtype="uint8", mode="linear")),
        {SHIFT_SPARSE, SPARSE},
    ),
    "sparse, then int8 per_block": (
        "iOS18",
        jointly(pruned(target_sparsity=0.5), cto.OpLinearQuantizerConfig(weight_threshold=0, granularity="per_block", block_size=4)),
        {SHIFT_SPARSE, SPARSE},
    ),
    "sparse, then grouped palette": (
        "iOS18",
        jointly(pruned(target_sparsity=0.5), cto.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=0, **grouped)),
        {LUT_SPARSE, SPARSE},
    ),
    "sparse, then palette, then int8 table": (
        "iOS18",
        jointly(
            jointly(pruned(target_sparsity=0.5), cto.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=0)),
            cto.OpLinearQuantizerConfig(weight_threshold=0, granularity="per_tensor"),
        ),
        {LUT_SPARSE, SPARSE, SHIFT},
    ),
}
for target in ("iOS16", "iOS17", "iOS18"):
    SCHEMES[f"sparse {target}"] = (target, pruned(target_sparsity=0.6), {SPARSE})


def operators(path: Path) -> set[str]:
    model, _ = read_specification(path)
    return {operation.type for operation in function_block(model, path)[1].operations}


def stored(path: Path) -> set[str]:
    """Data types of what the compressed constants hold: of quantised values, indices and masks."""
    model, _ = read_specification(path)
    return {
        MIL_pb2.DataType.Name(argument.value.type.tensorType.dataType)
        for operation in function_block(model, path)[1].operations
        if operation.type.startswith("constexpr_")
        for key in ("data", "indices", "nonzero_data", "indices_nonzero_data", "mask", "data_mask", "indices_mask", "lut")
        for argument in operation.inputs[key].arguments
        if argument.WhichOneof("binding") == "value"
    }


def run(path: Path, x: np.ndarray, arithmetic: str = "float32") -> np.ndarray:
    (output,) = Program.load(path, arithmetic).predict({"x": x}).values()
    return output


def both(model: Any, compress: Callable[[Any], Any], folder: Path) -> tuple[Path, Path]:
    """The compressed package, and the same after coremltools decompressed it."""
    with quiet_coremltools():
        smaller = compress(model)
        smaller.save(str(folder / "compressed.mlpackage"))
        cto.decompress_weights(smaller).save(str(folder / "expanded.mlpackage"))
    return folder / "compressed.mlpackage", folder / "expanded.mlpackage"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_compressed_package_runs_as_coremltools_expands_it(scheme, models, tmp_path) -> None:
    target, compress, expected = SCHEMES[scheme]
    compressed, expanded = both(models(target), compress, tmp_path)
    assert expected <= operators(compressed)
    assert not any(kind.startswith("constexpr_") for kind in operators(expanded))
    x = values(0, *SIZE)
    ours, theirs = run(compressed, x), run(expanded, x)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("scheme", "types"),
    [
        ("int8 linear per_channel iOS18", {"INT8"}),
        ("uint8 linear per_block", {"UINT8"}),
        ("int4 linear_symmetric per_block", {"INT4"}),
        ("uint4 linear per_block", {"UINT4"}),
        *((f"palette grouped {bits}", {f"UINT{bits}", "FLOAT32"}) for bits in (1, 2, 3, 4, 6)),
        ("palette, then uint8 table", {"UINT4", "UINT8"}),
        ("sparse iOS18", {"UINT1", "FLOAT32"}),
        ("sparse, then int4", {"UINT1", "INT4"}),
        ("sparse, then uint8", {"UINT1", "UINT8"}),
        ("sparse, then palette", {"UINT1", "UINT4", "FLOAT32"}),
    ],
)
def test_a_scheme_stores_the_types_of_its_name(scheme, types, models, tmp_path) -> None:
    """Coremltools passes over a weight that does not suit a scheme: without this, the comparison above might hold nothing of it."""
    target, compress, _ = SCHEMES[scheme]
    compressed, _ = both(models(target), compress, tmp_path)
    assert stored(compressed) == types


@pytest.mark.parametrize("scheme", ["int8 linear_symmetric per_channel iOS16", "int4 linear_symmetric per_block", "palette kmeans 4 iOS18"])
def test_expanded_weights_are_rounded_under_half_precision(scheme, models, tmp_path) -> None:
    target, compress, expected = SCHEMES[scheme]
    compressed, expanded = both(models(target, "FLOAT16"), compress, tmp_path)
    assert expected <= operators(compressed)
    x = values(0, *SIZE)
    # Weight by weight: coremltools rounds what it expands, too.
    np.testing.assert_array_equal(run(compressed, x, "float16"), run(expanded, x, "float16"))


def test_weights_that_repeat_may_be_stored_once(tmp_path) -> None:
    network = nn.Conv2d(3, 8, 3)
    network.weight.data = torch.randint(-2, 2, network.weight.shape).float()
    convert(network, [torch.rand(*SIZE)], tmp_path, inputs=[ct.TensorType("x", shape=SIZE)], minimum_deployment_target=ct.target.iOS16)
    with quiet_coremltools():
        model = ct.models.MLModel(str(tmp_path / "net.mlpackage"), skip_model_load=True)
    compressed, _ = both(model, palettized(mode="unique"), tmp_path)
    assert LUT in operators(compressed)
    x = values(0, *SIZE)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(run(compressed, x), expected, rtol=1e-5, atol=1e-4)


def test_an_int8_convolution_is_exact_integer_arithmetic(tmp_path) -> None:
    """One convolution with int8 weights and activations, against sums of integers."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (8, 3, 3, 3)).astype(np.int8)
    weight_scale, scale, out_scale = np.float32(2.0**-7), np.float32(2.0**-5), np.float32(0.0625)
    x = values(1, 1, 3, 10, 12, scale=1.5)

    def body(x0):
        steps = mb.dequantize(input=mb.quantize(input=x0, scale=scale, output_dtype="int8"), scale=scale)
        kernel = mb.constexpr_affine_dequantize(quantized_data=weight, zero_point=np.int8(0), scale=weight_scale, axis=0)
        y = mb.conv(x=steps, weight=kernel, pad_type="valid")
        return mb.cast(x=mb.quantize(input=y, scale=out_scale, output_dtype="int8"), dtype="int32")

    path = save_program(tmp_path, body, [x], "iOS17")
    (actual,) = Program.load(path).predict({"x0": x}).values()
    q = np.clip(np.rint(x / scale), -128, 127).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(q, (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, weight.astype(np.int64))
    # Scales are powers of two, so the only rounding is the last one.
    expected = np.clip(np.rint(sums * float(weight_scale) * float(scale) / float(out_scale)), -128, 127)
    np.testing.assert_array_equal(actual, expected)
    assert expected.min() == -128 or expected.max() == 127  # some saturate


def test_int8_weights_and_activations_of_a_network(models, tmp_path) -> None:
    """Coremltools' own passes insert quantize and dequantize with ranges that this runtime measured."""
    model = models("iOS17", "FLOAT16")  # the passes write half-precision scales
    x = values(0, *SIZE)
    with quiet_coremltools():
        model.save(str(tmp_path / "float.mlpackage"))
        spec = model.get_spec()
        program = load_pymil(spec, spec.specificationVersion, model.weights_dir)
        ranges = {"x": {"rmin": float(x.min()), "rmax": float(x.max())}}
        for name, tensor in Program.load(tmp_path / "float.mlpackage").trace({"x": x}):
            ranges[name] = {"rmin": float(tensor.min()), "rmax": float(tensor.max())}
        settings = cto.OptimizationConfig(global_config=cto.experimental.OpActivationLinearQuantizerConfig(mode="linear_symmetric"))
        for name in ("insert_prefix_quantize_dequantize_pair", "insert_suffix_quantize_dequantize_pair"):
            graph_pass = PASS_REGISTRY[f"compression::{name}"]
            graph_pass.config, graph_pass.activation_stats = settings, ranges
            graph_pass.apply(program)
        PASS_REGISTRY["common::dequantize_quantize_pair_elimination"].apply(program)
        quantised = ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
        quantised = quantized(mode="linear_symmetric", dtype="int8")(quantised)
        quantised.save(str(tmp_path / "w8a8.mlpackage"))
    held = operators(tmp_path / "w8a8.mlpackage")
    assert {"quantize", "dequantize", AFFINE} <= held
    exact, rounded = run(tmp_path / "float.mlpackage", x), run(tmp_path / "w8a8.mlpackage", x)
    print(f"int8 weights and activations: {psnr(rounded, exact):.1f} dB")
    assert 30 < psnr(rounded, exact) < 60
