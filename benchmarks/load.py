"""How long a neural network of float32 weights takes to load, beside reading its file and one pass over it, in turns in one process.

    python benchmarks/load.py [--megabytes 100] [--turns 9]

The limit is 1.5: whatever a load does beside, it may not copy the weights again.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fcrn_mobile.mil import Program
from fcrn_mobile.quiet import quiet_coremltools

__all__ = ["LIMIT", "ratios", "save_network"]

LIMIT = 1.5
_LAYERS = 6


def save_network(path: Path, megabytes: float) -> None:
    """A chain of linear layers with so many megabytes of weights."""
    width = round((megabytes * 1e6 / 4 / _LAYERS) ** 0.5)
    with quiet_coremltools():
        from coremltools.models import MLModel, datatypes
        from coremltools.models.neural_network import NeuralNetworkBuilder

        builder = NeuralNetworkBuilder([("x0", datatypes.Array(width))], [(f"x{_LAYERS}", datatypes.Array(width))])
        generator = np.random.default_rng(0)
        for index in range(_LAYERS):
            weights = generator.standard_normal((width, width)).astype(np.float32)
            builder.add_inner_product(f"layer{index}", weights, None, width, width, False, f"x{index}", f"x{index + 1}")
        MLModel(builder.spec).save(str(path))


def ratios(path: Path, turns: int) -> list[float]:
    """Time of a load over that of reading and one pass, turn by turn; the first turn of each warms up and does not count."""

    def read() -> object:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        return content[: content.size // 4 * 4].view(np.uint32).max()

    pairs = [(_seconds(read), _seconds(lambda: Program.load(path))) for _ in range(turns + 1)]
    return [load / base for base, load in pairs[1:]]


def _seconds(work: Callable[[], object]) -> float:
    """Processor time, which other processes do not lengthen."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--turns", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.mlmodel"
        save_network(path, arguments.megabytes)
        measured = ratios(path, arguments.turns)
    low, middle, high = min(measured), statistics.median(measured), max(measured)
    print(f"load / (read + one pass) of {arguments.megabytes:g} MB: {middle:.2f} ({low:.2f} to {high:.2f}), limit {LIMIT}")


if __name__ == "__main__":
    main()
