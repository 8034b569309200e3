"""A ``.pt2`` as ``torch.export.save`` writes it: a graph with its weights, of one size or of several."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.network.float_network import SIZE_OPTIONS, OutsideNetwork, outside_network
from fcrn_mobile.network.forms import NetworkSpec
from fcrn_mobile.network.outside_weights import check_finite, contract_for

__all__ = ["GraphNetwork", "open_exported"]


class GraphNetwork(nn.Module):
    """The network of an exported program: its graph, whose mode was fixed when it was exported.

    Args:
        program: of one picture; its parameters and buffers become this module's, by their names.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        graph: Any = program.module()
        # The module that torch makes refuses eval() and train(); a plain one of the same graph has the same weights.
        self.program = torch.fx.GraphModule(graph, graph.graph)

    def forward(self, image: Tensor) -> Any:
        return self.program(image)


def open_exported(spec: NetworkSpec) -> OutsideNetwork:
    """Read a program; its contract is that of ``spec.config``, or of a TOML beside it.

    Raises:
        InputError: damaged, of another version of torch, not of one picture, or without a contract.
    """
    path = spec.path
    try:
        program = torch.export.load(path)
    except Exception as error:  # damaged files and other versions end in many kinds
        raise InputError(
            f"'{path}' is not a program that torch {torch.__version__} reads ({brief(error, 160)}): export it again"
        ) from error
    contract = contract_for(spec, None, path)
    size = spec.size or contract.usual_size or _size(path, program, contract)
    network = GraphNetwork(program)
    check_finite(str(path), network.state_dict())
    return outside_network(path.stem, network, contract, size, path, sha256_of([path]), "torch.export program")


def _size(path: Path, program: torch.export.ExportedProgram, contract: DepthContract) -> tuple[int, int]:
    """Height and width of the picture that the graph takes, where they are fixed."""
    names = program.graph_signature.user_inputs
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(values) != 1 or not isinstance(values[0], Tensor) or values[0].dim() != 4:
        raise InputError(f"'{path}' takes {len(values)} inputs, not one picture N×3×height×width: export the part that takes it")
    sides = values[0].shape[2:] if contract.layout == "channels-first" else values[0].shape[1:3]
    if not all(isinstance(side, int) for side in sides):
        raise InputError(f"'{path}' takes pictures of many sizes: say which with {SIZE_OPTIONS}, or sizes in its model config")
    return int(sides[0]), int(sides[1])
