"""From a network in torch to a graph that a converter reads: by tracing, or by ``torch.export``, whichever works."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fcrn_mobile.conversion.fixed import fixed
from fcrn_mobile.network.float_network import ContractedNetwork

__all__ = ["CAPTURES", "SIMILAR", "TRACE", "example", "trace"]

#: The name of tracing.
TRACE = "torch.jit.trace"

#: Largest difference of a captured graph to its network on another picture, relative to the largest output.
SIMILAR = 1e-3


def example(size: tuple[int, int], seed: int = 0) -> Tensor:
    """A random picture, 1×3×H×W in 0..255."""
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) * 255


def trace(network: nn.Module, size: tuple[int, int]) -> torch.jit.ScriptModule:
    """TorchScript of the network for one image of the given height and width."""
    with torch.no_grad(), warnings.catch_warnings():
        # Padding is computed from the input's size, which is fixed here on purpose.
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(network, example(size), check_trace=False)
    return traced


def _traced(network: ContractedNetwork, size: tuple[int, int]) -> torch.jit.ScriptModule:
    traced = trace(fixed(network, size, tracing=True), size)
    _check_same(traced, network, size)
    return traced


def _exported(network: ContractedNetwork, size: tuple[int, int]) -> torch.export.ExportedProgram:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(fixed(network, size), (example(size),)).run_decompositions({})
        _check_same(program.module(), network, size)
    return program


def _check_same(graph: Any, network: nn.Module, size: tuple[int, int]) -> None:
    """Hold a graph to its network on a picture that it was not made with: what a network decides by values, a trace decides for good."""
    picture = example(size, seed=1)
    with torch.no_grad():
        expected, output = network(picture), graph(picture)
    error = float((output - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
    if not error <= SIMILAR:
        raise RuntimeError(
            f"its graph gives other depth for another picture, by {error:.1e} relative: the network decides by the picture's values"
        )


#: By name, in the order in which they are tried: tracing takes a fraction of the time, and keeps what operators are called.
CAPTURES: dict[str, Callable[[ContractedNetwork, tuple[int, int]], Any]] = {TRACE: _traced, "torch.export": _exported}
