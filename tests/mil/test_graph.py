from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fcrn_mobile.latency.estimate import estimate, notes
from fcrn_mobile.mil.graph import read_graph
from fcrn_mobile.mil.summary import summarise
from tests.mil.build import convert, ct, mb, quiet_coremltools, save_program

with quiet_coremltools():
    from coremltools.optimize import coreml as cto


def counted(function: Callable[..., Any], *inputs: np.ndarray) -> float:
    """Multiply-accumulates as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        function(*map(torch.from_numpy, inputs))
    return counter.get_total_flops() / 2


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


PRODUCTS: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[np.ndarray]]] = {
    "attention": (
        lambda q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
        lambda q, k, v: torch.softmax(q @ k.mT, -1) @ v,
        [normal(2, 3, 5, 8), normal(2, 3, 7, 8), normal(2, 3, 7, 4)],
    ),
    "einsum": (
        lambda x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
        lambda x, y: torch.einsum("nchw,nwhu->nchu", x, y),
        [normal(2, 8, 3, 5), normal(2, 5, 3, 7)],
    ),
    "matrix product": (
        lambda x, y: mb.matmul(x=x, y=y, transpose_x=True),
        lambda x, y: x.mT @ y,
        [normal(2, 6, 5), normal(2, 6, 7)],
    ),
    "transposed convolution": (
        lambda x: mb.conv_transpose(x=x, weight=np.ones((6, 4, 3, 3), np.float32), strides=[2, 2]),
        lambda x: nn.functional.conv_transpose2d(x, torch.ones(6, 4, 3, 3), stride=2),
        [normal(1, 6, 5, 7)],
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_multiply_accumulates_are_what_torch_counts(name: str, tmp_path: Path) -> None:
    body, function, inputs = PRODUCTS[name]
    path = save_program(tmp_path, body, inputs, target="iOS18")
    assert sum(node.macs for node in read_graph(path).nodes) == counted(function, *inputs)
    assert summarise(path).macs == counted(function, *inputs)


COMPRESSIONS = {
    "int8 iOS16": ("iOS16", lambda m: cto.linear_quantize_weights(m, of(cto.OpLinearQuantizerConfig(mode="linear_symmetric")))),
    "int4 in blocks iOS18": (
        "iOS18",
        lambda m: cto.linear_quantize_weights(
            m, of(cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=32))
        ),
    ),
    "4-bit palette iOS16": ("iOS16", lambda m: cto.palettize_weights(m, of(cto.OpPalettizerConfig(mode="uniform", nbits=4)))),
    "6-bit palette iOS18": ("iOS18", lambda m: cto.palettize_weights(m, of(cto.OpPalettizerConfig(mode="uniform", nbits=6)))),
    "half pruned iOS16": ("iOS16", lambda m: cto.prune_weights(m, of(cto.OpMagnitudePrunerConfig(target_sparsity=0.5)))),
}


def of(config: Any) -> Any:
    return cto.OptimizationConfig(global_config=config)


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_stored_bytes_are_those_of_the_weights_file(name: str, tmp_path: Path) -> None:
    target, compress = COMPRESSIONS[name]
    torch.manual_seed(0)
    network = nn.Conv2d(64, 64, 3, padding=1)  # coremltools prunes nothing above 65,504 weights
    arguments = {"minimum_deployment_target": getattr(ct.target, target), "compute_precision": ct.precision.FLOAT16}
    path = convert(network, [torch.rand(1, 64, 8, 32)], tmp_path, inputs=[ct.TensorType("x", shape=(1, 64, 8, 32))], **arguments)
    with quiet_coremltools():
        smaller = compress(ct.models.MLModel(str(path), skip_model_load=True))
        smaller.save(str(tmp_path / "small.mlpackage"))
    graph = read_graph(tmp_path / "small.mlpackage")
    (conv,) = [node for node in graph.nodes if node.kind == "conv"]
    weight = conv.weights["weight"]
    on_disk = (tmp_path / "small.mlpackage/Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    assert weight.compressed
    assert weight.tensor.shape == (64, 64, 3, 3)
    assert weight.stored_bytes < 64 * 64 * 9 * 2 * 0.7
    assert graph.weight_bytes == pytest.approx(on_disk, rel=0.02)


def test_what_loops_and_branches_run_is_seen_and_counted_once(tmp_path) -> None:
    """A product of matrices in the body of a loop, in a branch and outside; weights and unsupported operators inside are found too."""
    weight = np.ones((40, 40), np.float16)

    def body(x0, s0):
        def branch():
            return mb.matmul(x=x0, y=weight)

        def looped(n, x):
            return mb.add(x=n, y=1), mb.matmul(x=x, y=weight + np.float16(1))

        x = mb.while_loop(_cond=lambda n, x: mb.less(x=n, y=3), _body=looped, loop_vars=(0, x0))[1]
        pred = mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1], keep_dims=False), y=np.float16(0))
        x = mb.cond(pred=pred, _true_fn=branch, _false_fn=lambda: mb.relu(x=x0))
        return mb.coreml_update_state(state=s0, value=mb.matmul(x=x, y=weight + np.float16(2)))

    path = save_program(tmp_path, body, [np.zeros((2, 40), np.float16)], "iOS18", [(2, 40)])
    graph = read_graph(path)
    products = [node for node in graph.nodes if node.kind == "matmul"]
    assert [node.macs for node in products] == [2 * 40 * 40] * 3
    assert [node.weights["y"].stored_bytes for node in products] == [weight.nbytes] * 3
    assert graph.weight_bytes >= 3 * weight.nbytes
    assert {"while_loop", "cond", "add", "less", "relu", "write_state"} <= {node.kind for node in graph.nodes}
    summary = summarise(path)
    assert summary.macs == 3 * 2 * 40 * 40
    assert summary.counted_once == ["cond", "while_loop"]
    assert summary.states == ["s0: FLOAT16 array 2×40."]
    assert summary.inputs == ["x0: FLOAT16 array 2×40."]
    assert summary.weights == {"FLOAT16": 3 * weight.nbytes}
    assert summary.unsupported == []
    assert any("no estimate: how often cond, while_loop runs what is inside" in note for note in notes(estimate(graph)))
