"""How far a captured graph may be from its network, and what the network is shown before it is captured."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fcrn_mobile.conversion import capture
from fcrn_mobile.conversion.capture import CAPTURES, TRACE, example, trace
from fcrn_mobile.conversion.fixed import Constant, fixed
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.network.float_network import ContractedNetwork

SIZE = (4, 6)
CONTRACT = DepthContract("inverse", mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.5))


class Level(nn.Module):
    """The same depth everywhere."""

    def __init__(self, depth: float) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * 0 + self.depth


@pytest.mark.parametrize("depth", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize(("apart", "same"), [(0, True), (0.9e-3, True), (-0.9e-3, True), (1.1e-3, False), (-1.1e-3, False)])
def test_a_graph_is_held_to_a_thousandth_of_the_largest_depth(
    depth: float, apart: float, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ContractedNetwork(Level(depth), CONTRACT).eval()
    other = Level(depth * (1 + apart))
    monkeypatch.setattr(capture, "trace", lambda network, size: other)
    if same:
        assert CAPTURES[TRACE](network, SIZE) is other
    else:
        with pytest.raises(RuntimeError, match=r"other depth for another picture, by 1\.1e-03 relative: .*by the picture's values"):
            CAPTURES[TRACE](network, SIZE)


def test_no_depth_at_all_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "trace", lambda network, size: Level(0.0))
    assert CAPTURES[TRACE](ContractedNetwork(Level(0.0), CONTRACT).eval(), SIZE).depth == 0


@pytest.mark.parametrize("way", CAPTURES)
def test_a_graph_is_held_to_its_network_on_another_picture(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a network decides by a picture's values, its graph has decided by the picture that it was made with."""

    class Recognising(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1] * (2 if torch.compiler.is_compiling() or torch.jit.is_tracing() else 3)

    with pytest.raises(RuntimeError, match="gives other depth for another picture"):
        CAPTURES[way](ContractedNetwork(Recognising(), CONTRACT).eval(), SIZE)
    shown: list[Tensor] = []

    class Shown(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            shown.append(x)
            return x[:, :1]

    monkeypatch.setattr(capture, "trace", lambda network, size: Shown())
    monkeypatch.setattr(capture, "fixed", lambda network, *_, **__: network)
    CAPTURES[TRACE](Shown(), SIZE)  # type: ignore[arg-type]
    assert torch.equal(*shown) and not torch.equal(shown[0], example(SIZE))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_depth_that_is_no_number_is_not_the_same(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "trace", lambda network, size: Level(value))
    with pytest.raises(RuntimeError, match="gives other depth for another picture"):
        CAPTURES[TRACE](ContractedNetwork(Level(1.0), CONTRACT).eval(), SIZE)


def test_an_example_is_a_picture_of_0_to_255_by_its_seed() -> None:
    picture = example((40, 60))
    assert picture.shape == (1, 3, 40, 60)
    assert 0 <= picture.min() < 1 and 254 < picture.max() <= 255
    assert torch.equal(picture, example((40, 60), 0)) and not torch.equal(picture, example((40, 60), 1))
    assert trace(Level(3.0), SIZE)(example(SIZE)).unique().tolist() == [3.0]


class Looking(nn.Module):
    """Keeps what it is shown; holds modules that are called without a tensor, twice each."""

    def __init__(self, *answers: Callable[[], object]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Answer(answer) for answer in answers)
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach().clone())
        for part in (*self.parts, *self.parts):
            part(3)
        return x[:, :1]


class Answer(nn.Module):
    def __init__(self, answer: Callable[[], object]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, rows: int) -> object:
        return self.answer()


def test_the_pictures_lie_half_a_deviation_about_the_mean() -> None:
    network = Looking()
    fixed(ContractedNetwork(network, CONTRACT).eval(), (40, 60))
    first, second = network.shown[:2]
    assert first.shape == (1, 3, 40, 60) and not torch.equal(first, second)
    for shown in (first, second):
        assert shown.amin((0, 2, 3)).tolist() == pytest.approx([-0.5] * 3, abs=0.01)
        assert shown.amax((0, 2, 3)).tolist() == pytest.approx([0.5] * 3, abs=0.01)


def test_only_what_always_gives_the_same_tensor_is_replaced_and_nothing_listens_on() -> None:
    numbers = iter(range(1000))
    answers = (lambda: torch.ones(2), lambda: torch.tensor(next(numbers)), lambda: [torch.ones(2)], lambda: None)
    contracted = ContractedNetwork(Looking(*answers), CONTRACT).eval()
    network = fixed(contracted, SIZE)
    assert network is contracted, "no resize"
    assert [type(part) for part in network.network.parts] == [Constant, Answer, Answer, Answer]
    assert network.network.parts[0].value.tolist() == [1, 1]
    assert not any(module._forward_hooks for module in network.modules())
