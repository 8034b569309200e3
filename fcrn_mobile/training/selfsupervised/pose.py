"""The network that tells how the camera moved, and which pixels that explains; it is needed for training only."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TWIST_SCALE", "PoseNetwork"]

#: Of the seven convolutions of stride 2 (Zhou et al. 2017, figure 4).
_CHANNELS = (16, 32, 64, 128, 256, 256, 256)
_KERNELS = (7, 5, 3, 3, 3, 3, 3)
#: Convolutions that the decoder of the masks stands on, and its channels.
_SHARED = 5
_MASK_CHANNELS = (256, 128, 64, 32, 16)
#: Camera motion between frames is small; so are the first predictions.
TWIST_SCALE = 0.01


class PoseNetwork(nn.Module):
    """Ego-motion from the target's camera to that of every source (Zhou et al. 2017, section 3.5).

    Args:
        sources: source pictures per target.
        explains: whether it predicts explainability masks too.
    """

    def __init__(self, sources: int, explains: bool = False) -> None:
        super().__init__()
        self.sources = sources
        widths = (3 * (1 + sources), *_CHANNELS)
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], kernel, stride=2, padding=kernel // 2) for i, kernel in enumerate(_KERNELS)
        )
        self.twist = nn.Conv2d(_CHANNELS[-1], 6 * sources, 1)
        self.masks = _mask_decoder(sources) if explains else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """Twists and masks of one target and its sources.

        Args:
            pictures: N×(1+S)×3×H×W in 0..1, the target first.

        Returns:
            N×S×6 twists (see ``geometry.pose_matrix``), and N×S×H×W logits of the explainability masks or None.
        """
        height, width = pictures.shape[-2:]
        x = (pictures.flatten(1, 2) - 0.5) * 4  # roughly of unit variance
        shared = x
        for number, conv in enumerate(self.convs, start=1):
            x = F.relu(conv(x))  # N×C×⌈H/2ⁿ⌉×⌈W/2ⁿ⌉
            if number == _SHARED:
                shared = x
        twists = TWIST_SCALE * self.twist(x).mean(dim=(2, 3)).unflatten(1, (self.sources, 6))
        if self.masks is None:
            return twists, None
        return twists, F.interpolate(self.masks(shared), size=(height, width), mode="bilinear", align_corners=False)


def _mask_decoder(sources: int) -> nn.Sequential:
    """Five transposed convolutions that double the resolution, and a prediction of one logit per source."""
    layers: list[nn.Module] = []
    width = _CHANNELS[_SHARED - 1]
    for channels in _MASK_CHANNELS:
        layers += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
        width = channels
    return nn.Sequential(*layers, nn.Conv2d(width, sources, 3, padding=1))
