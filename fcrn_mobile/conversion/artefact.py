"""What all artefacts have in common: they appear at their path whole or not at all, and say where they come from."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fcrn_mobile
from fcrn_mobile.conversion.recipe import COREML_ONLY, Recipe
from fcrn_mobile.data.spec import portable
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint

#: Of a library's message that is shown: some hold whole graphs.
_LONGEST = 200


def check_destination(path: Path, force: bool) -> None:
    """Refuse a destination before any work is done for it.

    Raises:
        InputError: it exists and ``force`` is not given, or its folder does not exist.
    """
    if path.exists() and not force:
        raise InputError(f"'{path}' exists: choose another --out or overwrite it with --force")
    if not path.parent.is_dir():
        raise InputError(f"no folder '{path.parent}' for '{path.name}': create it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"folder '{path.parent}' cannot be written to: choose another --out")


@contextmanager
def conversion_errors(checkpoint: Checkpoint, recipe: Recipe) -> Iterator[None]:
    """Turn whatever a conversion library raises into one line; the exception itself stays as its cause.

    Raises:
        InputError: instead of any other exception, but those of the system and of memory.
    """
    try:
        yield
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")[:_LONGEST]
        raise InputError(
            f"'{checkpoint.name}' cannot be converted with recipe '{recipe.name}' ({type(error).__name__}: {said}): "
            "try another --precision; --debug shows where it stopped"
        ) from error


@contextmanager
def written_whole(path: Path, force: bool) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to ``path`` on success, removed on failure."""
    check_destination(path, force)
    # The suffix stays last: coremltools refuses to save under another one.
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        if path.exists():
            _remove(path)
        partial.rename(path)
    finally:
        _remove(partial)


def provenance(checkpoint: Checkpoint, recipe: Recipe, coreml: bool) -> dict[str, str]:
    """User-defined metadata of an artefact: version, recipe, network, checkpoint, training data, units.

    Args:
        checkpoint: what it was made from.
        recipe: how.
        coreml: whether the settings that only Core ML knows are true of it.
    """
    settings = {key: value for key, value in recipe.to_json().items() if coreml or key not in COREML_ONLY}
    if "calibration" in settings and "data" in settings["calibration"]:
        # Where images lie on this machine is nobody else's business.
        settings["calibration"] |= {"data": portable(settings["calibration"]["data"])}
    return {
        "fcrn_mobile.version": fcrn_mobile.__version__,
        "fcrn_mobile.recipe": json.dumps(settings),
        "fcrn_mobile.network": checkpoint.network.config.preset,
        "fcrn_mobile.checkpoint_sha256": checkpoint.sha256,
        "fcrn_mobile.training_data": str(checkpoint.training.get("data", "unknown")),
        "fcrn_mobile.output_units": checkpoint.units,
    }


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
