"""The deployed FCRN against the literal one in every engine that runs on a CPU, side by side in one run; no device is involved.

    python benchmarks/peers.py [--quick | --builtin] [--launches N] [--json benchmarks/results/peers.json]

First the paper's network, prediction alone: both forms (see peer_networks.py) in each engine, with 2 threads and with the threads that
the engine takes by itself. Its weights are random, on which no time depends. Then the built-in network from a JPEG in memory to a
coloured depth map: ours with 2 threads, the literal one with each engine's own threads. Every candidate's output is held against the
float network before it is timed. All candidates of a table take turns block by block and are opened anew several times; ratios have
bootstrap intervals over launches. Run it alone on the machine: it takes 50 minutes, --quick (a smaller network, 2 launches) ten, and so
does --builtin, which measures the built-in network alone; the tables of the paper's then stay as the file of --json has them.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peer_networks import ENGINES, FORMS, Engine, build, difference, opener, random_checkpoint

from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.latency import machine
from fcrn_mobile.latency.turns import LAUNCHES, in_turns, judge
from fcrn_mobile.network.fcrn import FCRNConfig, preset
from fcrn_mobile.validation.attribution import spread

STARTED = time.monotonic()
THREADS = 2
#: Images per second, end to end, that the built-in network must reach.
LEAST_FPS = 30.0
#: Largest mean |candidate − float| / mean |float| with which a candidate is timed. Random weights magnify int8's rounding (0.06 for the
#: built-in network, 0.37 for a random one seen); an output of zeros would differ by 1, an unrelated one by more.
AGREES, INT8_AGREES = 1e-3, 0.9
#: Predictions that take longer come one to a block.
SLOW_MS = 1500.0
CALIBRATION, CHECKED = 8, 2


@dataclass(frozen=True)
class Candidates:
    """One network in every engine.

    Attributes:
        network: its name.
        paths: engine → form → the file that it runs.
        differences: engine → form → of its output from the float network, see ``difference``.
        missing: engine → why there is nothing to time.
    """

    network: str
    paths: dict[Engine, dict[str, str]] = field(default_factory=dict)
    differences: dict[Engine, dict[str, float]] = field(default_factory=dict)
    missing: dict[Engine, str] = field(default_factory=dict)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--quick", action="store_true", help="a smaller network than the paper's, 2 launches: a trial run")
    parts.add_argument("--builtin", action="store_true", help="the built-in network alone")
    parser.add_argument("--launches", type=int, help="times that every candidate is opened anew; fewer make wider intervals")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    config = preset("fcrn-resnet18", input_size=(128, 160)) if arguments.quick else preset("fcrn-resnet50")
    launches = arguments.launches or (2 if arguments.quick else LAUNCHES)
    result = measure(None if arguments.builtin else config, launches=launches)
    print("\n".join(show(result)))
    if arguments.json:
        if arguments.builtin and arguments.json.exists():
            result = completed(result, json.loads(arguments.json.read_text()))
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(config: FCRNConfig | None, builtin: str = "builtin", launches: int = LAUNCHES, rounds: int = 2) -> dict[str, Any]:
    """All tables: of a network of random weights, if there is one, and of a trained one end to end."""
    images = spread(open_source("sample"), CALIBRATION)
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        if config:
            height, width = config.input_size
            model = Path(folder) / "random.safetensors"
            random_checkpoint(config, images, model)
            random = prepare(f"{config.preset}, random weights, {height}×{width}", str(model), images, Path(folder, "random"))
            tables.append(timed(random, dict.fromkeys(FORMS, THREADS), rounds, launches, settable=True))
            tables.append(timed(random, dict.fromkeys(FORMS), rounds, launches))
        trained = prepare(builtin, builtin, images, Path(folder, "trained"))
        tables.append(timed(trained, {"literal": None, "ours": THREADS}, rounds, launches, end_to_end=True))
    return {
        "tables": tables,
        "launches": launches,
        "least_fps": LEAST_FPS,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "machine": vars(machine()),
    }


def completed(result: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A result of the trained network with an earlier one's tables of the other, each with launches and machine of its own run."""
    own = {key: before[key] for key in ("launches", "machine")}
    return result | {"tables": [own | table for table in before["tables"] if not table["end_to_end"]] + result["tables"]}


def prepare(network: str, model: str, images: Sequence[NDArray[np.uint8]], folder: Path) -> Candidates:
    """Both forms for every engine, each held against the float network."""
    folder.mkdir()
    found = Candidates(network)
    checked = list(images[:CHECKED])
    literal = ENGINES[0]
    float_network = opener(build(model, literal, "literal", folder, list(images)), literal, "literal", None)()
    expected = [float_network.predict(image) for image in checked]
    for engine in ENGINES:
        say(f"{network}: {engine.name}: building and checking")
        try:
            paths = {form: build(model, engine, form, folder, list(images)) for form in FORMS}
            off = {form: difference(opener(path, engine, form, None)(), expected, checked) for form, path in paths.items()}
        except InputError as error:
            found.missing[engine] = f"missing: {error}"
            continue
        gc.collect()
        found.differences[engine] = off
        if max(off.values()) <= (INT8_AGREES if engine.int8 else AGREES):
            found.paths[engine] = paths
        else:
            found.missing[engine] = f"not timed: its output differs by {max(off.values()):.2g} from the float network's"
    return found


