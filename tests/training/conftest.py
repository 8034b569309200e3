"""What several tests of training share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fcrn_mobile.network.fcrn import preset
from fcrn_mobile.training import train as training
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run


@pytest.fixture
def broken_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run, Path], None]:
    """Trains a run that breaks down after its first epoch."""

    def broken_off(run: Run, folder: Path) -> None:
        original = training.RunCheckpoints.on_train_epoch_end

        def stop_after_first(self, trainer, module) -> None:
            original(self, trainer, module)
            if trainer.current_epoch == 0:
                raise RuntimeError("stopped")

        with monkeypatch.context() as patch:
            patch.setattr(training.RunCheckpoints, "on_train_epoch_end", stop_after_first)
            with pytest.raises(RuntimeError, match="stopped"):
                training.train(run, folder)

    return broken_off


@pytest.fixture
def small_run() -> Run:
    """Two epochs of two steps, in a second."""
    network = preset("fcrn-plain", widths=(16, 8, 8, 8), input_size=(32, 48))
    hyper = Hyperparameters(epochs=2, batch_size=2, lr=1e-2, print_freq=1)
    return Run(network, hyper, "sample#val", "sample#val", encoder_weights="random")
