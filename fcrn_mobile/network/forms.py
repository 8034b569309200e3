"""The forms of a float network on the command line: one record for each, with how to recognise and how to open it.

``FORM`` or ``FORM?weights=FILE&config=FILE&size=HxW``, where FORM is ``builtin``, a checkpoint, or one of those from outside. A value may
be written with %26 for ``&``. No heavy library is imported until a network is opened.
"""

import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.other_models import not_a_network
from fcrn_mobile.text import enumerated

if TYPE_CHECKING:
    from fcrn_mobile.network.float_network import FloatNetwork

__all__ = [
    "BUILTIN",
    "CHECKPOINT",
    "FORMS",
    "Form",
    "NetworkSpec",
    "form_of",
    "open_network",
    "parse_network",
    "require_network",
    "size_of",
]

BUILTIN = "builtin"
#: Suffix of this project's own float networks.
CHECKPOINT = ".safetensors"
#: Folders with these suffixes are artefacts, not networks.
_ARTEFACTS = (".mlpackage", ".mlmodelc", ".aimodel")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_OPTIONS = ("weights", "config", "size")


@dataclass(frozen=True)
class NetworkSpec:
    """A float network as a command names it.

    Attributes:
        model: without options: ``builtin``, a path, or ``package.module:factory``.
        weights: file with the weights, of a form that has them apart.
        config: TOML with its contract; None: what it says of itself.
        size: height and width in pixels that it is to run at; None: its usual one.
    """

    model: str
    weights: Path | None = None
    config: Path | None = None
    size: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """Where ``model`` lies, if it is a path."""
        return Path(self.model)

    def __str__(self) -> str:
        """As ``parse_network`` reads it."""
        size = None if self.size is None else f"{self.size[0]}x{self.size[1]}"
        values = {"weights": self.weights, "config": self.config, "size": size}
        query = "&".join(f"{name}={quote(str(value), safe='/:. ')}" for name, value in values.items() if value is not None)
        return f"{self.model}?{query}" if query else self.model


@dataclass(frozen=True)
class Form:
    """A form of network.

    Attributes:
        shown: in help and messages.
        recognises: whether a model's name, without options, is of this form.
        opens: ``module:function`` in this folder, from a ``NetworkSpec`` to a ``FloatNetwork``; imported when it is asked for.
        options: those of ``NetworkSpec`` that it takes.
        is_file: whether the name is that of something on disk.
    """

    shown: str
    recognises: Callable[[str], bool]
    opens: str
    options: tuple[str, ...] = ("config", "size")
    is_file: bool = True


def _is_folder(model: str) -> bool:
    return Path(model).is_dir() and Path(model).suffix not in _ARTEFACTS


FORMS = (
    Form(CHECKPOINT, lambda model: model == BUILTIN or Path(model).suffix == CHECKPOINT, "checkpoints:open_checkpoint", ()),
    Form("FILE.pt2", lambda model: Path(model).suffix == ".pt2", "exported_program:open_exported"),
    Form("a folder of Hugging Face form", _is_folder, "hugging_face:open_folder"),
    Form(
        "package.module:factory",
        lambda model: _FACTORY.fullmatch(model) is not None and not Path(model).exists(),
        "factory:open_factory",
        _OPTIONS,
        is_file=False,
    ),
)


def form_of(model: str) -> Form | None:
    """The form of a network, with or without options; None for anything else, such as an artefact."""
    name = _divided(model)[0]
    return next((form for form in FORMS if form.recognises(name)), None)


def parse_network(model: str) -> NetworkSpec:
    """What a command says of a network.

    Raises:
        InputError: an option that is unknown, or that this form does not have, or a value that is none.
    """
    name, query = _divided(model)
    form = form_of(model)
    allowed = form.options if form else ()
    values: dict[str, str] = {}
    for option in query.split("&") if query else ():
        key, _, value = option.partition("=")
        if key not in allowed:
            raise InputError(
                f"'{name}' has no option '{key}' ('{model}'): {enumerated(list(allowed), 'or') + ' are' if allowed else 'none is'} allowed"
            )
        if not value:
            raise InputError(f"option '{key}' of '{model}' has no value: write {key}=VALUE")
        values[key] = unquote(value)
    files = {key: Path(values[key]) for key in ("weights", "config") if key in values}
    return NetworkSpec(name, **files, size=size_of(values["size"], "size") if "size" in values else None)


def size_of(text: str, option: str) -> tuple[int, int]:
    """Height and width of ``HxW``.

    Raises:
        InputError: it is none; names the option.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if match is None:
        raise InputError(f"{option} is '{text}': give height and width in pixels, such as 384x512")
    return int(match[1]), int(match[2])


def require_network(model: str) -> None:
    """Pass if the files that a network's name speaks of are there.

    Raises:
        InputError: they are not, or an option is wrong.
    """
    spec, form = parse_network(model), form_of(model)
    if form is not None and form.is_file and spec.model != BUILTIN and not spec.path.exists():
        raise InputError(f"no model at '{spec.model}': give an existing file, or '{BUILTIN}'")
    if spec.weights is not None and not spec.weights.is_file():
        raise InputError(f"no weights at '{spec.weights}': give an existing .safetensors or .pth file")
    if spec.config is not None and not spec.config.is_file():
        raise InputError(f"no model config at '{spec.config}': give an existing .toml file")


def open_network(model: str) -> "FloatNetwork":
    """A float network of any form.

    Raises:
        InputError: of no such form; what it needs isn't there or doesn't fit.
    """
    form = form_of(model)
    if form is None:
        what = not_a_network(parse_network(model).model) or f"'{model}' is no float network"
        raise InputError(f"{what}: give '{BUILTIN}', {enumerated([each.shown for each in FORMS], 'or')}")
    if form.options:
        require_network(model)
    network: FloatNetwork = pkgutil.resolve_name(f"fcrn_mobile.network.{form.opens}")(parse_network(model))
    return network


def _divided(model: str) -> tuple[str, str]:
    """A name and its options, which a path that exists does not have."""
    if "?" not in model or Path(model).exists():
        return model, ""
    name, _, query = model.partition("?")
    return name, query
