"""How a source is opened from its one-string data spec: ``FORM:PATH?option=value#split``; the forms stand in ``forms``."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.data.forms import DEPTH, FORMS, PICTURES, Form, form_named, reachable, usage
from fcrn_mobile.data.grammar import SpecText, parse, portable
from fcrn_mobile.data.pictures import Unlabelled
from fcrn_mobile.data.source import Indexed, OfCamera, Source, SplitSource, Subset, split_indices
from fcrn_mobile.data.views import ViewSource
from fcrn_mobile.errors import InputError

__all__ = [
    "Item",
    "default_protocol",
    "open_images",
    "open_source",
    "open_unlabelled",
    "open_views",
    "recorded_camera",
    "training_camera",
    "without_depth",
]

Item = TypeVar("Item", covariant=True)


def open_source(spec: str) -> Source:
    """Open the source that a data spec names; it knows its camera (``source.camera_of``) where the spec or its data set tells.

    Args:
        spec: ``FORM:PATH``, or ``sample``, with ``?option=value&…`` and ``#split``: see ``forms``. Values may be percent-encoded.

    Raises:
        InputError: unknown form, option or split; nothing found.
    """
    text = parse(spec)
    form = form_named(text.form)
    if form and form.objective != DEPTH:
        also = "; fidelity alone is measured on it by validate, tune and diagnose" if form.objective == PICTURES else ""
        raise InputError(f"'{spec}' holds no depth: it is for train {form.use}{also}")
    if form is None or (text.path is None) == form.has_path:
        raise InputError(f"unknown data '{spec}': use one of {usage(DEPTH)}")
    source: Source = _opened(form, text, spec)
    part = _part(source, text, spec, "none of its {} frames belongs to it, or they are too few to split")
    camera = training_camera(portable(spec))
    return part if camera == UNKNOWN else OfCamera(part, camera)


def open_images(spec: str) -> Source:
    """Open the pictures that a data spec names, with their depth where the form has it, else with none (NaN).

    Args:
        spec: ``images:PATH``, or as of ``open_source``.

    Raises:
        InputError: as of ``open_source``.
    """
    return open_unlabelled(spec) if (PICTURES, parse(spec).form) in FORMS else open_source(spec)


def open_views(spec: str, objective: str) -> ViewSource:
    """Open the views that a data spec names.

    Args:
        spec: ``FORM:PATH?option=value&…#split``, see ``forms``.
        objective: ``video`` for triplets of frames, ``stereo`` for pairs.

    Raises:
        InputError: unknown form, option or split; no intrinsics; nothing found; pairs that aren't rectified.
    """
    text = parse(spec)
    form = FORMS.get((objective, text.form))
    if form is None or text.path is None:
        raise InputError(f"data '{spec}' is not for the {objective} objective: use one of {usage(objective)}")
    source: ViewSource = _opened(form, text, spec)
    return _part(source, text, spec, "its {} frames are too few to split, give --val-data too")


def open_unlabelled(spec: str) -> Source:
    """Open the pictures that a data spec names, their depth unknown (NaN) even where the form has it.

    Args:
        spec: ``images:PATH``, or as of ``open_source``.

    Raises:
        InputError: as of ``open_source``.
    """
    text = parse(spec)
    form = FORMS.get((PICTURES, text.form))
    if form is None and FORMS.get((DEPTH, text.form)) is None:
        raise InputError(f"data '{spec}' is not for train --unlabelled: use one of {usage(PICTURES)}, {usage(DEPTH)}")
    if form is None:
        return Unlabelled(open_source(spec))
    if text.path is None:
        raise InputError(f"data '{spec}' has no path: use {form.usage}")
    source: Source = _opened(form, text, spec)
    return _part(source, text, spec, "its {} pictures are too few to split")


def without_depth(spec: str) -> bool:
    """Whether a data spec is of a form that never holds depth."""
    form = form_named(parse(spec).form)
    return form is not None and form.objective != DEPTH


def default_protocol(spec: str) -> str:
    """The protocol that results on such data are published with, as ``metrics.protocol`` knows it.

    Returns:
        ``garg`` (KITTI's crop, 80 m) for ``kitti:`` and for files in KITTI's encoding, ``?scale=256``; else ``eigen`` (NYU's crop, 10 m).
    """
    text = parse(spec)
    if dict(text.options()).get("scale") == "256":
        return "garg"
    form = form_named(text.form)
    return form.protocol if form else "eigen"


def training_camera(spec: str) -> TrainingCamera:
    """The camera of a data spec as checkpoints record it: ``?fx=`` where the spec says it, else that of a known data set by its name."""
    location, _, query = spec.partition("#")[0].partition("?")
    try:
        focal = float(parse_qs(query)["fx"][0])
    except (KeyError, ValueError):
        focal = 0.0
    if focal > 0:
        return TrainingCamera(location, focal)
    for form in FORMS.values():
        # A word begins at no letter: ``nyu2_train`` and ``my-nyu``, not ``sunyu``. The built-in sample's is a word of many paths.
        named = form.data_set and re.search(rf"(?<![a-z]){form.data_set.word}", location.casefold())
        if form.data_set and named and (form.has_path or location == form.name):
            return form.data_set.camera
    return UNKNOWN


def recorded_camera(record: Mapping[str, Any] | None, data: str) -> TrainingCamera:
    """What a network's metres hold for: as its record says, in older ones by the data that it was trained on."""
    return training_camera(data) if record is None else TrainingCamera(**record)


def _opened(form: Form, text: SpecText, spec: str) -> Any:
    texts = _texts(form, text, spec)
    path = text.path and reachable(text.path)
    for option in form.options:
        if option.missing and option.name not in texts:
            raise InputError(f"'{spec}' does not say {option.missing}")
    values = {option.name: option.value(texts[option.name], spec) for option in form.allowed if option.name in texts}
    return form.open(path, {option.name: values[option.name] for option in form.options if option.name in values})


def _texts(form: Form, text: SpecText, spec: str) -> dict[str, str]:
    """The options as written; none of them is unknown, empty or there twice."""
    names = [option.name for option in form.allowed]
    texts: dict[str, str] = {}
    for name, value in text.options():
        if name not in names:
            raise InputError(f"unknown option '{name}' in '{spec}': allowed are {', '.join(names) or 'none'}{_hint(text)}")
        if not value:
            raise InputError(f"option '{name}' in '{spec}' has no value: write {name}=VALUE")
        if name in texts:
            raise InputError(f"option '{name}' stands twice in '{spec}': leave one out{_hint(text)}")
        texts[name] = value
    return texts


def _part(source: Indexed[Item], text: SpecText, spec: str, why_empty: str) -> Indexed[Item]:
    """The part of a source that a spec names, all of it where the spec names none."""
    split = text.part
    if not split:
        return source
    splits = source.splits() if isinstance(source, SplitSource) else split_indices(len(source))
    if split not in splits:
        *names, last = (f"#{name}" for name in sorted(splits))
        raise InputError(f"unknown split '#{split}' in '{spec}': use {', '.join(names)} or {last}{_hint(text)}")
    if not splits[split]:
        raise InputError(f"split '#{split}' of '{spec}' is empty: {why_empty.format(len(source))}")
    return Subset(source, splits[split])


def _hint(text: SpecText) -> str:
    """What else may be meant where a part or an option is unknown."""
    return "" if text.path is None else "; in a path write %23 for # and %3F for ?, in an option's value %26 for &"
