"""Two processes over gloo against one process with the whole batch."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fcrn_mobile.data.loading import EpochSampler
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.training.batch_norm import reestimate
from fcrn_mobile.training.distributed import SyncedBatchNorm, synchronise_batch_norms
from fcrn_mobile.training.losses import LOSSES, depth_loss
from tests.journeys.command import Result, fcrn

Run = Callable[..., Result]


def whole_batch() -> tuple[Tensor, Tensor]:
    """Four images whose depth is known at very unequal shares of pixels."""
    generator = torch.Generator().manual_seed(5)
    depth = torch.rand(4, 1, 64, 96, generator=generator) * 4 + 0.5
    for index, share in enumerate((0.0, 0.2, 0.7, 1.0)):
        depth[index][torch.rand(1, 64, 96, generator=generator) >= share] = 0
    return torch.rand(4, 3, 64, 96, generator=generator), depth


def fresh_network() -> FCRN:
    torch.manual_seed(0)
    network = FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)))
    # Zero initial biases hide whether batch norm adds them.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.normal_(0, 0.2)
    return network.double().train()


def gradients(network: nn.Module, loss: str, images: Tensor, depths: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    depth_loss(loss, network(images.double()), depths.double()).backward()
    return {name.removeprefix("module."): value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    network = fresh_network()
    synchronise_batch_norms(network)
    parallel = DistributedDataParallel(network)
    images, depths = whole_batch()
    results: dict[str, Any] = {loss: gradients(parallel, loss, images[rank::2], depths[rank::2]) for loss in LOSSES}
    results["buffers"] = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    reestimate(network, (images[rank::2], images[rank::2].flip(-1)))
    results["reestimated"] = {name: value for name, value in network.named_buffers() if "running" in name}
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = str(tmp_path_factory.mktemp("gloo"))
    multiprocessing.spawn(one_of_two, args=(folder,), nprocs=2)
    return [torch.load(f"{folder}/{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    network = fresh_network()
    results: dict[str, Any] = {loss: gradients(network, loss, *whole_batch()) for loss in LOSSES}
    results["buffers"] = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    images, _ = whole_batch()
    reestimate(network, (images, images.flip(-1)))
    results["reestimated"] = {name: value for name, value in network.named_buffers() if "running" in name}
    return results


@pytest.mark.parametrize("loss", list(LOSSES))
def test_two_processes_have_the_gradients_of_one_with_the_whole_batch(both, alone, loss: str) -> None:
    for name, expected in alone[loss].items():
        for own in both:
            torch.testing.assert_close(own[loss][name], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("part", ["buffers", "reestimated"])
def test_two_processes_have_the_batch_norm_statistics_of_one(both, alone, part: str) -> None:
    for name, expected in alone[part].items():
        for own in both:
            torch.testing.assert_close(own[part][name], expected, rtol=1e-9, atol=1e-12)


def train_on(run: Run, devices: int, batch_size: int, folder: Path) -> dict[str, Any]:
    words = ["train", "--data", "sample", "--json", "-"]
    words += ["--input-size", "64x96", "--widths", "16,8,8,8,8", "--epochs", "2", "--loss", "berhu", "--optimizer", "sgd"]
    # Steps too small to magnify float32's rounding, which training does; that the steps are equal is shown above, in double precision.
    words += ["--lr", "1e-7", "--schedule", "constant", "--devices", str(devices), "--batch-size", str(batch_size), "--out", str(folder)]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    if devices > 1:
        assert done.stderr.count("epoch 2/2") == 1, "only the first process speaks"
    return json.loads(done.stdout)


def test_a_run_on_two_processes_ends_with_the_metrics_of_one(call: Run, tmp_path: Path) -> None:
    two, one = train_on(partial(fcrn, cwd=tmp_path), 2, 5, tmp_path / "two"), train_on(call, 1, 10, tmp_path / "one")
    assert two["metrics"]["images"] == one["metrics"]["images"] == 4
    for key, value in one["metrics"].items():
        assert two["metrics"][key] == (pytest.approx(value, rel=2e-4) if isinstance(value, float) else value)
    assert two["training"]["processes"] == 2


def test_merged_metrics_are_those_of_all_images() -> None:
    rng = np.random.default_rng(0)
    whole, parts = DepthMetrics(protocol("eigen")), [DepthMetrics(protocol("eigen")) for _ in range(2)]
    for index in range(5):
        predicted, true = (rng.uniform(0.5, 5, (24, 32)).astype(np.float32) for _ in range(2))
        whole.update(predicted, true, str(index))
        parts[index % 2].update(predicted, true, str(index))
    parts[0].merge(parts[1])
    merged, expected = parts[0].compute(), whole.compute()
    assert merged.keys() == expected.keys()
    for key, value in expected.items():
        assert merged[key] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


def test_processes_share_the_frames_of_each_batch_without_overlap() -> None:
    alone, first, second = EpochSampler(11, 3), EpochSampler(11, 3, 0, 2), EpochSampler(11, 3, 1, 2)
    taken = [frame for pair in zip(first, second, strict=True) for frame in pair]
    assert taken == list(alone)[:10]
    assert len(first) == len(second) == 5


def test_synced_batch_norms_hold_the_same_tensors_under_the_same_names() -> None:
    network = fresh_network()
    before = network.state_dict(keep_vars=True)
    settings = [(module.eps, module.momentum) for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    synchronise_batch_norms(network)
    after = network.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    synced = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(type(module) is SyncedBatchNorm and module.training for module in synced)
    assert [(module.eps, module.momentum) for module in synced] == settings
