"""What counts as constant before a network's conversion: by how a module is called, and by what a resize gives."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.conversion.fixed import Constant, fixed
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.network.float_network import ContractedNetwork

SIZE = (4, 6)


def contracted(network: nn.Module) -> ContractedNetwork:
    return ContractedNetwork(network, DepthContract(mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.5))).eval()


class Ones(nn.Module):
    """The same tensor, however it is called."""

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return torch.ones(2)


class Calling(nn.Module):
    """Calls a part of its own in some way."""

    def __init__(self, call: Callable[[nn.Module, Tensor], object], part: nn.Module | None = None) -> None:
        super().__init__()
        self.call, self.part, self.shown = call, part or Ones(), list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        self.call(self.part, x)
        return x[:, :1]


@pytest.mark.parametrize(
    ("call", "constant"),
    [
        (lambda part, x: part(), True),
        (lambda part, x: part(3, None, True, 0.5, "a", (1, [2]), x.shape, sizes={"height": 3}), True),
        (lambda part, x: part(3, x), False),
        (lambda part, x: part(x, 3), False),
        (lambda part, x: part([3, [x]]), False),
        (lambda part, x: part(3, size=x), False),
        (lambda part, x: part(x, size=3), False),
        (lambda part, x: part(sizes={"height": 3, "map": x}), False),
        (lambda part, x: part(sizes={"map": x, "height": 3}), False),
        (lambda part, x: part(object()), False),
        (lambda part, x: (part(3), part(x)), False),
        (lambda part, x: (part(x), part(3)), False),
    ],
)
def test_a_module_is_constant_if_nothing_that_it_is_given_holds_a_tensor(call: Callable[..., object], constant: bool) -> None:
    network = fixed(contracted(Calling(call)), SIZE)
    assert isinstance(network.network.part, Constant) == constant


class Middle(nn.Module):
    """Asks a part of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Ones()

    def forward(self) -> Tensor:
        return self.part(3)


class Shy(nn.Module):
    """Asks the parts inside of it when it is called again, not the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.middle, self.asked = Middle(), 0

    def forward(self, _: int) -> Tensor:
        self.asked += 1
        return self.middle() if self.asked > 1 else torch.ones(2)


def test_parts_of_a_part_that_is_constant_go_with_it() -> None:
    network = fixed(contracted(Calling(lambda part, x: part(3), Shy())), SIZE)
    assert isinstance(network.network.part, Constant)
    assert [name for name, _ in network.network.named_modules()] == ["", "part"]


class Resizing(nn.Module):
    """Resizes of a picture and of a grid of its own, by the function of torch and by operators behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.arange(4.0).reshape(1, 1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        near = torch._C._nn.upsample_nearest2d(self.grid, SIZE)
        seen = F.interpolate(F.interpolate(x[:, :1], size=(2, 3)), size=SIZE)
        smooth = torch._C._nn._upsample_bilinear2d_aa(self.grid, SIZE, False)
        if torch.jit.is_tracing():
            near = near + F.interpolate(self.grid, size=SIZE)
        if int(x.sum()) > 10**6:  # of which tracing warns
            near = near * 2
        return seen + near + smooth * x[:, 1:2]


@pytest.mark.parametrize(("asked", "numbers"), [({}, [0, 3]), ({"tracing": False}, [0, 3]), ({"tracing": True}, [0, 3, 4])])
def test_resizes_of_what_no_picture_changes_are_answered(asked: dict[str, bool], numbers: list[int]) -> None:
    network, pictures = contracted(Resizing()), torch.rand(2, 1, 3, *SIZE)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        before = [network(picture) for picture in pictures]
        constant = fixed(network, SIZE, **asked)
        assert [name for name, _ in constant.named_buffers() if "resize" in name] == [f"resize_{number}" for number in numbers]
        constant.network.grid.zero_()  # nobody looks at it any longer
        for picture, depth in zip(pictures, before, strict=True):
            assert torch.equal(constant(picture), depth)
            assert torch.equal(constant(picture), depth), "resizes are counted anew in each call"
        assert not torch.equal(network(pictures[0]), before[0])


@pytest.mark.parametrize("tracing", [False, True])
def test_a_network_is_looked_at_twice_with_each_of_two_pictures(tracing: bool) -> None:
    network = Calling(lambda part, x: None)
    fixed(contracted(network), SIZE, tracing)
    first, second, *again = network.shown
    assert not torch.equal(first, second)
    assert [torch.equal(*each) for each in zip(again, (first, second), strict=True)] == [True, True]
