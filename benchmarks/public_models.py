"""What each Core ML file below a folder gives: loaded, and run once on random inputs.

    python benchmarks/public_models.py FOLDER

FOLDER holds what the reader has fetched, a folder for each repository, named ``owner+name`` as docs/public-models.md has it. Prints that
table. Inputs are random, from the seed 0: a row says that a model runs here and what comes out. Where there is a value from elsewhere
(``public_values.py``) for the same inputs, it says how far off the largest difference is, in parts of the largest value.
"""

import argparse
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from public_values import independent_values

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.reading import read_specification

HEADING = "| repository | file | kind | what it gave | beside | off by (float32, float16) |\n|---|---|---|---|---|---|"
CHANNELS = {"RGB": (3,), "BGR": (3,)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(HEADING)
    digests: set[str] = set()
    for path in model_files(options.folder):
        digest = content(path)
        if digest not in digests:
            digests.add(digest)
            repository, _, file = path.relative_to(options.folder).as_posix().partition("/")
            print(f"| {repository.replace('+', '/', 1)} | {file} | {' | '.join(outcome(path))} |", flush=True)


def model_files(folder: Path) -> Iterator[Path]:
    """Packages and .mlmodel files that belong to none."""
    for path in sorted(folder.rglob("*.ml*")):
        if path.suffix == ".mlpackage" or (path.suffix == ".mlmodel" and not any(p.suffix == ".mlpackage" for p in path.parents)):
            yield path


def content(path: Path) -> str:
    """A digest of a model's files: people keep copies."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in (".mlmodel", ".bin")) if path.is_dir() else [path]
    return hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()


def outcome(path: Path) -> tuple[str, str, str, str]:
    """Its kind, what came of it (each output, or the line that refuses it), what else says so, and how far off it is."""
    kind = "?"
    try:
        model = read_specification(path)[0]
        kind = str(model.WhichOneof("Type"))
        program = Program.load(path, "float16")
        generator = np.random.default_rng(0)
        inputs = {feature.name: example(feature, generator) for feature in program.inputs if feature.default is None}
        results = _results(program, inputs)
    except InputError as error:
        return kind, f"refused: {str(error).replace(str(path), path.name)}".replace("|", "\\|"), "", ""
    other = independent_values(path, model, inputs)
    what = "; ".join(f"`{name}` {shown(value)}" for name, value in results.items())
    if other is None:
        return kind, what, "", ""
    exact = _results(Program.load(path, "float32"), inputs)
    return kind, what, other[0], ", ".join(f"{difference(other[1], each):.1e}" for each in (exact, results))


def _results(program: Program, inputs: dict[str, Any]) -> dict[str, Any]:
    return program.predict(inputs, program.make_state() if program.states else None)


def difference(expected: Mapping[str, Any], results: Mapping[str, Any]) -> float:
    """The largest difference of results, in parts of the largest value of each.

    Raises:
        ValueError: another shape, or other classes.
    """
    worst = 0.0
    for name, value in expected.items():
        if isinstance(value, dict) and set(value) != set(results[name]):
            raise ValueError(f"'{name}' has other classes")
        wanted = np.array(list(value.values()) if isinstance(value, dict) else value, np.float64)
        actual = np.array([results[name][key] for key in value] if isinstance(value, dict) else results[name], np.float64)
        if actual.shape != wanted.shape:
            raise ValueError(f"'{name}' is {actual.shape}, elsewhere {wanted.shape}")
        worst = max(worst, float(np.abs(actual - wanted).max() / np.abs(wanted).max()))
    return worst


def example(feature: Feature, generator: np.random.Generator) -> Any:
    """A value that an input takes: random pixels, numbers from 0 to 1, zeros for whole numbers."""
    if feature.kind == "image":
        shape = (*feature.shape, *CHANNELS.get(feature.dtype, ()))
        if feature.dtype == "GRAYSCALE_FLOAT16":
            return generator.random(shape, np.float32)
        return generator.integers(0, 256, shape, dtype=np.uint8)
    if feature.kind == "array":
        return np.zeros(feature.shape, np.int32) if feature.dtype.startswith("INT") else generator.random(feature.shape, np.float32)
    if feature.kind == "scores":
        return {"good": 1.0} if feature.dtype == "STRING" else {0: 1.0}
    return 1.0 if feature.kind == "number" else "" if feature.dtype == "STRING" else 0


def shown(value: Any) -> str:
    """A result in a few words: its type and shape with the range, a label, the best of scores."""
    if isinstance(value, dict):
        best = max(value, key=value.__getitem__, default=None)
        return f"{len(value)} scores, the best {best!r} with {value[best]:.3g}" if best is not None else "no scores"
    if not isinstance(value, np.ndarray):
        return f"{value:.4g}" if isinstance(value, float) else repr(value)
    shape = "×".join(map(str, value.shape))
    if not value.size:
        return f"{value.dtype} {shape}"
    finite = "" if np.isfinite(value).all() else ", not all finite"
    return f"{value.dtype} {shape} from {np.nanmin(value):.3g} to {np.nanmax(value):.3g}{finite}"


if __name__ == "__main__":
    main()
