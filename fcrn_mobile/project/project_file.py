"""What ``depth.toml`` says: frozen dataclasses read from TOML, in which an unknown key or a bad value is an error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from fcrn_mobile.conversion.export import SUFFIXES
from fcrn_mobile.data.phone import VIEWS
from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.evaluation.budget import Limit, parse_limit
from fcrn_mobile.mil.arithmetic import POLICIES, Arithmetic
from fcrn_mobile.toml_file import checked, known_keys, read_toml_text

__all__ = ["NAME", "Artefact", "Bench", "Model", "Project", "read_project"]

#: What the file is called.
NAME = "depth.toml"

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Artefact:
    """A model that is shipped.

    Attributes:
        path: of the package.
        recipe: name or file of the recipe that makes it; empty: it is validated as it is.
        calibration: data spec of the images to correct and calibrate on; empty: what the recipe says.
        budget: that it is held to; empty: the project's, or else the recipe's.
        model_config: TOML of the contract of a model from elsewhere; empty: its metadata, or the file beside it.
    """

    path: str
    recipe: str = ""
    calibration: str = ""
    budget: Mapping[str, str] = field(default_factory=dict)
    model_config: str = ""


@dataclass(frozen=True)
class Model:
    """A float network and what is shipped of it."""

    reference: str
    artefacts: tuple[Artefact, ...]


@dataclass(frozen=True)
class Bench:
    """A measurement of latency, of every model of the project, on the machine that checks it."""

    backend: str = "auto"
    runs: int = 30


@dataclass(frozen=True)
class Project:
    """The whole file; paths in it start from its folder.

    Attributes:
        data: spec of the images to validate on.
        models: at least one.
        protocol, align, min_depth, max_depth: as of ``validate``; None leaves them to the data and to what depth means.
        framing: what the app would see of the pictures, as of ``validate``; None for the pictures as they are.
        budget: of every artefact that names none.
        backend, arithmetic: that artefacts run on.
        benches: latencies to be measured beside the validation.
        report: folder of the report.
        without: traits of arithmetic ``ane`` that are left out.
        lines: where the file names each artefact, by its path; no key of the file.
    """

    data: str
    models: tuple[Model, ...]
    protocol: str | None = None
    align: str | None = None
    min_depth: float | None = None
    max_depth: float | None = None
    framing: str | None = None
    budget: Mapping[str, str] = field(default_factory=dict)
    backend: str = "auto"
    arithmetic: str = "float16"
    benches: tuple[Bench, ...] = ()
    report: str = "depth-report"
    without: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, metadata={"key": False})

    @property
    def rule(self) -> dict[str, Any]:
        """The options of ``validate`` that say how predictions meet the truth."""
        return {key: getattr(self, key) for key in ("protocol", "align", "min_depth", "max_depth")}

    @property
    def policy(self) -> Arithmetic:
        """The arithmetic without the traits that are left out.

        Raises:
            MilError: it has none, or not one of these.
        """
        return Arithmetic.of(self.arithmetic, self.without)

    def limits(self, artefact: Artefact) -> list[Limit]:
        """What an artefact is held to; empty: what its recipe promised."""
        return [parse_limit(f"{metric}={amount}") for metric, amount in (artefact.budget or self.budget).items()]


def read_project(path: Path) -> Project:
    """Read a project file.

    Raises:
        InputError: no such file, not TOML, an unknown key, or a value that is not allowed; names file, key and remedy.
    """
    values, text = read_toml_text(path, "project file", "the depth.toml that 'fcrn-mobile init' writes")
    try:
        words = {"arithmetic": _word("arithmetic", list(POLICIES)), "framing": _word("framing", VIEWS)}
        readers = {"models": _tables(_model, "models"), "benches": _tables(_bench, "benches"), "budget": _budget} | words
        project = _record(Project, values, "", readers)
        _check_apart(project)
        _ = project.policy
    except InputError as error:
        raise InputError(f"project file '{path}': {error}") from error
    paths = (artefact.path for model in project.models for artefact in model.artefacts)
    return replace(project, lines={path: line for path in paths if (line := _line(text, path))})


def _line(text: str, path: str) -> int | None:
    """The first line that has a path in quotes, from 1; None for one that is written another way, such as with escapes."""
    quoted = (f'"{path}"', f"'{path}'")
    return next((number for number, line in enumerate(text.splitlines(), 1) if any(each in line for each in quoted)), None)


def _model(values: dict[str, Any]) -> Model:
    model = _record(Model, values, "of [[models]]", {"artefacts": _tables(_artefact, "models.artefacts")})
    if not model.artefacts:
        raise InputError(f"'{model.reference}' has no artefacts: write a table [[models.artefacts]] with a path behind it for each")
    return model


def _artefact(values: dict[str, Any]) -> Artefact:
    artefact = _record(Artefact, values, "of [[models.artefacts]]", {"budget": _budget})
    if artefact.recipe and Path(artefact.path).suffix not in SUFFIXES:
        raise InputError(f"path is '{artefact.path}': what a recipe makes ends in {', '.join(SUFFIXES)}")
    if artefact.calibration and not artefact.recipe:
        raise InputError(f"calibration of '{artefact.path}' means nothing without a recipe: name one, or leave it out")
    return artefact


def _bench(values: dict[str, Any]) -> Bench:
    bench = _record(Bench, values, "of [[benches]]", {})
    if bench.runs < 1:
        raise InputError(f"runs is {bench.runs}: give at least 1")
    return bench


def _record(kind: Callable[..., _Record], values: dict[str, Any], where: str, readers: Mapping[str, Callable[[Any], Any]]) -> _Record:
    """A dataclass of a table; fields without a reader are texts or numbers.

    Raises:
        InputError: an unknown key, one that is missing, or a value of another kind.
    """
    kinds = get_type_hints(kind)
    entries = {each.name: each for each in fields(kind) if each.metadata.get("key", True)}  # type: ignore[arg-type] # a dataclass
    known_keys(values, entries)
    for name, each in entries.items():
        if name not in values and each.default is MISSING and each.default_factory is MISSING:
            raise InputError(f"{name} {where} is missing: write {name} = …".replace("  ", " "))
    if empty := next((name for name, value in values.items() if value == ""), None):
        raise InputError(f"{empty} is '': give a text")
    return kind(**{name: readers[name](value) if name in readers else checked(value, kinds[name], name) for name, value in values.items()})


def _tables(read: Callable[[dict[str, Any]], _Record], name: str) -> Callable[[Any], tuple[_Record, ...]]:
    """Reads a list of tables."""

    def read_all(value: Any) -> tuple[_Record, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InputError(f"{name.rpartition('.')[2]} is {value!r}: write a table [[{name}]] for each")
        return tuple(map(read, value))

    return read_all


def _budget(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError(f'budget is {value!r}: write a table such as budget = {{ fidelity = "0.05" }}')
    for metric, amount in value.items():
        parse_limit(f"{metric}={amount}")
    return {metric: str(amount) for metric, amount in value.items()}


def _word(name: str, words: Sequence[str]) -> Callable[[Any], Any]:
    """Reads one of some words."""

    def read(value: Any) -> Any:
        require_known(name, str(value), words)
        return value

    return read


def _check_apart(project: Project) -> None:
    """Refuse a reference or an artefact that stands there twice."""
    if not project.models:
        raise InputError("models is empty: write a table [[models]] with reference = … for each network")
    references = [model.reference for model in project.models]
    paths = [Path(artefact.path) for model in project.models for artefact in model.artefacts]
    for what, names in (("reference", references), ("artefact", [str(path) for path in paths])):
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"{what} '{twice}' is named twice: name it once")
