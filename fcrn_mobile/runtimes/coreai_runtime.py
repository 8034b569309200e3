"""A Core AI asset through Apple's CPU runtime, on Linux and macOS. Needs the optional extra ``coreai``."""

import asyncio
import hashlib
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.conversion.coreai import quiet_coreai
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_interface import DepthInterface, Port
from fcrn_mobile.package.metadata import model_contract
from fcrn_mobile.runtimes.runtime import model_name, run_failure

if TYPE_CHECKING:
    from coreai.authoring import AIModelAsset
    from coreai.runtime import AIModelAssetSummary, InferenceFunction

__all__ = ["ENTRY", "CoreAIRuntime", "Result", "finished", "open_asset", "read_metadata", "summarise"]

ENTRY = "main"
_PROGRAM, _HASH, _METADATA = "main.mlirb", "main.hash", "metadata.json"

Result = TypeVar("Result")


class CoreAIRuntime:
    """Runs an asset of one picture in, float32 or float16, and one depth map out; those of this project take RGB in 0..255, 1×3×H×W."""

    backend = "coreai"

    def __init__(self, path: Path, model_config: Path | None = None) -> None:
        asset, signature = open_asset(path)
        self.name = model_name(path)
        self.path = path
        self.metadata = read_metadata(path)
        contract = model_contract(path, self.metadata, model_config)
        if contract is None or contract.mean is None or ENTRY not in signature.function_names:
            raise InputError(
                f"'{path}' does not say which pixels it maps to depth: export it with fcrn-mobile, or give --model-config FILE"
            )
        with quiet_coreai():
            self._function = finished(_load(asset))
        description = self._function.desc
        inputs = [_port(name, description.input_descriptor(name)) for name in description.input_names]
        outputs = [_port(name, description.output_descriptor(name)) for name in description.output_names]
        self._interface = DepthInterface.of(f"'{path}'", inputs, outputs, contract)
        self.contract, self.input_size = self._interface.contract, self._interface.size

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            output = finished(self._run(np.ascontiguousarray(self._interface.picture(image))))
        except Exception as error:
            raise run_failure(f"'{self.path}'", error) from error
        return self._interface.depth(output, image)

    async def _run(self, pixels: NDArray[Any]) -> NDArray[Any]:
        from coreai.runtime import NDArray as CoreAIArray

        outputs = await self._function({self._interface.input.name: CoreAIArray(pixels)})
        result: NDArray[Any] = outputs[self._interface.output.name].numpy()
        return result


def _port(name: str, described: Any) -> Port:
    """As Core AI describes it; lengths below 0 are open."""
    return Port(name, np.dtype(described.dtype).name, tuple(side if side >= 0 else None for side in described.shape))


def open_asset(path: Path) -> "tuple[AIModelAsset, AIModelAssetSummary]":
    """An asset and the signatures of its functions.

    Raises:
        InputError: the extra is not installed, or ``path`` is not a whole asset.
    """
    with quiet_coreai():
        from coreai.authoring import AIModelAsset

        _check_whole(path)
        try:
            asset = AIModelAsset.load(path)
            signature = asset.summary(include_statistics=False)
        except RuntimeError as error:
            raise InputError(f"'{path}' is not an asset that Core AI reads ({error}): export it again") from error
        if signature is None or not signature.function_names:
            raise InputError(f"'{path}' holds no program that Core AI reads: export it again")
    return asset, signature


def summarise(path: Path) -> dict[str, Any]:
    """What an asset takes, gives and says about itself, without running it.

    Returns:
        JSON-serialisable: ``inputs`` and ``outputs`` as text, ``metadata``.

    Raises:
        InputError: the extra is not installed, or ``path`` is not a whole asset.
    """
    _, signature = open_asset(path)
    return {
        "inputs": [f"{name}: {kind}" for f in signature.function_names for name, kind in signature.function_inputs(f)],
        "outputs": [f"{name}: {kind}" for f in signature.function_names for name, kind in signature.function_outputs(f)],
        "metadata": read_metadata(path),
    }


def read_metadata(path: Path) -> dict[str, str]:
    """What an opened asset says about itself: Core AI's keys, and those that its creator added."""
    file = path / _METADATA
    facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    added: dict[str, Any] = facts.pop("creatorDefinedMetadata", {})
    return {key: str(value) for key, value in sorted({**facts, **added}.items())}


def finished(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result. It runs in a thread of its own, since the caller's may have an event loop, as notebooks do."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


async def _load(asset: "AIModelAsset") -> "InferenceFunction":
    from coreai.runtime import SpecializationOptions

    # Only Apple's system runtime takes options; the one in the wheel is a CPU runtime anyway.
    options = SpecializationOptions.cpu_only() if SpecializationOptions.is_supported() else None
    # Loading an asset itself works on macOS only; this compiles it into a temporary folder first. The function has that
    # folder's program mapped into memory, so it outlives the block.
    async with asset.executable(options) as model:
        return model.load_function(ENTRY)


def _check_whole(path: Path) -> None:
    """Compare the program with its hash: Core AI ends the process over a damaged one."""
    if not path.exists():
        raise InputError(f"no model at '{path}': give an existing .aimodel")
    program, stored = path / _PROGRAM, path / _HASH
    if not program.is_file() or not stored.is_file():
        raise InputError(f"'{path}' is not an asset: give a folder with {_PROGRAM} and {_HASH}, as fcrn-mobile export writes it")
    if hashlib.sha256(program.read_bytes()).digest() != stored.read_bytes():
        raise InputError(f"'{path}' is damaged ({_PROGRAM} does not match {_HASH}): export it again")
