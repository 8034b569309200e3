"""Foreign checkpoints, read into ours: dontLoveBugs/FCRN_pytorch, fangchangma/sparse-to-dense.pytorch (RGB only) and iro-cp's (``iro_cp``).

The first two are this network: the same encoder with torchvision's keys, the same up-blocks (each value unpooled to the top-left of its
cell, then 5×5), batch norms of eps 1e-5. They take RGB in 0..1 without mean or standard deviation. Their prediction has no bias, so
ours becomes zero. They end in a bilinear enlargement to the input's size (align_corners=True), which is no part of ours: our output
is the depth before it, at half resolution.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.network.checkpoints import not_finite
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.foreign_keys import require_fit, some
from fcrn_mobile.network.foreign_numpy import is_npy
from fcrn_mobile.network.foreign_pickle import read_torch_file
from fcrn_mobile.network.foreign_weights import Candidate, Group, described, largest, networks
from fcrn_mobile.network.iro_cp import read_iro_cp
from fcrn_mobile.network.resnet import RESNETS
from fcrn_mobile.network.training_record import TrainingRecord

__all__ = ["FORMATS", "IRO_CP", "TORCH_FORMATS", "Imported", "import_network"]

#: Format of a file of ``torch.save`` → the name of the decoder in its keys.
TORCH_FORMATS = {"fcrn-pytorch": "upSample", "sparse-to-dense": "decoder"}
IRO_CP = "iro-cp"
FORMATS = (*TORCH_FORMATS, IRO_CP)

#: A key of every ResNet's encoder.
_ENCODER_KEY = "layer1.0.conv1.weight"
#: Both PyTorch projects train NYU Depth V2 at this height and width.
_INPUT_SIZE = (228, 304)

#: Up-block → key in it by which it is recognised, and our names → theirs.
_UP_BLOCKS = {
    "upproj": (
        "bottom_branch.conv.weight",
        {
            "upper_conv1": "upper_branch.conv1",
            "upper_bn1": "upper_branch.batchnorm1",
            "upper_conv2": "upper_branch.conv2",
            "upper_bn2": "upper_branch.batchnorm2",
            "lower_conv": "bottom_branch.conv",
            "lower_bn": "bottom_branch.batchnorm",
        },
    ),
    "upconv": ("conv.weight", {"conv": "conv", "bn": "batchnorm"}),
    "deconv2": ("deconv2.weight", {"conv": "deconv2", "bn": "batchnorm"}),
    "deconv3": ("deconv3.weight", {"conv": "deconv3", "bn": "batchnorm"}),
}
_BEHIND_ENCODER = {"conv": "conv2", "bn": "bn2", "head": "conv3"}


@dataclass(frozen=True)
class Imported:
    """A foreign checkpoint as a network of ours.

    Attributes:
        network: float32, in evaluation mode.
        training: what the new checkpoint says of its origin; ``place`` only where the file holds several networks.
        others: places of the file's other networks.
    """

    network: FCRN
    training: TrainingRecord
    others: tuple[str, ...] = ()


def import_network(path: Path, layout: str | None = None) -> Imported:
    """Read a foreign checkpoint; nothing in it is executed.

    Args:
        path: a file of ``torch.save``: the pickled network (as both projects save it) or its state dict, within whatever containers and
            wrappers, see ``foreign_weights``; of several networks a moving average is taken, else the first. Or iro-cp's .npy.
        layout: one of ``FORMATS``; None recognises it from the content.

    Raises:
        InputError: not such a file, another network, or weights that are missing, left over, of another shape or not finite.
    """
    place = ""
    others: tuple[str, ...] = ()
    if layout is not None:
        require_known("format", layout, FORMATS)
    if is_npy(path):
        if layout not in (None, IRO_CP):
            raise InputError(f"'{path}' is a .npy file, as {IRO_CP} gives away, not one of {layout}: leave --format out")
        layout = IRO_CP
        config, state = read_iro_cp(path)
        network = FCRN(config)
    else:
        if layout == IRO_CP:
            raise InputError(f"no .npy file at '{path}', which is how {IRO_CP} gives its weights away: give NYU_ResNet-UpProj.npy")
        foreign = read_torch_file(path)
        layout, candidate, others = _recognise(path, foreign.groups, layout)
        network = FCRN(_config(path, candidate.tensors, layout, foreign.upsampled_to or _INPUT_SIZE))
        state, place = _renamed(path, network, candidate.tensors, layout), candidate.place if others else ""
    if names := not_finite(state):
        raise InputError(f"'{path}' holds weights that are not finite ({names}): its training diverged, give a sound checkpoint")
    network.load_state_dict(state)
    origin = TrainingRecord(imported_from=layout, file=path.name, sha256=sha256_of([path]), place=place)
    return Imported(network.eval(), origin, others)


def _recognise(path: Path, groups: list[Group], layout: str | None) -> tuple[str, Candidate, tuple[str, ...]]:
    """The format, the network's weights, and where other networks stand."""
    formats = {name: f"{decoder}.layer" for name, decoder in TORCH_FORMATS.items() if layout in (None, name)}
    candidates = networks(groups, (_ENCODER_KEY, *formats.values()))
    whole = [(name, one) for one in candidates for name, sign in formats.items() if any(key.startswith(sign) for key in one.tensors)]
    if whole:
        # One that lacks its encoder is named as that, unless there is a better one.
        whole.sort(key=lambda pair: _ENCODER_KEY not in pair[1].tensors)
        name, taken = whole[0]
        return name, taken, tuple(one.place for _, one in whole[1:] if _ENCODER_KEY in one.tensors)
    if layout is not None:
        return layout, candidates[0] if candidates else largest(groups), ()
    if candidates:
        command = shlex.join(["fcrn-mobile", "train", "--encoder-weights", str(path)])
        raise InputError(f"'{path}' holds a ResNet without a decoder: start training from it with {command}")
    raise InputError(
        f"'{path}' holds {described(groups)}: neither a checkpoint of {' nor of '.join(TORCH_FORMATS)}, which have "
        f"{_ENCODER_KEY} and {' or '.join(f'{decoder}.layer1.*' for decoder in TORCH_FORMATS.values())}, whatever stands before them"
    )


