"""Published latencies with the cost of the networks they belong to, and those of a user's own reports."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks import NETWORKS, described
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.constants import CHIPS, chips
from fcrn_mobile.latency.estimate import gives_map
from fcrn_mobile.latency.reports import read_report
from fcrn_mobile.latency.work import matrix, work
from fcrn_mobile.mil.graph import read_graph

__all__ = ["LATENCIES", "OWN", "SOURCES", "Sample", "own_samples", "published_samples", "rows", "sort_of"]

LATENCIES = Path(__file__).with_name("latencies.csv")
SOURCES = Path(__file__).with_name("sources.toml")
#: Source of the latencies of a user's report.
OWN = "own"
#: Families that give a map, besides what is measured as a backbone.
_MAPS = ("depth-anything", "zipdepth", "yolo26-depth")


@dataclass(frozen=True)
class Sample:
    """A latency and the cost of the network it belongs to.

    Attributes:
        chip, network: names; a network's sizes, precisions and its backbone count as one.
        case: the network with its size, and precision where it is not float16.
        family: of networks that are built alike.
        ms: of a prediction.
        rounding_ms: at most so far from the figure that was measured, which was printed rounded.
        source: key in ``sources.toml``.
        direct: whether it was measured without Core ML.
        sort: ``map`` or ``classifier``.
        operators: see ``matrix``.
    """

    chip: str
    network: str
    case: str
    family: str
    ms: float
    rounding_ms: float
    source: str
    direct: bool
    sort: str
    operators: NDArray[np.float64]


def rows() -> list[dict[str, str]]:
    """Of ``latencies.csv``: chip, device, os, network (empty if none is described), printed_as, input, precision, weight_ratio (how many
    times smaller than float16 the weights are stored), ms, half_unit (of the last printed digit), api, source, where in it, grade of it
    (A to C), unused (why it stands for the record only).
    """
    with LATENCIES.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def published_samples() -> list[Sample]:
    """All published latencies that are fitted to."""
    return [_sample(row) for row in rows() if not row["unused"]]


def _sample(row: dict[str, str]) -> Sample:
    network, ratio = described(row["network"]), float(row["weight_ratio"] or 1)
    base = row["network"].split("@")[0].split(" ")[0]
    family = NETWORKS[base].family
    if row["precision"] == "w8a8":
        operators, precision = matrix(network.work(1, 1, int8=True)), ", w8a8"
    else:
        operators, precision = matrix(network.work(2 / ratio)), "" if ratio == 1 else f", weights ÷{ratio:g}"
    return Sample(
        chip=row["chip"],
        network="zipdepth" if family == "zipdepth" else base,  # one network with three heads
        case=row["network"] + precision,
        family=family,
        ms=float(row["ms"]),
        rounding_ms=float(row["half_unit"] or 0),
        source=row["source"],
        direct=row["api"] == "direct",
        sort=sort_of(row["network"]),
        operators=operators,
    )


def sort_of(network: str) -> str:
    """``map`` or ``classifier``, by the name that ``latencies.csv`` has."""
    return "map" if network.endswith(" backbone") or NETWORKS[network.split("@")[0].split(" ")[0]].family in _MAPS else "classifier"


def own_samples(report: Path, packages: Path) -> list[Sample]:
    """Latencies of a report that ran with the Neural Engine, each with the cost of its package.

    Args:
        report: JSON of the app or of ``bench``.
        packages: folder with the packages under the names that the report has.

    Raises:
        InputError: the report or a package cannot be read, its device is of no chip in ``chips.toml``, or nothing in it used the engine.
    """
    content = read_report(report)
    chip = _chip(content.machine.processor, report)
    results = [result for result in content.results if result.compute_units in ("all", "cpuAndNeuralEngine")]
    if not results:
        raise InputError(f"'{report}' has no result with compute units all or cpuAndNeuralEngine: measure with one of them")
    samples = []
    for result in results:
        path = packages / f"{result.model.removesuffix('.mlpackage')}.mlpackage"
        if not path.is_dir():
            raise InputError(f"'{path}' is not there: put the package that '{report}' names '{result.model}' into --packages")
        graph = read_graph(path)
        sort, operators = "map" if gives_map(graph) else "classifier", matrix(work(graph))
        samples.append(Sample(chip, path.stem, path.stem, OWN, result.median_ms, 0.0, OWN, False, sort, operators))
    return samples


def _chip(processor: str, report: Path) -> str:
    """The chip of a device by Apple's identifier, or by its own name as Macs have it ("Apple M1 Max")."""
    for name, chip in chips().items():
        if "no_data" not in chip and (processor in chip.get("models", ()) or f" {name} " in f" {processor} "):
            return name
    raise InputError(f"'{report}' was measured on '{processor}', which is in no chip's models: add it to {CHIPS.name}")
