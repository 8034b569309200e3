import numpy as np
import pytest

from fcrn_mobile.benchmark.latency import WARM_UP, measure, report
from fcrn_mobile.runtimes import open_runtime


def test_statistics_are_those_of_the_raw_samples() -> None:
    result = measure(lambda: open_runtime("builtin"), runs=5)
    samples = np.array(result.samples_ms)
    assert len(samples) == 5
    assert (samples > 0).all()
    assert result.median_ms == pytest.approx(np.median(samples))
    assert result.p95_ms == pytest.approx(np.percentile(samples, 95))
    assert (result.min_ms, result.max_ms) == (samples.min(), samples.max())
    assert result.fps == pytest.approx(1000 / np.median(samples))
    assert result.load_ms > 0
    assert result.peak_memory_bytes > 50e6
    (entry,) = report([result])["results"]
    assert set(entry) == {
        "model",
        "backend",
        "device",
        "compute_units",
        "samples_ms",
        "mean_ms",
        "median_ms",
        "p90_ms",
        "p95_ms",
        "p99_ms",
        "min_ms",
        "max_ms",
        "fps",
        "load_ms",
        "peak_memory_bytes",
    }


def test_warm_up_is_not_counted() -> None:
    class Counting:
        name, backend, input_size, calls = "count", "torch", (8, 8), 0

        def predict(self, image: np.ndarray) -> np.ndarray:
            assert image.shape == (8, 8, 3)
            self.calls += 1
            return np.zeros((4, 4), np.float32)

    runtime = Counting()
    assert len(measure(lambda: runtime, runs=4).samples_ms) == 4  # type: ignore[arg-type, return-value]
    assert runtime.calls == WARM_UP + 4
