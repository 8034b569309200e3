"""Latency reports, this tool's and the iOS app's: written, read, checked, and held against each other."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.json_text import misfit, plain, strict_json
from fcrn_mobile.latency.latency import Latency, Machine, machine, statistics
from fcrn_mobile.latency.turns import Comparison
from fcrn_mobile.shipped import shipped_folder

__all__ = ["SCHEMA_VERSION", "DeviceReport", "differences", "merged", "read_report", "read_reports", "report", "schema", "timeline"]

#: Version of ``benchmarks/schema/bench-v2.json``, which is written.
SCHEMA_VERSION = 2
#: What is read.
_READ = (1, 2)


@dataclass(frozen=True)
class DeviceReport:
    """One file that the iOS app or ``fcrn-mobile bench`` wrote.

    Attributes:
        path: of the file.
        content: all of it, as the schema has it.
    """

    path: Path
    content: dict[str, Any]

    @property
    def results(self) -> list[Latency]:
        """Its results."""
        return [Latency.from_json(result) for result in self.content["results"]]

    @property
    def machine(self) -> Machine:
        """What they were measured on."""
        content = self.content["machine"]
        return Machine(**{field.name: content.get(field.name) for field in fields(Machine)})

    @property
    def created(self) -> str:
        """When the benchmark began, ISO 8601 in UTC; empty where it was not recorded."""
        return str(self.content.get("created", ""))

    @property
    def power(self) -> list[dict[str, Any]]:
        """Battery and low-power mode as the schema has them, in order; empty where they were not recorded."""
        return sorted(self.content.get("power", []), key=lambda entry: float(entry["t_s"]))

    @property
    def plan(self) -> dict[str, Any]:
        """What was asked for; empty where it was not recorded."""
        plan: dict[str, Any] = self.content.get("plan", {})
        return plan

    @property
    def thermal(self) -> list[tuple[float, str]]:
        """Seconds since the benchmark began, and the thermal state from then on, in order; empty where none was recorded."""
        return sorted((float(entry["t_s"]), str(entry["state"])) for entry in self.content.get("thermal", []))


def report(
    results: Sequence[Latency],
    created: datetime | None = None,
    threads: int | None = None,
    comparison: Comparison | None = None,
) -> dict[str, Any]:
    """The results as JSON of ``benchmarks/schema/bench-v2.json``, which the iOS app writes too; ``read_report`` reads it back.

    Args:
        results: at least one.
        created: when the benchmark began.
        threads: that the runtimes were given.
        comparison: of two results.
    """
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if created:
        content["created"] = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content |= {"machine": machine(threads), "results": results} | ({"comparison": comparison} if comparison else {})
    written: dict[str, Any] = plain(content)
    return written


def schema(version: int = SCHEMA_VERSION) -> dict[str, Any]:
    """The format of a latency report of that version as JSON schema."""
    file = shipped_folder("benchmarks/schema") / f"bench-v{version}.json"
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def read_reports(paths: Sequence[Path]) -> list[DeviceReport]:
    """Read reports.

    Raises:
        InputError: one cannot be read, does not fit the schema, contradicts its own samples, or is named twice.
    """
    places: set[Path] = set()
    for path in paths:
        if path.resolve() in places:
            raise InputError(f"'{path}' is named twice: give each report once")
        places.add(path.resolve())
    return [read_report(path) for path in paths]


def read_report(path: Path) -> DeviceReport:
    """Read one report.

    Raises:
        InputError: see ``read_reports``.
    """
    try:
        content = strict_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror}): give a JSON file of the app or of bench --json") from error
    except (ValueError, RecursionError) as error:
        reason = brief(error, 120)
        raise InputError(f"'{path}' is not JSON ({reason}): give a file of the app or of bench --json") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version not in _READ:
        versions = " and ".join(map(str, _READ))
        raise InputError(f"'{path}' has schema version {version}, this reads versions {versions}: update fcrn-mobile or the app")
    if wrong := misfit(content, schema(version if version in _READ else SCHEMA_VERSION)):
        raise InputError(f"'{path}' is not a latency report ({wrong}): give a file of the app or of bench --json")
    report = DeviceReport(path, content)
    _check_statistics(report)
    return report


def merged(reports: Sequence[DeviceReport]) -> dict[str, Any]:
    """All reports in one document, with what does not match between them."""
    return {"reports": [{"file": str(report.path), **report.content} for report in reports], "differences": differences(reports)}


def timeline(report: DeviceReport) -> list[tuple[Latency, NDArray[np.float64]]]:
    """Each result with the seconds since the benchmark began at which its samples ended, as far as the file tells.

    Where a file does not say when each sample ended, they follow the loading back to back: warm-up and pauses are not recorded then.
    Where it does not say when a model began, that follows the one before.
    """
    spans, end = [], 0.0
    for result in report.results:
        start = end if result.started_s is None else result.started_s
        times = start + (result.load_ms + np.cumsum(result.samples_ms)) / 1000
        if result.sample_times_s is not None:
            times = np.array(result.sample_times_s, dtype=np.float64)
        end = float(times[-1])
        spans.append((result, times))
    return spans


def differences(reports: Sequence[DeviceReport]) -> list[str]:
    """Why figures of these reports should not be compared, a sentence each; empty if nothing speaks against it.

    A model of the same name must have the same checkpoint and recipe in all files, and a tool the same version.
    """
    return [sentence for one, other in combinations(reports, 2) for sentence in _between(one, other)]


def _between(one: DeviceReport, other: DeviceReport) -> Iterator[str]:
    where = f"between '{one.path}' and '{other.path}'"
    versions = one.machine.versions, other.machine.versions
    for tool in sorted(versions[0].keys() & versions[1].keys()):
        if versions[0][tool] != versions[1][tool]:
            yield f"version of {tool} differs {where}: {versions[0][tool]}, {versions[1][tool]}"
    if not versions[0].keys() & versions[1].keys():
        yield f"version cannot be compared {where}: {_listed(versions[0])}; {_listed(versions[1])}"
    models = [{r.model: r for r in report.results} for report in (one, other)]
    shared = [name for name in models[0] if name in models[1]]
    if not shared:
        yield f"no model in common {where}: {', '.join(models[0])}; {', '.join(models[1])}"
    for name in shared:
        yield from _between_models(name, models[0][name], models[1][name], where)


def _between_models(name: str, one: Latency, other: Latency, where: str) -> Iterator[str]:
    hashes = one.checkpoint_sha256, other.checkpoint_sha256
    if None in hashes:
        yield f"model hash of '{name}' cannot be compared {where}: not in both files"
    elif hashes[0] != hashes[1]:
        yield f"model hash of '{name}' differs {where}: {str(hashes[0])[:12]}…, {str(hashes[1])[:12]}…"
    if one.recipe is None and other.recipe is None:
        return
    if one.recipe is None or other.recipe is None:
        yield f"recipe of '{name}' cannot be compared {where}: not in both files"
        return
    for key in sorted(one.recipe.keys() | other.recipe.keys()):
        if one.recipe.get(key) != other.recipe.get(key):
            yield f"recipe of '{name}' differs {where}: {key} is {json.dumps(one.recipe.get(key))}, {json.dumps(other.recipe.get(key))}"


def _check_statistics(report: DeviceReport) -> None:
    for index, result in enumerate(report.results, 1):
        if result.sample_times_s is not None and len(result.sample_times_s) != len(result.samples_ms):
            raise InputError(
                f"'{report.path}': result {index} has {len(result.samples_ms)} samples but {len(result.sample_times_s)} times: "
                "the file was changed after it was written; export it again"
            )
        for key, value in vars(statistics(result.samples_ms)).items():
            figure = getattr(result, key)
            if not math.isclose(figure, value, rel_tol=1e-6):
                raise InputError(
                    f"'{report.path}': {key} of result {index} is {figure:g}, but its samples give {value:g}: "
                    "the file was changed after it was written; export it again"
                )


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{tool} {version}" for tool, version in versions.items())
