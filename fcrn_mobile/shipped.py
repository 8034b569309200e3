"""Files that come with the tool, by name: recipes and training configurations.

They lie where people edit them, in ``export/`` and ``benchmarks/training/`` of the repository; a wheel carries copies.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.toml_file import read_toml

__all__ = ["CONFIGURATIONS", "RECIPES", "Shelf"]

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Shelf:
    """TOML files of one kind.

    Attributes:
        what: one of them is, in errors.
        source: their folder in the repository.
    """

    what: str
    source: str

    @property
    def folder(self) -> Path:
        """Where they lie: in the package if it was installed from a wheel, else in the repository."""
        installed = _PACKAGE / "shipped_files" / self.source
        return installed if installed.is_dir() else _PACKAGE.parent / self.source

    @property
    def names(self) -> tuple[str, ...]:
        """Names that can be given instead of files."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.toml")))

    def path(self, name: Path) -> Path:
        """The file that a user means: one of that path if it exists, else the shipped one of that name.

        Raises:
            InputError: neither; names those that there are.
        """
        if str(name) in self.names and not (name.exists() and not name.is_dir()):
            return self.folder / f"{name}.toml"
        if name.exists():
            return name
        raise InputError(f"no {self.what} at '{name}': give a .toml file, or by name one of {', '.join(self.names)}")

    def read(self, name: Path) -> dict[str, Any]:
        """The keys of the file that a user means.

        Raises:
            InputError: as of ``path``; unreadable, or not TOML.
        """
        return read_toml(self.path(name), self.what, f"{self.names[0]}.toml")


RECIPES = Shelf("recipe", "export")
CONFIGURATIONS = Shelf("configuration", "benchmarks/training")
