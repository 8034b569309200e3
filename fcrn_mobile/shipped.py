"""Files that come with the tool: recipes and training configurations by name, the app's project, schemas of reports.

They lie where people edit them, in ``export/``, ``benchmarks/`` and ``ios_demo/`` of the repository; a wheel carries copies.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.toml_file import read_toml

__all__ = ["APP", "CONFIGURATIONS", "RECIPES", "Shelf", "copy_app", "shipped_folder"]

_PACKAGE = Path(__file__).parent
#: What the app is built from, in ``ios_demo/``.
APP = (
    *(f"Config/{name}.xcconfig" for name in ("App", "Debug", "Project", "Release", "Tests")),
    "DepthCore/Package.swift",
    "DepthCore/Sources",
    "DepthCore/Tests",
    "DepthDemo",
    "DepthDemo.xcodeproj/project.pbxproj",
    "DepthDemo.xcodeproj/xcshareddata",
    "DepthDemoTests",
    "Info.plist",
    "Models/README.md",
    "README.md",
)


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
        return shipped_folder(self.source)

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


def copy_app(folder: Path) -> None:
    """Write the app's project into a folder, which is made for it."""
    source = shipped_folder("ios_demo")
    for name in APP:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
        copy(source / name, folder / name)


def shipped_folder(source: str) -> Path:
    """A folder of the repository, or its copy in the package if that was installed from a wheel."""
    installed = _PACKAGE / "shipped_files" / source
    return installed if installed.is_dir() else _PACKAGE.parent / source


RECIPES = Shelf("recipe", "export")
CONFIGURATIONS = Shelf("configuration", "benchmarks/training")
