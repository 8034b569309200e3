"""How a source is opened from its one-string data spec: ``FORM:PATH?option=value#split``."""

import re
from importlib import resources
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from fcrn_mobile.data.source import Source, SplitSource, Subset, split_indices
from fcrn_mobile.errors import InputError

SPEC_FORMS = (
    "sample, folder:PATH[?scale=UNITS_PER_METRE], nyu-mat:PATH[?splits=FILE], nyu-h5:PATH, csv:PATH, "
    "list:PATH[?root=FOLDER&scale=UNITS_PER_METRE], kitti:PATH, tum:PATH[?max_difference=SECONDS]; "
    "each with [#train|#val], nyu-mat with [#test] too"
)
_OPTIONS: dict[str, tuple[str, ...]] = {
    "sample": (),
    "folder": ("scale",),
    "nyu-mat": ("splits",),
    "nyu-h5": (),
    "csv": (),
    "list": ("root", "scale"),
    "kitti": (),
    "tum": ("max_difference",),
}


def open_source(spec: str) -> Source:
    """Open the source that a data spec names.

    Args:
        spec: ``FORM:PATH``, or ``sample``, with ``?option=value&…`` and ``#split``: see ``SPEC_FORMS``. Values may be percent-encoded.

    Raises:
        InputError: unknown form, option or split; nothing found.
    """
    location, _, split = spec.partition("#")
    location, _, query = location.partition("?")
    kind, _, path = location.partition(":")
    if kind not in _OPTIONS or bool(path) == (kind == "sample"):
        raise InputError(f"unknown data '{spec}': use one of {SPEC_FORMS}")
    source = _open(kind, Path(path), _parse_options(spec, query, _OPTIONS[kind]), spec)
    return _split(source, split, spec) if split else source


def portable(spec: str) -> str:
    """A data spec or path without its folders, for records that travel: ``list:/a/b/c.txt?root=/d/e#val`` → ``list:c.txt?root=e#val``."""
    return re.sub(r"[^:=?&#]*/(?=[^/?&#])", "", spec)


def _open(kind: str, path: Path, options: dict[str, str], spec: str) -> Source:
    # Each form is imported when it is asked for: h5py and SciPy take their time.
    if kind == "nyu-mat":
        from fcrn_mobile.data.nyu_mat import NyuMat

        return NyuMat(path, Path(options["splits"]) if "splits" in options else None)
    if kind == "nyu-h5":
        from fcrn_mobile.data.nyu_h5 import H5Frames

        return H5Frames(path)
    if kind == "csv":
        from fcrn_mobile.data.csv_pairs import open_csv

        return open_csv(path)
    if kind == "list":
        from fcrn_mobile.data.file_list import open_list

        return open_list(path, Path(options["root"]) if "root" in options else None, _scale(spec, options))
    if kind == "kitti":
        from fcrn_mobile.data.kitti import open_kitti

        return open_kitti(path)
    if kind == "tum":
        from fcrn_mobile.data.tum import MAX_DIFFERENCE, open_tum

        hint = "give seconds, a positive number such as 0.02"
        return open_tum(path, _positive(spec, options, "max_difference", MAX_DIFFERENCE, hint))
    from fcrn_mobile.data.folder import FolderSource

    if kind == "folder":
        return FolderSource(path, depth_scale=_scale(spec, options))
    return FolderSource(Path(str(resources.files("fcrn_mobile") / "data" / "sample")))


def _split(source: Source, split: str, spec: str) -> Source:
    splits = source.splits() if isinstance(source, SplitSource) else split_indices(len(source))
    if split not in splits:
        *names, last = (f"#{name}" for name in sorted(splits))
        raise InputError(f"unknown split '#{split}' in '{spec}': use {', '.join(names)} or {last}")
    if not splits[split]:
        raise InputError(
            f"split '#{split}' of '{spec}' is empty: none of its {len(source)} frames belongs to it, or they are too few to split"
        )
    return Subset(source, splits[split])


def _parse_options(spec: str, query: str, allowed: tuple[str, ...]) -> dict[str, str]:
    options = {}
    for option in query.split("&") if query else ():
        name, _, value = option.partition("=")
        if name not in allowed:
            raise InputError(f"unknown option '{name}' in '{spec}': allowed are {', '.join(allowed) or 'none'}")
        if not value:
            raise InputError(f"option '{name}' in '{spec}' has no value: write {name}=VALUE")
        options[name] = unquote(value)
    return options


def _scale(spec: str, options: dict[str, str]) -> float:
    return _positive(spec, options, "scale", 1000.0, "give depth units per metre, a positive number such as 1000")


def _positive(spec: str, options: dict[str, str], name: str, default: float, hint: str) -> float:
    text = options.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} '{text}' in '{spec}': {hint}")
    return value
