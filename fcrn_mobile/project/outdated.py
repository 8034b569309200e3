"""Whether an artefact is what its checkpoint and its recipe make, by the record in its metadata."""

from collections.abc import Mapping
from pathlib import Path

from fcrn_mobile.conversion.artefact import provenance, recipe_of
from fcrn_mobile.conversion.completed import completed
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.reading import metadata, read_specification
from fcrn_mobile.runtimes import open_runtime

__all__ = ["outdated"]

_PACKAGE = ".mlpackage"


def outdated(network: FloatNetwork, recipe: Recipe, path: Path) -> str:
    """Why an artefact has to be exported again; empty if it does not.

    Args:
        network: that it is made from.
        recipe: as it is written, with what is to be calibrated on.
        path: of the artefact.

    Raises:
        InputError: what lies there was not exported by this tool, and is not to be written over.
    """
    if not path.exists():
        return "it was not there"
    try:
        written = _metadata(path)
        record = Metadata.from_dict(written)
        before = recipe_of(written, path)
    except InputError:
        return "it cannot be read"
    if record.checkpoint_sha256 is None:
        raise InputError(f"'{path}' was not exported by fcrn-mobile: leave its recipe out to validate it as it is, or move it away")
    if record.checkpoint_sha256 != network.sha256:
        return "the checkpoint is another"
    now = recipe_of(provenance(network, completed(network, recipe), coreml=path.suffix == _PACKAGE), path)
    keys = [key for key in now | before if now.get(key) != before.get(key)]
    return f"the recipe is another ({', '.join(keys)})" if keys else ""


def _metadata(path: Path) -> Mapping[str, str]:
    """All metadata of an artefact; a package's without its weights."""
    return metadata(read_specification(path)[0]) if path.suffix == _PACKAGE else open_runtime(str(path)).metadata
