"""Checkpoint → ``.aimodel``: deploy, export, convert, describe, save. Needs the optional extra ``coreai``."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from fcrn_mobile.conversion.artefact import AUTHOR, INPUT_NAME, LICENCE, OUTPUT_NAME, Conversion
from fcrn_mobile.depth_contract import RGB_255
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.deploy import taking_pixels
from fcrn_mobile.package.metadata import Metadata

if TYPE_CHECKING:
    from coreai.authoring import AIProgram
    from coreai.runtime import AIModelAssetMetadata

__all__ = ["convert", "describe", "quiet_coreai", "write_coreai"]


def write_coreai(conversion: Conversion, path: Path) -> None:
    """Write a Core AI asset with input ``image`` 1×3×H×W (RGB in 0..255) and output ``depth`` 1×1×h×w (metres).

    Args:
        conversion: what to write; its precision is that of input, arithmetic and output.
        path: where: a folder, ending in .aimodel.

    Raises:
        InputError: the extra is not installed, or Core AI fails.
    """
    with quiet_coreai():
        network = taking_pixels(conversion.network)
        if conversion.recipe.precision == "fp16":
            network = network.half()
        with conversion.errors:
            program = convert(network, conversion.size)
        program.save_asset(path, metadata=describe(conversion))


def convert(network: nn.Module, size: tuple[int, int]) -> "AIProgram":
    """Core AI program, in the network's own dtype, for one image of the given height and width."""
    from coreai_torch import TorchConverter, get_decomp_table

    example = torch.zeros(1, 3, *size, dtype=next(network.parameters()).dtype)
    exported = torch.export.export(network, (example,)).run_decompositions(get_decomp_table())
    # The other mode writes the source paths of the machine that converts into the asset.
    converter = TorchConverter(mode=TorchConverter.Mode.RELEASE)
    converter.add_exported_program(exported, input_names=[INPUT_NAME], output_names=[OUTPUT_NAME])
    return converter.to_coreai()


def describe(conversion: Conversion) -> "AIModelAssetMetadata":
    """What the asset says about itself: units, author, version, recipe, checkpoint."""
    from coreai.runtime import AIModelAssetMetadata

    checkpoint, metadata = conversion.checkpoint, AIModelAssetMetadata()
    metadata.author = AUTHOR
    metadata.license = LICENCE
    metadata.model_description = f"Monocular depth {conversion.in_units} ({checkpoint.kind}, {conversion.recipe.precision})."
    facts = conversion.metadata | Metadata(input_values=RGB_255).to_dict()
    for key, value in facts.items():
        metadata.set_custom(key, value)
    return metadata


@contextmanager
def quiet_coreai() -> Iterator[None]:
    """Silence Core AI and its converter; their errors still travel as exceptions.

    Raises:
        InputError: the extra ``coreai`` is not installed.
    """
    if find_spec("coreai") is None or find_spec("coreai_torch") is None:
        raise InputError(
            "an .aimodel needs Core AI, which exists for Linux on x86-64 and for macOS 26 or newer on Apple silicon: "
            "pip install 'fcrn-mobile[coreai]'"
        )
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), _closed_descriptors():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _closed_descriptors() -> Iterator[None]:
    """Discard what native code writes past Python's streams."""
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in saved:
            os.dup2(nothing, descriptor)
        yield
    finally:
        for descriptor, copy in saved.items():
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nothing)