def _config(path: Path, tensors: dict[str, Tensor], layout: str, input_size: tuple[int, int]) -> FCRNConfig:
    encoder = _encoder(path, tensors)
    first_conv, last_conv = tensors.get("conv1.weight"), tensors.get("conv2.weight")
    if first_conv is None or last_conv is None or first_conv.dim() != 4 or last_conv.dim() != 4:
        raise InputError(f"'{path}' lacks the kernels conv1.weight or conv2.weight: give a whole checkpoint of {layout}")
    channels, width = first_conv.shape[1], last_conv.shape[0]
    if channels != 3:
        raise InputError(f"'{path}' takes {channels} channels (RGB with sparse depth?): give a checkpoint that was trained on RGB alone")
    first = f"{TORCH_FORMATS[layout]}.layer1."
    decoder = next((name for name, (key, _) in _UP_BLOCKS.items() if first + key in tensors), None)
    if decoder is None:
        names = some(sorted(key for key in tensors if key.startswith(first)))
        raise InputError(f"'{path}' has an up-block of another kind ({first}* holds {names}): known are {', '.join(_UP_BLOCKS)}")
    return FCRNConfig(
        preset=f"fcrn-{encoder}",
        encoder=encoder,
        decoder=decoder,
        widths=tuple(width // 2**step for step in range(5)),
        input_size=input_size,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def _encoder(path: Path, tensors: dict[str, Tensor]) -> str:
    kind = "bottleneck" if "layer1.0.conv3.weight" in tensors else "basic"
    blocks = {match.groups() for key in tensors if (match := re.match(r"layer([1-4])\.(\d+)\.", key))}
    repeats = tuple(sum(stage == str(number) for stage, _ in blocks) for number in range(1, 5))
    for name, description in RESNETS.items():
        if description == (kind, repeats):
            return name
    raise InputError(f"'{path}' has an encoder of {repeats} {kind} blocks: known are {', '.join(RESNETS)}")


def _renamed(path: Path, network: FCRN, tensors: dict[str, Tensor], layout: str) -> dict[str, Tensor]:
    """Their tensors under our keys, all of ours and none of theirs left over."""
    ours = network.state_dict()
    theirs = {key: _foreign_key(key, network.config.decoder, TORCH_FORMATS[layout]) for key in ours}
    # torch before 0.4.1 did not count batches, and neither network has a bias in its prediction.
    absent = {key for key, name in theirs.items() if name not in tensors and key.endswith(("num_batches_tracked", "head.bias"))}
    require_fit(
        path,
        f"{network.config.encoder} with {network.config.decoder} of {layout}",
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        {theirs[key]: tuple(value.shape) for key, value in ours.items()},
        optional=frozenset(theirs[key] for key in absent),
    )
    return {key: torch.zeros_like(ours[key]) if key in absent else tensors[name] for key, name in theirs.items()}


def _foreign_key(key: str, decoder: str, prefix: str) -> str:
    part, _, rest = key.partition(".")
    if part == "encoder":
        return rest
    if part == "decoder":
        block, module, tensor = rest.split(".")
        return f"{prefix}.layer{int(block) + 1}.{_UP_BLOCKS[decoder][1][module]}.{tensor}"
    return f"{_BEHIND_ENCODER[part]}.{rest}"
