"""A network of one's own code: ``package.module:factory`` gives an ``nn.Module``. Module and factory are run for that."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.network.float_network import SIZE_OPTIONS, OutsideNetwork, outside_network
from fcrn_mobile.network.forms import NetworkSpec
from fcrn_mobile.network.outside_weights import check_finite, contract_for, load_weights, sha256_of_weights

__all__ = ["CONTRACT", "open_factory"]

#: Attribute of a network, or of its module of Python, that says its contract: a ``DepthContract``, or a dict of its fields.
CONTRACT = "depth_contract"


def open_factory(spec: NetworkSpec) -> OutsideNetwork:
    """Import, call, load weights.

    The contract is that of ``spec.config``, of a TOML beside the weights, or of the attribute ``CONTRACT`` of the network or else of the
    module that the factory stands in.

    Raises:
        InputError: no such module or factory, one that fails or gives no network, weights or a contract that do not fit.
    """
    module, factory = _factory(spec.model)
    network = _called(spec.model, factory)
    if spec.weights is not None:
        load_weights(network, spec.weights)
    check_finite(spec.model, network.state_dict())
    own = getattr(network, CONTRACT, None) or getattr(module, CONTRACT, None)
    contract = contract_for(spec, own, spec.weights)
    size = spec.size or contract.usual_size
    if size is None:
        raise InputError(f"'{spec.model}' takes pictures of many sizes: say which with {SIZE_OPTIONS}, or sizes in its contract")
    source = Path(str(module.__file__))
    sha256 = sha256_of([spec.weights]) if spec.weights else sha256_of_weights(network)
    return outside_network(spec.model.rpartition(":")[2], network, contract, size, spec.weights or source, sha256, spec.model)


def _factory(model: str) -> tuple[Any, Any]:
    """The module and what stands in it under the name."""
    name, _, attribute = model.partition(":")
    try:
        with _working_folder_first():
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # somebody else's code, which may be a program
        reason = brief(error, 160) or "no message"
        raise InputError(
            f"module '{name}' of '{model}' cannot be imported ({type(error).__name__}: {reason}): "
            "start where it lies, or put its folder into PYTHONPATH"
        ) from error
    try:
        return module, getattr(module, attribute)
    except AttributeError as error:
        raise InputError(
            f"module '{name}' ('{getattr(module, '__file__', None) or 'no file'}') has no '{attribute}': "
            "name a function or class that gives a network"
        ) from error


def _called(model: str, factory: Any) -> nn.Module:
    try:
        network = factory if isinstance(factory, nn.Module) else factory()
    except (Exception, SystemExit) as error:  # somebody else's code
        reason = brief(error, 160) or "no message"
        raise InputError(f"'{model}' fails when it is called without arguments ({type(error).__name__}: {reason})") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"'{model}' gives {type(network).__name__}, not a torch.nn.Module: name a function or class that gives a network")
    return network


@contextmanager
def _working_folder_first() -> Iterator[None]:
    """Modules in the working folder can be imported, as they can with ``python -m``."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
