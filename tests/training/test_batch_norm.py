"""Batch norms measured anew, against plain means and variances of all that they meet."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fcrn_mobile.data import open_source
from fcrn_mobile.data.loading import Loading
from fcrn_mobile.data.mixture import open_mixture
from fcrn_mobile.data.module import depth_data
from fcrn_mobile.data.transforms import Augmentation, image_tensor, resize
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.batch_norm import reestimate
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.regularisation import regularise
from fcrn_mobile.training.run import Run, make_run
from fcrn_mobile.training.train import train


def brightening(count: int, size: int = 4) -> list[Tensor]:
    """Batches that differ from each other, the last one smaller: a mean of their variances is not the variance of all."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(size - (n == count - 1), 3, 64, 96, generator=generator) * (n + 1) / count for n in range(count)]


def norms(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}


def test_statistics_are_the_plain_mean_and_variance_over_all_batches(tiny_config, settle) -> None:
    network, batches = settle(FCRN(tiny_config)), brightening(3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    met: dict[str, list[np.ndarray]] = {name: [] for name in norms(network)}
    twin = settle(FCRN(tiny_config))
    twin.load_state_dict(before)
    for name, norm in norms(twin).items():
        norm.register_forward_pre_hook(lambda _, inputs, name=name: met[name].append(inputs[0].double().numpy()))
    with torch.no_grad():
        for images in batches:
            twin.train()(images)  # each batch by its own statistics
    reestimate(network, batches)
    assert not network.training and not any(norm.training for norm in norms(network).values())
    for name, norm in norms(network).items():
        values = np.concatenate([each.transpose(1, 0, 2, 3).reshape(each.shape[1], -1) for each in met[name]], axis=1)
        np.testing.assert_allclose(norm.running_mean, values.mean(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(norm.running_var, values.var(1, ddof=1), rtol=1e-3, atol=1e-7)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) or "running" in name or "num_batches" in name


def test_the_first_norm_has_the_moments_of_its_convolution(tiny_config) -> None:
    """Nothing stands in front of it that is normalised: no network need run for the expected value."""
    network, batches = FCRN(tiny_config).train(), brightening(4)
    reestimate(network, iter(batches))
    assert network.training
    first, norm = next(iter(network.encoder.children())), next(iter(norms(network).values()))
    with torch.no_grad():
        y = first((torch.cat(batches) - network.mean) / network.std).double()
    np.testing.assert_allclose(norm.running_mean, y.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_var, y.var((0, 2, 3)), rtol=1e-4)


def test_nothing_is_left_out_while_statistics_are_measured(tiny_config) -> None:
    network, batches = FCRN(replace(tiny_config, laterals="concat")).train(), brightening(2)
    reestimate(network, batches)
    expected = {name: norm.running_mean.clone() for name, norm in norms(network).items()}
    regularise(network, Hyperparameters(stochastic_depth=0.5, drop_coarse=0.5))
    reestimate(network, batches)
    assert all(torch.equal(norm.running_mean, expected[name]) for name, norm in norms(network).items())


def test_without_batches_statistics_stay(tiny_config, settle) -> None:
    network = settle(FCRN(tiny_config))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    reestimate(network, [])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_plain_images_are_an_epochs_frames_without_augmentation() -> None:
    source = open_source("sample#train")
    data = depth_data(source, source, (64, 96), Augmentation((64, 96)), Loading(4, 0, 3))
    names = [name for batch in data.train_dataloader() for name in batch.names]
    images = torch.cat(list(data.plain_images()))
    expected = [image_tensor(resize(source[source.names.index(name)], 64, 96).image) for name in names]
    assert torch.equal(images, torch.stack(expected))


def test_plain_images_of_a_mixture_are_as_many_of_each_source_as_training_shows() -> None:
    mixture = open_mixture("sample#train + sample#val*2")
    data = depth_data(mixture, open_source("sample#val"), (32, 48), Augmentation((32, 48)), Loading(2, 0, 3))
    assert sum(len(images) for images in data.plain_images()) == sum(mixture.shown)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_ends_with_statistics_of_its_plain_images(ema: float, small_run: Run, tmp_path: Path) -> None:
    hyper = replace(small_run.hyper, ema=ema, drop_out=0.2, reestimate_batch_norm=True)
    train(replace(small_run, hyper=hyper), tmp_path / "anew")
    train(replace(small_run, hyper=replace(hyper, reestimate_batch_norm=False)), tmp_path / "running")
    anew, running = (load_file(tmp_path / name / "last.safetensors") for name in ("anew", "running"))
    network = FCRN(small_run.network)
    network.load_state_dict(anew)
    source = open_source("sample#val")
    images = torch.stack([image_tensor(resize(source[index], 32, 48).image) for index in range(len(source))])
    with torch.no_grad():
        y = network.encoder.layers[0]((images - network.mean) / network.std).double()
    norm = network.encoder.layers[1]
    np.testing.assert_allclose(norm.running_mean, y.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm.running_var, y.var((0, 2, 3)), rtol=1e-3)
    # Training itself is the same.
    for name, value in running.items():
        assert torch.equal(value, anew[name]) != ("running_" in name or "num_batches" in name)


def test_a_network_for_deployment_has_no_batch_norms_to_measure() -> None:
    with pytest.raises(InputError, match="--reestimate-batch-norm does not go with --quantization int4"):
        make_run({"data": "sample", "resume": "builtin", "quantization": "int4", "reestimate_batch_norm": True})
