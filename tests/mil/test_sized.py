"""What a package of several sizes costs at each, against torch's own count and packages of that size alone."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fcrn_mobile.doctor.diagnosis import diagnose
from fcrn_mobile.latency.estimate import estimate
from fcrn_mobile.mil.graph import Graph, read_graph
from fcrn_mobile.mil.summary import summarise
from fcrn_mobile.package.errors import MilError
from tests.mil.build import convert, ct

SIZES = ((32, 48), (48, 32), (64, 96))


class Net(nn.Module):
    """Convolutions, a product of positions with each other, and a linear layer on them."""

    def __init__(self, channels_last: bool = False) -> None:
        super().__init__()
        self.stem, self.mix, self.head = nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.Linear(8, 8), nn.Conv2d(8, 1, 1)
        self.channels_last = channels_last

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stem(x.permute(0, 3, 1, 2) if self.channels_last else x)
        rows = self.mix(maps.flatten(2).transpose(1, 2))
        rows = torch.softmax(rows @ rows.transpose(1, 2), -1) @ rows
        return self.head(rows.transpose(1, 2).reshape(maps.shape))


def counted(network: nn.Module, example: Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(example)
    return counter.get_total_flops() / 2


@dataclass
class Form:
    """How an input says its sizes."""

    network: Callable[[], Net]
    example: Callable[[int, int], Tensor]
    taken: Callable[[], Any]


def image(shapes: Any) -> Any:
    return ct.ImageType("image", shape=shapes, scale=1 / 255)


FORMS = {
    "images": Form(Net, lambda h, w: torch.rand(1, 3, h, w), lambda: image(ct.EnumeratedShapes([(1, 3, *size) for size in SIZES]))),
    "arrays": Form(
        Net, lambda h, w: torch.rand(1, 3, h, w), lambda: ct.TensorType("image", ct.EnumeratedShapes([(1, 3, *size) for size in SIZES]))
    ),
    "channels last": Form(
        lambda: Net(channels_last=True),
        lambda h, w: torch.rand(1, h, w, 3),
        lambda: ct.TensorType("image", ct.EnumeratedShapes([(1, *size, 3) for size in SIZES])),
    ),
    "a range": Form(
        Net,
        lambda h, w: torch.rand(1, 3, h, w),
        lambda: ct.TensorType("image", ct.Shape((1, 3, ct.RangeDim(32, 128, 32), ct.RangeDim(32, 128, 48)))),
    ),
}


@pytest.fixture(scope="module", params=FORMS)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Form, Net, Path]:
    form = FORMS[request.param]
    torch.manual_seed(0)
    network = form.network().eval()
    folder = tmp_path_factory.mktemp("sized")
    return form, network, convert(network, [form.example(*SIZES[0])], folder, inputs=[form.taken()])


def costs(graph: Graph) -> int:
    return sum(node.macs for node in graph.nodes)


def test_multiplications_are_what_torch_counts_at_each_size(package: tuple[Form, Net, Path]) -> None:
    form, network, path = package
    for size in (None, *SIZES):
        expected = counted(network, form.example(*(size or SIZES[0])))
        summary = summarise(path, size=size)
        assert costs(read_graph(path, size=size)) == summary.macs == expected
        pictures = form is FORMS["images"]
        shape = (size or SIZES[0]) if pictures else form.example(*(size or SIZES[0])).shape
        assert summary.counted_at == [f"image {'×'.join(map(str, shape))}"]
        assert summary.uncounted == []


def test_the_estimate_is_that_of_a_package_of_this_size_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    form, network, half = FORMS["images"], Net().eval(), {"compute_precision": ct.precision.FLOAT16}
    several = convert(network, [form.example(*SIZES[0])], tmp_path, inputs=[form.taken()], **half)
    for number, size in enumerate(SIZES):
        alone = convert(network, [form.example(*size)], tmp_path, f"alone{number}", inputs=[image((1, 3, *size))], **half)
        ours, theirs = estimate(read_graph(several, size=size)), estimate(read_graph(alone))
        assert (ours.network.gmacs, ours.network.weights_mb) == (theirs.network.gmacs, theirs.network.weights_mb)
        # Reshapes compute the picture's size in the one, and have it as a constant in the other.
        assert ours.network.activations_mb == pytest.approx(theirs.network.activations_mb, rel=0.2)
        assert not any("flexible" in chip.reason for chip in ours.chips) and any(chip.ms for chip in ours.chips)


def test_a_size_that_it_does_not_take_is_named(package: tuple[Form, Net, Path]) -> None:
    path = package[2]
    for read in (summarise, read_graph, diagnose):
        with pytest.raises(MilError, match=r"image .*32.*, not the 8×8 of --size"):
            read(path, size=(8, 8))


def test_a_package_of_one_size_takes_its_own_alone(tmp_path: Path) -> None:
    path = convert(Net().eval(), [torch.rand(1, 3, 32, 48)], tmp_path, inputs=[image((1, 3, 32, 48))])
    assert summarise(path, size=(32, 48)) == summarise(path)
    with pytest.raises(MilError, match="takes image 32×48, not the 48×32"):
        read_graph(path, size=(48, 32))
