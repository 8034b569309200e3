"""A run that diverges stops before it saves anything."""

import torch
from lightning import LightningModule
from torch import Tensor

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import not_finite

__all__ = ["DivergenceError", "require_finite_loss", "require_finite_weights"]


class DivergenceError(InputError):
    """The loss or a weight is no longer finite; what was saved before is sound."""


def require_finite_loss(module: LightningModule, loss: Tensor, names: tuple[str, ...]) -> None:
    """Pass if a batch's loss is finite.

    Raises:
        DivergenceError: it is not.
    """
    if not torch.isfinite(loss):
        raise DivergenceError(
            f"loss is {loss.item()} on {', '.join(names[:8])} in epoch {module.current_epoch + 1}, step {module.global_step + 1}: "
            f"{_remedy(module)} or check these frames"
        )


def require_finite_weights(module: LightningModule) -> None:
    """Pass if every parameter and buffer is finite.

    Raises:
        DivergenceError: one is not.
    """
    if names := not_finite(module.state_dict()):
        raise DivergenceError(
            f"weights are not finite ({names}) in epoch {module.current_epoch + 1}, after step {module.global_step}: {_remedy(module)}"
        )


def _remedy(module: LightningModule) -> str:
    return f"lower --lr (now {module.hparams['lr']:g})"
