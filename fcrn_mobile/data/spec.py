"""How a source is opened from its one-string data spec: ``FORM:PATH?option=value#split``."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fcrn_mobile.data.grammar import SpecText, parse, portable, split_off
from fcrn_mobile.data.source import Source, SplitSource, Subset, split_indices
from fcrn_mobile.data.views import ViewSource
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.data.frames import Triplets
    from fcrn_mobile.data.stereo import StereoPairs

__all__ = ["SPEC_FORMS", "VIEW_FORMS", "default_protocol", "open_source", "open_views", "portable", "split_off", "without_depth"]

SPEC_FORMS = (
    "sample, folder:PATH[?scale=UNITS_PER_METRE], nyu-mat:PATH[?splits=FILE], nyu-h5:PATH, csv:PATH, "
    "list:PATH[?root=FOLDER&scale=UNITS_PER_METRE], kitti:PATH, tum:PATH[?max_difference=SECONDS]; "
    "each with [#train|#val], nyu-mat with [#test] too"
)
#: Data without depth, by the objective that learns from it.
VIEW_FORMS = {
    "video": "frames:PATH?fx=PIXELS[&fy=&cx=&cy=&step=FRAMES] (a folder of pictures or a video), kitti:PATH[?step=FRAMES]",
    "stereo": "stereo:PATH?fx=PIXELS&baseline=METRES[&fy=&cx=&cy=] (left/ and right/), kitti:PATH",
}
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
_CAMERA = ("fx", "fy", "cx", "cy")
_VIEW_OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "video": {"frames": (*_CAMERA, "step"), "kitti": ("step",)},
    "stereo": {"stereo": (*_CAMERA, "baseline"), "kitti": ()},
}


def open_source(spec: str) -> Source:
    """Open the source that a data spec names.

    Args:
        spec: ``FORM:PATH``, or ``sample``, with ``?option=value&…`` and ``#split``: see ``SPEC_FORMS``. Values may be percent-encoded.

    Raises:
        InputError: unknown form, option or split; nothing found.
    """
    text = parse(spec)
    if without_depth(spec):
        raise InputError(f"'{spec}' holds no depth: it is for train --objective {'stereo' if text.form == 'stereo' else 'video'}")
    if text.form not in _OPTIONS or (text.path is None) != (text.form == "sample"):
        raise InputError(f"unknown data '{spec}': use one of {SPEC_FORMS}")
    options = _parse_options(spec, text, _OPTIONS[text.form])
    _check_reachable(text.path, options.get("root"), options.get("splits"))
    source = _open(text.form, text.path or _sample_folder(), options, spec)
    return _split(source, text.part, spec) if text.part else source


def open_views(spec: str, objective: str) -> ViewSource:
    """Open the views that a data spec names.

    Args:
        spec: ``FORM:PATH?option=value&…#split``, see ``VIEW_FORMS``.
        objective: ``video`` for triplets of frames, ``stereo`` for pairs.

    Raises:
        InputError: unknown form, option or split; no intrinsics; nothing found; pairs that aren't rectified.
    """
    text = parse(spec)
    forms = _VIEW_OPTIONS[objective]
    if text.form not in forms or text.path is None:
        raise InputError(f"data '{spec}' is not for the {objective} objective: use one of {VIEW_FORMS[objective]}")
    options = _parse_options(spec, text, forms[text.form])
    _check_reachable(text.path)
    open_them = _open_triplets if objective == "video" else _open_pairs
    source = open_them(text.form, text.path, options, spec)
    split = text.part
    if not split:
        return source
    splits = source.splits()
    if split not in splits:
        raise InputError(f"unknown split '#{split}' in '{spec}': use #train or #val{_hint(text)}")
    if not splits[split]:
        raise InputError(f"split '#{split}' of '{spec}' is empty: its {len(source)} frames are too few to split, give --val-data too")
    return Subset(source, splits[split])


def without_depth(spec: str) -> bool:
    """Whether a data spec is of a form that never holds depth."""
    kind = parse(spec).form
    return kind not in _OPTIONS and any(kind in forms for forms in _VIEW_OPTIONS.values())


def _open_triplets(kind: str, path: Path, options: dict[str, str], spec: str) -> "Triplets":
    step = _positive(spec, options, "step", 1, "give a whole number of frames, such as 1")
    if step != int(step):
        raise InputError(f"step '{options['step']}' in '{spec}': give a whole number of frames, such as 1")
    if kind == "kitti":
        from fcrn_mobile.data.kitti_views import open_kitti_triplets

        return open_kitti_triplets(path, int(step))
    from fcrn_mobile.data.frames import open_frames

    return open_frames(path, int(step), **_camera(spec, options))


def _open_pairs(kind: str, path: Path, options: dict[str, str], spec: str) -> "StereoPairs":
    if kind == "kitti":
        from fcrn_mobile.data.kitti_views import open_kitti_stereo

        return open_kitti_stereo(path)
    from fcrn_mobile.data.stereo import open_stereo

    if "baseline" not in options:
        raise InputError(f"'{spec}' does not say how far apart the cameras are: add &baseline=METRES")
    return open_stereo(path, baseline=_positive(spec, options, "baseline", 0, "give metres, such as 0.12"), **_camera(spec, options))


def _camera(spec: str, options: dict[str, str]) -> dict[str, float]:
    if "fx" not in options:
        raise InputError(f"'{spec}' does not say what camera took it: add ?fx=PIXELS, its focal length (&fy=, &cx= and &cy= too, if known)")
    return {name: _positive(spec, options, name, 0, "give pixels, a positive number") for name in _CAMERA if name in options}


def default_protocol(spec: str) -> str:
    """The protocol that results on such data are published with, as ``metrics.protocol`` knows it.

    Returns:
        ``garg`` (KITTI's crop, 80 m) for ``kitti:`` and for files in KITTI's encoding, ``?scale=256``; else ``eigen`` (NYU's crop, 10 m).
    """
    text = parse(spec)
    return "garg" if text.form == "kitti" or dict(text.options()).get("scale") == "256" else "eigen"


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
    return FolderSource(path)


def _sample_folder() -> Path:
    return Path(str(resources.files("fcrn_mobile") / "data" / "sample"))


def _split(source: Source, split: str, spec: str) -> Source:
    splits = source.splits() if isinstance(source, SplitSource) else split_indices(len(source))
    if split not in splits:
        *names, last = (f"#{name}" for name in sorted(splits))
        raise InputError(f"unknown split '#{split}' in '{spec}': use {', '.join(names)} or {last}{_hint(parse(spec))}")
    if not splits[split]:
        raise InputError(
            f"split '#{split}' of '{spec}' is empty: none of its {len(source)} frames belongs to it, or they are too few to split"
        )
    return Subset(source, splits[split])


def _check_reachable(*paths: Path | str | None) -> None:
    """Refuse a path that the system cannot even look at; that nothing is there is for its form to say."""
    for path in paths:
        if path is None:
            continue
        try:
            Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"cannot open {str(path)!r}: {reason}") from error


def _hint(text: SpecText) -> str:
    """What else may be meant where a part or an option is unknown."""
    return "" if text.path is None else "; in a path write %23 for # and %3F for ?, in an option's value %26 for &"


def _parse_options(spec: str, text: SpecText, allowed: tuple[str, ...]) -> dict[str, str]:
    options = {}
    for name, value in text.options():
        if name not in allowed:
            raise InputError(f"unknown option '{name}' in '{spec}': allowed are {', '.join(allowed) or 'none'}{_hint(text)}")
        if not value:
            raise InputError(f"option '{name}' in '{spec}' has no value: write {name}=VALUE")
        if name in options:
            raise InputError(f"option '{name}' stands twice in '{spec}': leave one out{_hint(text)}")
        options[name] = value
    return options


def _scale(spec: str, options: dict[str, str]) -> float | None:
    if "scale" not in options:
        return None
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
