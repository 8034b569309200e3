"""What every kind of artefact does with something that is there already."""

from pathlib import Path

import pytest

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint


def check_kept_without_force(checkpoint: Checkpoint, recipe: Recipe, out: Path) -> None:
    """A folder stays as it was without --force, and with it the artefact takes its place, with nothing beside it."""
    out.mkdir()
    (out / "mine").write_text("mine")
    with pytest.raises(InputError, match="--force"):
        export(checkpoint, recipe, out)
    assert (out / "mine").read_text() == "mine"
    export(checkpoint, recipe, out, force=True)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
