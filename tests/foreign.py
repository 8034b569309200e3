"""Checkpoints as other projects save them: pickled objects of classes that cannot be imported where the file is read."""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

MODULE = "somebody_elses_network"
#: Pickles that would run something, whatever is read with them.
HOSTILE = (b"cbuiltins\nexec\n(Vopen('ran','w')\ntR.", b"cos\nsystem\n(Vtouch ran\ntR.", b"(Vtouch ran\nios\nsystem\n.")


@contextmanager
def foreign_module() -> Iterator[Any]:
    """The foreign classes, importable only within."""
    spec = importlib.util.spec_from_file_location(MODULE, Path(__file__).parent / "network" / "foreign_network.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[MODULE]


class Touch:
    """A pickle of this makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def settled(network: nn.Module, channels: int = 3) -> nn.Module:
    """Give a random network batch-norm statistics and affine terms as training would."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            module.momentum = None
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(2, channels, 64, 96, generator=generator))
    return network.eval()


def foreign_network(path: Path, name: str, kind: str = "upproj", zipped: bool = True, **sizes: Any) -> nn.Module:
    """Build a foreign network and save it as both projects' training scripts do, among its arguments, result and used optimizer."""
    with foreign_module() as module:
        network = settled(module.ResNet(name, kind, **sizes), sizes.get("channels", 3))
        optimizer = torch.optim.SGD(network.parameters(), 1e-9, momentum=0.9)
        if not zipped:
            for parameter in network.conv3.parameters():
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
        content = {
            "args": argparse.Namespace(arch="resnet18", decoder=kind),
            "epoch": 9,
            "model": nn.DataParallel(network),
            "best_result": module.Result(),
            "optimizer": optimizer,
        }
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return network
