"""How far a device's outputs are from the host's, as the iOS app measured it, held to the package's budget.

The formulas are those of ``fidelity.py`` for depth: per frame abs_rel = mean |c - r| / r with values below 1 mm counted as 1 mm, PSNR in
dB = 20·log10(max|r| / √mean (c - r)²), and max |c - r|; of all frames the mean, the mean, and the greatest. The reference r is what this
package gave on the host (``host_outputs.py``), not the float network: of what ``validate`` measures, this is the part that the device adds.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.evaluation.budget import FIDELITY, Check, Limit
from fcrn_mobile.json_text import misfit, strict_json
from fcrn_mobile.package.reading import package_hash
from fcrn_mobile.shipped import shipped_folder
from fcrn_mobile.validation.host_outputs import ARITHMETICS

__all__ = ["DeviceFidelity", "DeviceFidelityReport", "device_schema", "read_device_fidelity"]

_SOURCE = "give a fidelity report of the iOS app"
_VERSION = 1


@dataclass(frozen=True)
class DeviceFidelity:
    """One choice of compute units against one arithmetic of the host; figures that are no finite number are NaN, equal outputs have dB inf.

    Attributes:
        compute_units, backend: that the app used.
        host: arithmetic of the outputs that are the reference.
        abs_rel, psnr_db, max_abs: see above.
        first_difference: the first frame whose abs_rel is above the tolerance; empty for none.
        frames: their number.
        checks: budgets; empty where the outputs are not those that budgets are held to.
    """

    compute_units: str
    backend: str
    host: str
    abs_rel: float
    psnr_db: float
    max_abs: float
    first_difference: str
    frames: int
    checks: tuple[Check, ...] = ()

    @property
    def verdict(self) -> str:
        """``held``, ``broken``, ``no budget``, or ``shown`` where no budget is held to it. What is not finite is always broken."""
        if self.host != ARITHMETICS[0]:
            return "shown"
        if not math.isfinite(self.abs_rel) or not all(check.held for check in self.checks):
            return "broken"
        return "held" if self.checks else "no budget"

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        checks = [{"metric": item.limit.metric, "limit": item.limit.text, "value": item.value, "held": item.held} for item in self.checks]
        return {key: value for key, value in vars(self).items() if key != "checks"} | {"budget": checks, "verdict": self.verdict}


@dataclass(frozen=True)
class DeviceFidelityReport:
    """One file that the iOS app wrote.

    Attributes:
        path: of the file.
        content: all of it, as ``benchmarks/schema/fidelity-v1.json`` has it.
    """

    path: Path
    content: dict[str, Any]

    def require(self, package: Path) -> None:
        """Pass if it was measured with that package, or with the copy of it that ``ios-install`` made.

        Raises:
            InputError: it was not.
        """
        own, hashes = package_hash(package), {self.content["exported_sha256"], self.content["package_sha256"]}
        if own not in hashes:
            raise InputError(
                f"'{self.path}' was measured with another package than '{package}': its hash is {self.content['exported_sha256'][:12]}…, "
                f"that of the package {own[:12]}…: give the package that was installed, or install it and measure again"
            )

    def results(self, limits: Sequence[Limit] = ()) -> list[DeviceFidelity]:
        """What was measured, held to budgets on fidelity; others need true depth, or more than the app measures, and are left aside."""
        own = [limit for limit in limits if limit.metric == FIDELITY]
        return [_result(content, own) for content in self.content["results"]]


def device_schema() -> dict[str, Any]:
    """The format of the app's report as JSON schema."""
    file = shipped_folder("benchmarks/schema") / f"fidelity-v{_VERSION}.json"
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def read_device_fidelity(path: Path) -> DeviceFidelityReport:
    """Read a report of the app.

    Raises:
        InputError: it cannot be read, does not fit the schema, or contradicts its own frames.
    """
    try:
        content = strict_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror}): {_SOURCE}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not JSON ({brief(error, 120)}): {_SOURCE}") from error
    version = content.get("schema_version") if isinstance(content, dict) and content.get("kind") == "fidelity" else _VERSION
    if version != _VERSION:
        raise InputError(f"'{path}' has schema version {version!r:.20}, this reads version {_VERSION}: update fcrn-mobile or the app")
    if wrong := misfit(content, device_schema()):
        raise InputError(f"'{path}' is not a fidelity report ({wrong}): {_SOURCE}")
    report = DeviceFidelityReport(path, content)
    for fault in _contradictions(content):
        raise InputError(f"'{path}': {fault}: the file was changed after it was written; export it again")
    return report


def _result(content: dict[str, Any], limits: Sequence[Limit]) -> DeviceFidelity:
    frames, abs_rel = content["frames"], content.get("abs_rel", math.nan)
    psnr = [frame.get("psnr_db", math.inf if frame.get("max_abs") == 0 else math.nan) for frame in frames]
    binding = limits if content["host"] == ARITHMETICS[0] else ()
    return DeviceFidelity(
        compute_units=content["compute_units"],
        backend=content["backend"],
        host=content["host"],
        abs_rel=abs_rel,
        psnr_db=float(np.mean(psnr)),
        max_abs=content.get("max_abs", math.nan),
        first_difference=content.get("first_difference", ""),
        frames=len(frames),
        checks=tuple(Check(limit, abs_rel) for limit in binding),
    )


def _contradictions(content: dict[str, Any]) -> Iterator[str]:
    """What is missing of the results, and figures that do not follow from those of the frames."""
    if all(result["host"] != ARITHMETICS[0] for result in content["results"]):
        yield f"it has no result against the host in {ARITHMETICS[0]}, which budgets are held to"
    for index, result in enumerate(content["results"], 1):
        frames = result["frames"]
        columns = {key: [frame.get(key, math.nan) for frame in frames] for key in ("abs_rel", "max_abs")}
        for key, value in {"abs_rel": float(np.mean(columns["abs_rel"])), "max_abs": float(np.max(columns["max_abs"]))}.items():
            own = result.get(key, math.nan)
            if not (math.isclose(own, value, rel_tol=1e-6) or (math.isnan(own) and math.isnan(value))):
                yield f"{key} of result {index} is {own:g}, but its frames give {value:g}"
        differing = [frame["name"] for frame in frames if not frame.get("abs_rel", math.nan) <= content["tolerance_abs_rel"]]
        first, own_first = next(iter(differing), "none"), result.get("first_difference", "none")
        if own_first != first:
            yield f"the first frame of result {index} that differs is '{own_first:.80}', but its frames say '{first:.80}'"
