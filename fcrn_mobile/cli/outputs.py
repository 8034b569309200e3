"""Options that name what a command writes, checked before it begins: no result of minutes is lost to a path that cannot be written."""

import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fcrn_mobile.errors import InputError

__all__ = ["PICTURES", "OutputFile", "OutputFolder", "can_draw", "check_output", "check_outputs"]

#: What matplotlib draws to by the name's end.
PICTURES = (".png", ".svg", ".pdf")
#: Artefacts that are folders; with --force they are overwritten as files are.
_PACKAGES = (".mlpackage", ".aimodel")
_STANDARD_OUTPUT = "-"


class OutputFile(click.Path):
    """The type of an option whose value is a file to write.

    A file that exists is refused without ``--force`` where the command has such an option.

    Args:
        suffixes: that its name may have; any without them.
        overwrites: it may exist, as results of a command that runs again and again do.
        allow_dash: ``-`` means standard output.
        path_type: of the value.
    """

    def __init__(
        self, *suffixes: str, overwrites: bool = False, allow_dash: bool = False, path_type: type[str] | type[Path] = Path
    ) -> None:
        super().__init__(readable=False, allow_dash=allow_dash, path_type=path_type)
        self.suffixes = suffixes
        self.overwrites = overwrites


class OutputFolder(click.Path):
    """The type of an option whose value is a folder for results, made if it is not there.

    Args:
        files: names that will be written in it; those that exist are refused without ``--force`` where the command has one.
        path_type: of the value.
    """

    def __init__(self, *files: str, path_type: type[str] | type[Path] = Path) -> None:
        super().__init__(readable=False, path_type=path_type)
        self.files = files


@dataclass(frozen=True)
class _Output:
    option: str
    path: Path
    kind: OutputFile | OutputFolder


def check_outputs(context: click.Context) -> None:
    """Refuse, before any work, what the command of a context could not write, or would write over something else.

    Raises:
        InputError: a folder is missing, a file is a folder or the other way round, cannot be written, exists without ``--force``; two
            outputs are at one path, or one at that of an input.
    """
    outputs: list[_Output] = []
    inputs: set[Path] = set()
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if isinstance(param.type, OutputFile | OutputFolder):
            if value is not None and not (param.type.allow_dash and str(value) == _STANDARD_OUTPUT):
                outputs.append(_Output(max(param.opts, key=len), Path(value), param.type))
        elif isinstance(value, str | Path | tuple):
            inputs.update(_existing(value))
    _check_apart(outputs, inputs)
    _check_drawn(outputs)
    force = context.params.get("force")
    folders = {output.path.resolve() for output in outputs if isinstance(output.kind, OutputFolder)}
    for output in outputs:
        if isinstance(output.kind, OutputFile):
            _check_suffix(output, output.kind.suffixes)
            if output.path.parent.resolve() not in folders or output.path.parent.is_dir():
                check_output(output.path, output.option, output.kind.overwrites or force is not False)
    for output in outputs:
        if isinstance(output.kind, OutputFolder):
            _check_folder(output, output.kind.files if force is False else ())


def _check_drawn(outputs: list[_Output]) -> None:
    """Refuse pictures and pages where the library that draws them is not installed.

    Raises:
        ModuleNotFoundError: it is not.
    """
    drawn = {*PICTURES, ".html"}
    kinds = [output.kind for output in outputs if isinstance(output.kind, OutputFile)]
    if any(drawn.intersection(kind.suffixes) for kind in kinds) and not can_draw():
        raise ModuleNotFoundError("no matplotlib", name="matplotlib")


def can_draw() -> bool:
    """Whether the library that draws pictures and pages is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_output(path: Path, option: str, force: bool) -> None:
    """Refuse a file that could not be written to where an option says.

    Raises:
        InputError: it is a folder, has no folder to go to, cannot be written, or exists and is not to be overwritten.
    """
    if path.is_dir() and path.suffix not in _PACKAGES:
        raise InputError(f"{option} '{path}' is a folder: name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"no folder '{path.parent}' for {option} '{path.name}': create it first")
    if path.exists() and not force:
        raise InputError(f"'{path}' exists: choose another {option} or overwrite it with --force")
    # A file is replaced by a new one, so its folder decides; a pipe or a device is written to.
    target = path if path.exists() and not path.is_file() else path.parent
    if not os.access(target, os.W_OK):
        raise InputError(f"cannot write {'into ' if target != path else ''}'{target}': choose another {option}")


def _check_suffix(output: _Output, suffixes: tuple[str, ...]) -> None:
    if suffixes and output.path.suffix.lower() not in suffixes:
        *others, last = suffixes
        named = f"{', '.join(others)} or {last}" if others else last
        raise InputError(f"{output.option} '{output.path}' does not end in {named}: name a file that does")


def _check_folder(output: _Output, names: tuple[str, ...]) -> None:
    path, option = output.path, output.option
    if path.exists() and not path.is_dir():
        raise InputError(f"{option} '{path}' is a file: name a folder for {option}")
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{option} '{path}' cannot be a folder ('{nearest}' is no folder to write into): choose another {option}")
    for file in (path / name for name in names):
        if file.exists():
            raise InputError(f"'{file}' exists: choose another {option} or overwrite it with --force")


def _check_apart(outputs: list[_Output], inputs: set[Path]) -> None:
    written: dict[Path, str] = {}
    for output in outputs:
        names = output.kind.files if isinstance(output.kind, OutputFolder) else ()
        for path in (output.path, *(output.path / name for name in names)):
            other = written.setdefault(path.resolve(), output.option)
            if other != output.option:
                raise InputError(f"{other} and {output.option} both write '{path}': give each a path of its own")
        resolved = output.path.resolve()
        if isinstance(output.kind, OutputFile) and any(place in inputs for place in (resolved, *_packages_around(resolved))):
            raise InputError(f"{output.option} '{output.path}' would write over an input of this command: choose another")


def _packages_around(path: Path) -> Iterator[Path]:
    return (folder for folder in path.parents if folder.suffix in _PACKAGES)


def _existing(value: Any) -> Iterator[Path]:
    """The files and folders that a parameter may mean: ``a``, ``FORM:a?x=y#z``, ``NAME=a``."""
    if isinstance(value, tuple):
        for item in value:
            yield from _existing(item)
    elif isinstance(value, str | Path):
        text = str(value)
        for part in (text, text.partition(":")[2], text.partition("=")[2]):
            for location in {part, re.split("[?#]", part)[0]} - {""}:
                try:
                    if Path(location).exists():
                        yield Path(location).resolve()
                except (OSError, ValueError):  # no path: a name too long, or with a zero byte
                    continue
