"""A changed module in a process that has the sound one imported: the functions get the changed code, nothing is imported anew."""

import gc
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

#: Where code stands: file, dotted name, first line.
Place = tuple[str, str, int]


class Imported:
    """What the package is made of once it is imported."""

    def __init__(self, root: str, at_import: set[Place]) -> None:
        """Find every function of the package.

        Args:
            root: path that the package's files begin with.
            at_import: code that ran while it was imported, see `Calls`: its results are there already.
        """
        self._at_import = at_import
        self._functions: dict[Place, list[FunctionType]] = defaultdict(list)
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(root):
                self._functions[_place(thing.__code__)].append(thing)

    def exchange(self, path: str, sound: str, changed: str) -> list[tuple[FunctionType, CodeType]] | None:
        """The functions that a change concerns and the code that each gets.

        Returns:
            None where exchanging code is not enough: the change is in what runs at import, or the function isn't there.
        """
        pairs = _pairs(compile(sound, path, "exec", dont_inherit=True), compile(changed, path, "exec", dont_inherit=True))
        if pairs is None:
            return None
        result = []
        for before, after in pairs:
            place = _place(before)
            functions = self._functions.get(place, [])
            if place in self._at_import or not functions or before.co_freevars != after.co_freevars:
                return None
            result += [(function, after) for function in functions]
        return result


class Calls:
    """Notes the package's code that runs, as a profiler of the process."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.places: set[Place] = set()

    def __enter__(self) -> "Calls":
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(self._root):
            self.places.add(_place(frame.f_code))


def _place(code: CodeType) -> Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _pairs(before: CodeType, after: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions of a module or class that differ; None if what surrounds them does."""
    if _surroundings(before) != _surroundings(after):
        return None
    result = []
    for old, new in zip(_codes(before), _codes(after), strict=True):
        if old == new:
            continue
        # A class's body is no function: it has no fast locals.
        if old.co_flags & inspect.CO_OPTIMIZED:
            result.append((old, new))
        else:
            inner = _pairs(old, new)
            if inner is None:
                return None
            result += inner
    return result


def _surroundings(code: CodeType) -> tuple[Any, ...]:
    # As text: 1, 1.0 and True are equal but not the same.
    constants = repr(["code" if isinstance(each, CodeType) else each for each in code.co_consts])
    return code.co_code, code.co_names, code.co_varnames, constants


def _codes(code: CodeType) -> Iterator[CodeType]:
    return (each for each in code.co_consts if isinstance(each, CodeType))
