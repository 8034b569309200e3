"""Weights and contracts of networks from outside, read from the files that a ``NetworkSpec`` names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fcrn_mobile.depth_contract import DepthContract, config_beside, read_contract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.network.checkpoints import not_finite
from fcrn_mobile.network.foreign_keys import require_fit
from fcrn_mobile.network.foreign_pickle import read_torch_file
from fcrn_mobile.network.foreign_weights import Group, largest, networks
from fcrn_mobile.network.forms import NetworkSpec

__all__ = ["check_finite", "contract_for", "load_weights", "sha256_of_weights"]

#: Of a batch norm; torch before 0.4.1 did not count batches.
_COUNTER = "num_batches_tracked"


def contract_for(spec: NetworkSpec, own: DepthContract | Mapping[str, Any] | None, beside: Path | None) -> DepthContract:
    """The contract of a network: what its config says, over what the network says of itself.

    Args:
        spec: with the config, if one was given.
        own: what the network says of itself, as a contract or as its plain values.
        beside: file beside which a config may lie; None for nothing.

    Raises:
        InputError: nothing says what its depth means, or a config is wrong.
    """
    if own is not None and not isinstance(own, DepthContract):
        if not isinstance(own, Mapping):
            raise InputError(f"contract of '{spec.model}' is {own!r:.80}: give a DepthContract, or a dict of its fields")
        try:
            own = DepthContract.from_dict(own)
        except InputError as error:
            raise InputError(f"contract of '{spec.model}': {error}") from error
    config = spec.config or (config_beside(beside) if beside else None)
    if config is not None:
        return read_contract(config, own)
    if own is None:
        remedy = "give --model-config FILE, a TOML with depth and, if it normalises pixels, mean and std"
        raise InputError(f"'{spec.model}' does not say what it takes and what its depth means: {remedy}")
    return own


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights into a network, in place; nothing in the file is run.

    Args:
        network: whose state dict they are.
        path: a .safetensors, or a file of ``torch.save`` with the state dict in whatever containers and behind whatever wrappers' prefixes.

    Raises:
        InputError: unreadable, or weights that are missing, left over, of another shape or not finite.
    """
    if path.suffix == ".safetensors":
        try:
            groups = [Group("", dict(load_file(path)))]
        except (SafetensorError, OSError) as error:
            raise InputError(f"'{path}' is not a readable .safetensors file ({brief(error, 120)}): save or download it again") from error
    else:
        groups = read_torch_file(path).groups
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    candidates = networks(groups, tuple(expected))
    tensors: dict[str, Tensor] = max(candidates or [largest(groups)], key=lambda one: len(expected.keys() & one.tensors.keys())).tensors
    counters = frozenset(key for key in expected if key.endswith(_COUNTER))
    require_fit(path, f"'{type(network).__name__}'", {key: tuple(value.shape) for key, value in tensors.items()}, expected, counters)
    check_finite(str(path), tensors)
    network.load_state_dict({key: value.to(network.state_dict()[key].dtype) for key, value in tensors.items()}, strict=False)


def check_finite(name: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not finite.

    Raises:
        InputError: names the first of them.
    """
    if names := not_finite(tensors):
        raise InputError(f"'{name}' holds weights that are not finite ({names}): its training diverged, give sound ones")


def sha256_of_weights(network: nn.Module) -> str:
    """Hash of a network's names and weights, for one that no file holds."""
    weights = ((key, value.detach().cpu().float().contiguous().numpy()) for key, value in network.state_dict().items())
    return sha256_of(part for key, values in weights for part in (key.encode(), values.tobytes()))
