"""A folder of Hugging Face form (config.json, preprocessor_config.json, model.safetensors), read through ``transformers`` from disk only.

What a folder does not say is as in ``transformers`` 5: a class of pictures' preparation has its own defaults.
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fcrn_mobile.depth_contract import Depth, DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.network.float_network import SIZE_OPTIONS, OutsideNetwork, outside_network
from fcrn_mobile.network.forms import NetworkSpec
from fcrn_mobile.network.outside_weights import check_finite, contract_for

__all__ = ["FAMILIES", "DepthProInMetres", "Family", "open_folder"]

_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
#: Output of all depth estimators of ``transformers``.
_OUTPUT = "predicted_depth"


class DepthProInMetres(nn.Module):
    """Depth Pro with the metres that its post-processing makes.

    Its map C is inverse depth for a focal length as long as the picture is wide; depth is f / (w·C) with f in pixels (Bochkovskii et al.
    2024, arXiv 2410.02073, section 3), and w / f = 2·tan(fov / 2) of the horizontal field of view, which the network estimates as well if
    it was built with that part.

    Args:
        network: ``DepthProForDepthEstimation``.
    """

    one: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("one", torch.ones(1, 1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        output = self.network(pixels)
        inverse = output.predicted_depth.unsqueeze(1)
        if output.field_of_view is not None:
            inverse = inverse * (2 * torch.tan(torch.deg2rad(output.field_of_view) / 2)).view(-1, 1, 1, 1)
        # Not 1 / x, which becomes a reciprocal: Core ML adds 1e-4 to what it inverts. The limits are those of its authors.
        return {_OUTPUT: torch.div(self.one, inverse.clamp(1e-4, 1e4))}


@dataclass(frozen=True)
class Family:
    """Depth estimators of one ``model_type``.

    Attributes:
        depth: what comes out, by the configuration.
        multiple: of what a picture's sides are, by the configuration; a preparation that says more than 1 has the last word.
        size: of the pictures it was trained for, where the preparation does not say.
        normalises: whether its preparation normalises unless it says otherwise, by mean and std of one half then.
        one_size: whether no other size runs.
        wraps: into what gives the depth that is meant.
        focal_length: over the picture's width, of the camera that its metres hold for, by the configuration.
    """

    depth: Callable[[Any], Depth]
    multiple: Callable[[Any], int]
    size: tuple[int, int] | None = None
    normalises: bool = True
    one_size: bool = False
    wraps: Callable[[nn.Module], nn.Module] | None = None
    focal_length: Callable[[Any], float | None] = lambda _: None


#: By ``model_type``. Sizes are those of the published models' own preparation; GLPN's takes NYU's frames as they are.
FAMILIES: dict[str, Family] = {
    "depth_anything": Family(
        lambda config: "metres" if config.depth_estimation_type == "metric" else "inverse",
        lambda config: int(config.patch_size),
        (518, 518),
    ),
    "dpt": Family(lambda _: "inverse", lambda config: int(config.patch_size), (384, 384)),
    "glpn": Family(lambda _: "metres", lambda _: 32, (480, 640), normalises=False),
    "zoedepth": Family(lambda _: "metres", lambda _: 32, (384, 512)),
    "depth_pro": Family(
        lambda _: "metres",
        lambda _: 1,
        (1536, 1536),
        one_size=True,
        wraps=DepthProInMetres,
        focal_length=lambda config: None if config.use_fov_model else 1.0,
    ),
}


def open_folder(spec: NetworkSpec) -> OutsideNetwork:
    """Read a folder; nothing is fetched, and no code in it is run.

    Raises:
        InputError: ``transformers`` is not installed; files are missing or damaged, or are not a depth estimator's.
    """
    folder = spec.path
    model_type = _json(folder / _CONFIG, "give a folder as save_pretrained writes it").get("model_type")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(f"folder '{folder}' has no model.safetensors: save it with save_pretrained, or download the file, too")
    network, config = _loaded(folder, str(model_type))
    check_finite(str(folder), network.state_dict())
    family = FAMILIES.get(str(model_type))
    try:
        own, size = _described(folder, family, config) if family else (None, None)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"'{folder / _PREPROCESSOR}' has a value of a wrong kind ({brief(error, 120)}): download it again") from error
    contract = contract_for(spec, own, folder / _CONFIG)
    size = spec.size or contract.usual_size or size
    if size is None:
        raise InputError(f"'{folder}' does not say at what size it runs: give {SIZE_OPTIONS}")
    # The preparation too: mean and std are inside of what is exported.
    described = [path for path in (folder / _CONFIG, folder / _PREPROCESSOR) if path.is_file()]
    kind, sha256 = type(network).__name__, sha256_of([*described, *weights])
    whole = family.wraps(network) if family and family.wraps else network
    return outside_network(folder.resolve().name, whole, contract, size, folder, sha256, kind)


def _loaded(folder: Path, model_type: str) -> tuple[nn.Module, Any]:
    """The network and its configuration."""
    if importlib.util.find_spec("transformers") is None:
        raise InputError(f"'{folder}' needs the extra `transformers`: pip install 'fcrn-mobile[transformers]'")
    from transformers import AutoModelForDepthEstimation, logging
    from transformers.models.auto.modeling_auto import MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES as KNOWN

    if model_type not in KNOWN:
        raise InputError(f"'{folder}' is of the type '{model_type}', no depth estimator: transformers has {', '.join(KNOWN)}")
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # for good: the network goes on to give notes on its training loss whenever it is traced
    logging.disable_progress_bar()
    try:
        network, report = AutoModelForDepthEstimation.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:  # damaged files, or packages that a backbone needs: transformers raises many kinds
        raise InputError(f"transformers cannot read '{folder}' ({type(error).__name__}: {brief(error, 160)})") from error
    finally:
        if bars:
            logging.enable_progress_bar()
    for what in ("missing_keys", "mismatched_keys"):
        if keys := sorted(map(str, report[what])):
            raise InputError(f"'{folder}' lacks weights that fit: {', '.join(keys[:3])} ({len(keys)} in all): download it again")
    return network, network.config


def _described(folder: Path, family: Family, config: Any) -> tuple[DepthContract, tuple[int, int] | None]:
    """What the files say of the picture and the depth, and the usual size."""
    prepared = _json(folder / _PREPROCESSOR, "it says how pixels are normalised: download it, too")
    size = _size(prepared.get("size")) or family.size
    mean, std = _normalisation(prepared, family)
    focal = family.focal_length(config)
    width = size[1] if size and focal else None
    multiple = prepared.get("ensure_multiple_of") or prepared.get("size_divisor") or family.multiple(config)
    values = {
        "depth": family.depth(config),
        "output": _OUTPUT,
        "mean": mean,
        "std": std,
        "multiple": int(multiple) if multiple > 1 else family.multiple(config),
        "sizes": [list(size)] if family.one_size and size else [],
    }
    camera = {"focal_length": focal * width, "focal_width": width} if focal and width else {}
    return DepthContract.from_dict(values | camera), size


def _normalisation(prepared: dict[str, Any], family: Family) -> tuple[list[float], list[float]]:
    """Mean and std of pixels in 0..1; the preparation's are of pixels times its own factor, usually 1 / 255."""
    mean, std = [0.0] * 3, [1.0] * 3
    if prepared.get("do_normalize", family.normalises):
        mean, std = (prepared.get(key) or [0.5] * 3 for key in ("image_mean", "image_std"))
    factor = (prepared.get("rescale_factor") or 1 / 255) if prepared.get("do_rescale", True) else 1.0
    return [value / (255 * factor) for value in mean], [value / (255 * factor) for value in std]


def _size(value: Any) -> tuple[int, int] | None:
    """Height and width of ``{"height": 518, "width": 518}`` or 384; None for nothing or another way to say it."""
    if isinstance(value, dict) and {"height", "width"} <= value.keys():
        return int(value["height"]), int(value["width"])
    return (value, value) if isinstance(value, int) else None


def _json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no {path.name} in '{path.parent}': {remedy}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not readable JSON ({brief(error, 120)}): download it again") from error
    if not isinstance(values, dict):
        raise InputError(f"'{path}' holds no table: download it again")
    return values
