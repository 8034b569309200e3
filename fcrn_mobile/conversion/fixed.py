"""What a network from outside computes without looking at the picture, computed once in float before its conversion.

Such parts stop converters: Core ML has no bicubic interpolation, with which vision transformers fit their position embeddings to the
input's size (Dosovitskiy et al. 2021, arXiv 2010.11929, section 3.2), and no in-place assignment to a table of relative positions. At one
size their result is a constant.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fcrn_mobile.network.float_network import ContractedNetwork

__all__ = ["Constant", "FixedNetwork", "fixed"]

_HALF = 0.5


class Constant(nn.Module):
    """Gives the same tensor whenever it is called."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.value


class FixedNetwork(ContractedNetwork):
    """A network whose resizes of what does not depend on the picture are constants.

    Args:
        contracted: the network.
        resizes: the result by the number of the resize, in the order in which the network calls them.
    """

    def __init__(self, contracted: ContractedNetwork, resizes: Mapping[int, Tensor]) -> None:
        super().__init__(contracted.network, contracted.contract)
        self.mean, self.std = contracted.mean, contracted.std
        for number, result in resizes.items():
            self.register_buffer(f"resize_{number}", result)

    def forward(self, image: Tensor) -> Tensor:
        with _Resizes(lambda number: getattr(self, f"resize_{number}", None)):
            return super().forward(image)


def fixed(network: ContractedNetwork, size: tuple[int, int], tracing: bool = False) -> ContractedNetwork:
    """The network with such parts as constants, for pictures of one size.

    Modules that are called without any tensor are replaced (in place); resizes that give the same for two pictures are answered.

    Args:
        network: in evaluation mode, taking 0..1 or 0..255; the caller's own to change.
        size: height and width in pixels.
        tracing: whether it is to be traced: some networks call other resizes then.
    """
    pictures = [_picture(network, size, seed) for seed in (0, 1)]
    _replace_modules(network, pictures)
    first, second = (_recorded(network, picture, tracing) for picture in pictures)
    same = {number: one for number, (one, other) in enumerate(zip(first, second, strict=False)) if torch.equal(one, other)}
    return FixedNetwork(network, same).eval() if same else network


def _picture(network: ContractedNetwork, size: tuple[int, int], seed: int) -> Tensor:
    """Random values about the network's mean."""
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) - _HALF
    return network.mean + network.std * noise


class _Resizes(TorchFunctionMode):
    """Answers calls of a resize that it knows the result of, and records the results of the others."""

    def __init__(self, answer: Callable[[int], Tensor | None] = lambda _: None) -> None:
        super().__init__()
        self.answer = answer
        self.results: list[Tensor] = []
        self._count = 0

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        if not _is_resize(func):
            return func(*args, **(kwargs or {}))
        result = self.answer(self._count)
        self._count += 1
        if result is None:
            result = func(*args, **(kwargs or {}))
            self.results.append(result)
        return result


def _is_resize(func: Any) -> bool:
    """Whether it is ``torch.nn.functional.interpolate`` or an ATen operator behind it."""
    name = getattr(func, "__name__", "")
    return name == "interpolate" or name.startswith(("upsample_", "_upsample_"))


def _recorded(network: nn.Module, picture: Tensor, tracing: bool) -> list[Tensor]:
    with torch.no_grad(), _Resizes() as resizes:
        if tracing:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.jit.trace(network, picture, check_trace=False)
        else:
            network(picture)
    return [result.detach().clone() for result in resizes.results]


def _replace_modules(network: nn.Module, pictures: Sequence[Tensor]) -> None:
    """Replace modules that are called without a tensor and always give the same one."""
    results: dict[str, list[Any]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            results.setdefault(name, []).append(output if _is_plain([args, kwargs]) else None)

        return hook

    modules = dict(network.named_modules())
    handles = [module.register_forward_hook(note(name), with_kwargs=True) for name, module in modules.items() if name]
    with torch.no_grad():
        for picture in pictures:
            network(picture)
    for handle in handles:
        handle.remove()
    for name, (first, *others) in results.items():
        if isinstance(first, Tensor) and all(isinstance(one, Tensor) and torch.equal(one, first) for one in others):
            parent, _, child = name.rpartition(".")
            setattr(modules[parent], child, Constant(first))


def _is_plain(value: Any) -> bool:
    """Whether there is no tensor, nor anything else that could hold one, in it."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