def timed(
    candidates: Candidates,
    threads: Mapping[str, int | None],
    rounds: int,
    launches: int,
    end_to_end: bool = False,
    settable: bool = False,
) -> dict[str, Any]:
    """One table.

    Args:
        candidates: what to time.
        threads: of each form; None: the engine's own choice. An engine without such a setting always takes its own.
        rounds, launches: see ``in_turns``.
        end_to_end: from a JPEG in memory to a coloured depth map.
        settable: leave out engines whose threads cannot be set.
    """
    missing = dict(candidates.missing)
    if settable:
        missing |= {e: "chooses its threads itself: see its own choice" for e in candidates.paths if not e.threaded}
    jobs = [(engine, form) for engine in candidates.paths if engine not in missing for form in FORMS]
    given = {(e, f): threads[f] if e.threaded else None for e, f in jobs}
    models = [opener(candidates.paths[e][f], e, f, given[e, f]) for e, f in jobs]

    def progress(done: int, total: int) -> None:
        say(f"{candidates.network}, {threads['ours'] or 'own'} threads: round {done} of {total}")

    figures, medians = in_turns(models, rounds, launches, end_to_end, SLOW_MS, progress)
    latencies = dict(zip(jobs, figures, strict=True))
    blocks = dict(zip(jobs, medians, strict=True))
    best = min((job for job in jobs if job[1] == "ours" and not job[0].int8), key=lambda job: latencies[job].median_ms)
    rows: list[dict[str, Any]] = []
    for engine in ENGINES:
        row: dict[str, Any] = {"engine": engine.name, "missing": missing.get(engine)}
        for form in FORMS if engine not in missing else ():
            row[form] = {"threads": given[engine, form], "difference": candidates.differences[engine][form]}
            row[form] |= latencies[engine, form].to_json()
        if engine not in missing:
            slow, ours = (blocks[engine, form] for form in FORMS)
            row["literal_over_ours"] = vars(judge(f"literal in {engine.name}", f"ours in {engine.name}", slow, ours))
            row["literal_over_best"] = vars(judge(f"literal in {engine.name}", f"ours in {best[0].name}", slow, blocks[best]))
        rows.append(row)
    return {
        "network": candidates.network,
        "threads": dict(threads),
        "end_to_end": end_to_end,
        "best": {"engine": best[0].name, "median_ms": latencies[best].median_ms, "fps": latencies[best].fps},
        "rows": rows,
        "warnings": [f"{form} in {engine.name}: {w}" for (engine, form), f in latencies.items() for w in f.warnings()],
    }


def show(result: Mapping[str, Any]) -> list[str]:
    """The tables of README.md in this folder, as lines."""
    lines = [line for table in result["tables"] for line in [*_table(table), ""]]
    whole = next(table for table in result["tables"] if table["end_to_end"])
    fps, least = whole["best"]["fps"], result["least_fps"]
    lines.append(
        f"{whole['network']}, end to end, ours in {whole['best']['engine']} with {THREADS} threads: {fps:.1f} images per second, "
        f"at least {least:g}: {'held' if fps >= least else 'BROKEN'}"
    )
    peers = [row for row in whole["rows"] if not row["missing"]]
    ahead = [row["engine"] for row in peers if row["literal_over_best"]["high"] < 1]
    lines.append(f"a literal peer with its own threads is faster: {', '.join(ahead) + ', BROKEN' if ahead else 'none'}")
    if result["launches"] < LAUNCHES:
        lines.append(
            f"warning: {result['launches']} launches are too few for an interval, which is then narrower than it says: a trial run"
        )
    noisy = sum(len(table["warnings"]) for table in result["tables"])
    if noisy:
        lines.append(f"warning: {noisy} of the candidates had no steady times: is the machine busy? The JSON names them")
    facts = result["machine"]
    lines.append(f"{facts['processor']}, {facts['cores']} cores, load {facts['load_1min']:.1f}; measured here, not on a device")
    return lines


def _table(table: Mapping[str, Any]) -> list[str]:
    threads = {form: f"{count} threads" if count else "own threads" for form, count in table["threads"].items()}
    timed_part = "end to end" if table["end_to_end"] else "prediction alone"
    best = table["best"]
    lines = [
        f"{table['network']}, {timed_part}; our best float engine: {best['engine']}, {best['median_ms']:.1f} ms",
        "",
        f"| engine | literal, {threads['literal']}: ms | FPS | ours, {threads['ours']}: ms | FPS | literal / ours there "
        "| literal there / our best | literal differs | ours differs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table["rows"]:
        if row["missing"]:
            lines.append(f"| {row['engine']} | {row['missing']} | | | | | | | |")
            continue
        cells = [row["engine"]]
        for form in FORMS:
            cells += [f"{row[form]['median_ms']:.1f}", _fps(row[form]["fps"])]
        cells += [_interval(row["literal_over_ours"]), _interval(row["literal_over_best"])]
        cells += [f"{row[form]['difference']:.1e}" for form in FORMS]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _fps(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _interval(comparison: Mapping[str, Any]) -> str:
    text = f"{comparison['ratio']:.2f} ({comparison['low']:.2f} to {comparison['high']:.2f})"
    return text if comparison["difference_shown"] else f"{text}, no difference shown"


def say(text: str) -> None:
    """Progress with the minutes that it took to get there, apart from the result."""
    seconds = int(time.monotonic() - STARTED)
    print(f"{seconds // 60}:{seconds % 60:02d} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
