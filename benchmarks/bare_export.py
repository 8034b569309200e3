"""What one writes without this project to make an fp16 package of the built-in network: rebuild it, trace it, convert it, save it.

python benchmarks/bare_export.py OUT.mlpackage
"""

import sys
from pathlib import Path

import coremltools as ct
import torch
from safetensors.torch import load_file

from fcrn_mobile.network.fcrn import FCRN, preset

WEIGHTS = Path(__file__).parents[1] / "fcrn_mobile" / "network" / "builtin.safetensors"


def main(out: str) -> None:
    """Convert the network as it was trained; the conversion folds batch norms itself."""
    config = preset("fcrn-lite0-lateral")
    network = FCRN(config).eval()
    network.load_state_dict({key: value.float() for key, value in load_file(WEIGHTS).items()}, strict=False)
    size = (1, 3, *config.input_size)
    model = ct.convert(
        torch.jit.trace(network, torch.rand(size)),
        convert_to="mlprogram",
        inputs=[ct.ImageType(name="image", shape=size, scale=1 / 255)],
        outputs=[ct.ImageType(name="depth", color_layout=ct.colorlayout.GRAYSCALE_FLOAT16)],
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )
    model.save(out)


if __name__ == "__main__":
    main(sys.argv[1])
