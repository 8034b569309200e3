"""Steps, clipping and averages against formulas by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from torch import Tensor

from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.training import train as training
from fcrn_mobile.training.average import MovingAverage
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.losses import depth_loss
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.supervised import Supervised, SupervisedTraining


class Recorder(Callback):
    """Weights before training and after every step, and the gradients of every batch by themselves."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.weights.append(flat(pl_module.network))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        network = FCRN(pl_module.network.config)
        network.load_state_dict(pl_module.network.state_dict())
        depth_loss("l1", network.train()(batch.images), batch.depths).backward()
        self.gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.weights.append(flat(pl_module.network))


def flat(network: FCRN) -> Tensor:
    return torch.cat([parameter.detach().clone().flatten() for parameter in network.parameters()])


@pytest.fixture
def recorded(tiny_config: FCRNConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Trains an epoch of five batches by plain SGD and returns what was recorded."""

    def record(**changes: Any) -> Recorder:
        recorder = Recorder()
        monkeypatch.setattr(training, "TQDMProgressBar", lambda: recorder)
        hyper = Hyperparameters(epochs=1, batch_size=4, optimizer="sgd", momentum=0.0, weight_decay=0.0, lr=1e-2, schedule="constant")
        training.train(Run(tiny_config, replace(hyper, **changes), "sample"), tmp_path / "run", progress=True)
        return recorder

    return record


def close(step: Tensor, expected: Tensor) -> None:
    assert float((step - expected).norm() / expected.norm()) < 0.02


def test_a_step_follows_the_gradient_of_its_batch(recorded: Any) -> None:
    recorder = recorded()
    close(recorder.weights[1] - recorder.weights[0], -1e-2 * recorder.gradients[0])


def test_accumulated_batches_make_one_step_along_their_mean_gradient(recorded: Any) -> None:
    recorder = recorded(accumulate=2)
    assert torch.equal(recorder.weights[1], recorder.weights[0])
    close(recorder.weights[2] - recorder.weights[0], -1e-2 * (recorder.gradients[0] + recorder.gradients[1]) / 2)


def test_clipping_scales_a_long_gradient_down_to_the_norm(recorded: Any) -> None:
    recorder = recorded(clip_norm=0.5, lr=0.1)
    assert float(recorder.gradients[0].norm()) > 0.5
    step = recorder.weights[1] - recorder.weights[0]
    assert float(step.norm()) == pytest.approx(0.5 * 0.1, rel=1e-3)
    close(step, -0.1 * 0.5 * recorder.gradients[0] / recorder.gradients[0].norm())


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_optimizers_step_by_their_formulas(optimizer: str, momentum: float, decay: float, tiny_config: FCRNConfig) -> None:
    settings = {"optimizer": optimizer, "momentum": momentum, "weight_decay": decay, "lr": 0.1, "schedule": "constant"}
    module = SupervisedTraining(FCRN(tiny_config), Hyperparameters(**settings), Supervised())  # type: ignore[arg-type]
    made = module.configure_optimizers()
    assert sum(len(group["params"]) for group in made.param_groups) == len(list(module.network.parameters()))
    expected, velocity = flat(module.network).double(), 0.0
    for gradient in (0.5, -0.2):
        for parameter in module.network.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        made.step()
        if optimizer == "sgd":
            # Decay is part of the gradient (Sutskever et al. 2013 as torch writes it): v ← μv + g + λw, w ← w - ηv.
            velocity = momentum * velocity + gradient + decay * expected
            expected = expected - 0.1 * velocity
        elif gradient > 0:
            # Decay is apart from it (Loshchilov & Hutter 2019), and Adam's first step is of the learning rate: w ← (1 - ηλ)w - η.
            expected = (1 - 0.1 * decay) * expected - 0.1
        else:
            continue
        torch.testing.assert_close(flat(module.network).double(), expected, rtol=1e-4, atol=1e-5)


def test_a_moving_average_follows_its_formula(tiny_config: FCRNConfig) -> None:
    network = FCRN(tiny_config)
    average = MovingAverage(network, 0.6)
    expected = flat(network).double()
    for number in range(1, 8):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
            network.bn.running_mean.add_(1.0)
        average.update(network)
        decay = min(0.6, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * flat(network).double()
    torch.testing.assert_close(flat(average.network).double(), expected, rtol=1e-5, atol=1e-5)
    assert 0 < float(average.network.bn.running_mean[0]) < float(network.bn.running_mean[0])


def test_the_average_is_what_is_validated_and_saved(tiny_config: FCRNConfig, tmp_path: Path) -> None:
    hyper = Hyperparameters(epochs=1, batch_size=4, ema=0.999)
    saved = training.train(Run(tiny_config, hyper, "sample", encoder_weights="random"), tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    assert int(state["average.steps"]) == 5
    for key, value in saved.network.state_dict().items():
        assert torch.equal(value, state[f"average.network.{key}"])
    assert not torch.equal(state["network.head.weight"], state["average.network.head.weight"])


def test_training_from_a_checkpoint_starts_with_its_weights(tiny_config: FCRNConfig, tmp_path: Path) -> None:
    hyper = Hyperparameters(epochs=1, batch_size=4, optimizer="sgd", weight_decay=0.0, lr=1e-12, schedule="constant")
    builtin = load_checkpoint("builtin")
    run = Run(replace(builtin.network.config, input_size=(64, 96)), hyper, "sample", start="builtin")
    result = training.train(run, tmp_path / "run")
    torch.testing.assert_close(flat(result.network), flat(builtin.network))
    assert result.training.start == "builtin"
