"""What training leaves out of a network at random: hooks that act in training mode alone and are no part of the network.

What stays is scaled so that every map's expectation is what it is without. Batch norms learn the spread of maps with parts left out, and
see them whole afterwards, see ``LoopSettings.reestimate_batch_norm``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN, DepthNetwork
from fcrn_mobile.training.loop import REGULARISATION, LoopSettings

__all__ = ["regularise", "require_regularisable"]


def require_regularisable(network: DepthNetwork, hyper: LoopSettings) -> None:
    """Pass if a network has what the settings leave out.

    Raises:
        InputError: it has not.
    """
    setting = next((name for name in REGULARISATION if getattr(hyper, name)), None)
    if setting is None:
        return
    if not isinstance(network, FCRN):
        raise InputError(f"{setting} is for training in float: leave it out")
    if hyper.drop_coarse and not network.laterals:
        raise InputError("drop_coarse leaves out what a lateral gets from the coarser level, and there are no laterals: add --laterals")
    if hyper.stochastic_depth and next(network.encoder.residual_branches(), None) is None:
        raise InputError(f"stochastic_depth leaves out residual blocks, and encoder '{network.config.encoder}' has none: leave it out")


def regularise(network: DepthNetwork, hyper: LoopSettings) -> list[RemovableHandle]:
    """Leave parts of a network out whenever it runs in training mode, until the handles are removed.

    - ``stochastic_depth`` P (Huang et al. 2016, arXiv 1603.09382): the l-th of L residual branches is left out with probability P·l/L, per
      image.
    - ``drop_out`` P: each value in front of the prediction is left out with probability P, where FCRN's authors have theirs in their
      release. Batch norms behind it would learn another spread than they meet afterwards (Li et al. 2018, arXiv 1801.05134).
    - ``drop_coarse`` P: with probability P per image, what one lateral gets from the decoder's coarser level is left out, so that it has to
      do with the encoder's map; every lateral is as likely. Our own choice, after DropPath (Larsson et al. 2017, arXiv 1605.07648), which
      leaves out one of two paths that are joined.

    Raises:
        InputError: the network has nothing of the kind.
    """
    require_regularisable(network, hyper)
    handles: list[RemovableHandle] = []
    if not isinstance(network, FCRN):
        return handles
    if hyper.stochastic_depth:
        branches = list(network.encoder.residual_branches())
        for number, branch in enumerate(branches, start=1):
            handles.append(branch.register_forward_hook(_BranchDrop(network, hyper.stochastic_depth * number / len(branches))))
    if hyper.drop_out:
        handles.append(network.head.register_forward_pre_hook(_ValueDrop(network, hyper.drop_out)))
    if hyper.drop_coarse:
        coarse = _CoarseDrop(network, hyper.drop_coarse)
        handles += [lateral.register_forward_pre_hook(coarse) for lateral in network.laterals]
    return handles


class _BranchDrop:
    """A forward hook on the end of a residual branch."""

    def __init__(self, network: FCRN, probability: float) -> None:
        self.network, self.probability = network, probability

    def __call__(self, _: nn.Module, __: tuple[Tensor, ...], branch: Tensor) -> Tensor | None:
        if not self.network.training:
            return None
        rest = 1 - self.probability
        return branch * (branch.new_empty(len(branch), 1, 1, 1).bernoulli_(rest) / rest)


class _ValueDrop:
    """A forward pre-hook on the prediction."""

    def __init__(self, network: FCRN, probability: float) -> None:
        self.network, self.probability = network, probability

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (F.dropout(inputs[0], self.probability, self.network.training),)


class _CoarseDrop:
    """A forward pre-hook on all laterals, of which the first, which runs first, draws for all."""

    def __init__(self, network: FCRN, probability: float) -> None:
        self.network, self.probability = network, probability
        self.levels = torch.empty(0)

    def __call__(self, lateral: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not self.network.training:
            return inputs
        coarse, encoded = inputs
        places = list(self.network.laterals)
        if lateral is places[0]:
            # The level that is left out of each image; those behind the last are none.
            self.levels = torch.rand(len(coarse), device=coarse.device) * len(places) / self.probability
        whole = self.levels.long() != places.index(lateral)
        return coarse * (whole.view(-1, 1, 1, 1) / (1 - self.probability / len(places))).to(coarse.dtype), encoded
