import io
import json
from datetime import UTC, datetime

import matplotlib
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.latency import Latency, measure, statistics, summarise
from fcrn_mobile.latency.plan import Subject, check, subjects
from fcrn_mobile.latency.reports import report, schema
from fcrn_mobile.latency.stability import WarmUp
from fcrn_mobile.latency.stages import STAGES, colour_table, coloured, end_to_end, model_only, sample_photo
from fcrn_mobile.latency.turns import Comparison
from fcrn_mobile.latency.worker import Opened, Worker
from fcrn_mobile.mil.arithmetic import FLOAT32
from tests.latency.runtimes import Sleeping, faulty, killed, missing, sleeping

VALIDATOR = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
OPENED = Opened("net", "mil", {}, "cpuOnly", "float32", 12.0)
QUIET = [10.0 + 0.01 * i for i in range(20)]


def latency(samples: list[float], settled: bool = True) -> Latency:
    return summarise(OPENED, WarmUp(99.0, 10, settled), [(sample,) for sample in samples], 1 << 28)


def test_statistics_are_those_that_numpy_gives() -> None:
    samples = list(np.random.default_rng(1).lognormal(3, 0.3, 37))
    found = statistics(samples)
    for key, share in (("median_ms", 50), ("p90_ms", 90), ("p95_ms", 95), ("p99_ms", 99)):
        assert getattr(found, key) == pytest.approx(np.percentile(samples, share))
    assert found.mean_ms == pytest.approx(sum(samples) / 37)
    assert (found.min_ms, found.max_ms) == (min(samples), max(samples))
    assert found.fps == pytest.approx(1000 / sorted(samples)[18])


def test_a_model_is_measured_in_a_process_of_its_own(capfd) -> None:
    ballast = np.ones(800 << 20, np.uint8)  # 800 MB that belong to this process, not to the model
    result = measure(sleeping(20), runs=10)
    assert ballast.nbytes == 800 << 20
    assert 20 <= result.min_ms <= result.median_ms
    assert len(result.samples_ms) == 10
    assert (result.model, result.backend) == ("sleep-20", "sleep")
    assert result.peak_memory_bytes is not None
    assert 10e6 < result.peak_memory_bytes < 700e6
    assert result.first_predict_ms is not None
    assert result.first_predict_ms >= 20
    assert result.warm_up is not None
    assert result.warm_up >= 10
    assert (result.checkpoint_sha256, result.recipe) == ("ab" * 32, {"precision": "fp16"})
    # What a library prints must not stand in the result.
    assert capfd.readouterr().out == ""
    VALIDATOR.validate(json.loads(json.dumps(report([result], datetime.now(UTC)))))


def test_what_goes_wrong_in_the_process_is_told_here() -> None:
    with pytest.raises(InputError, match="no model at 'nowhere'"):
        Worker(missing)
    with pytest.raises(InputError, match=r"ended \(exit code 9\)"):
        Worker(killed)
    with pytest.raises(RuntimeError, match="a bug"):
        Worker(faulty)


def test_a_report_has_what_is_known_and_fits_the_schema() -> None:
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    content = json.loads(json.dumps(report([latency(QUIET)], began, threads=3)))
    VALIDATOR.validate(content)
    assert content["created"] == "2026-01-02T03:04:05Z"
    assert content["machine"]["threads"] == 3
    (result,) = content["results"]
    assert None not in result.values()
    assert "thermal" not in content
    assert {"first_predict_ms": 99.0, "warm_up": 10, "settled": True, "arithmetic": "float32"}.items() <= result.items()


def test_a_noisy_machine_and_a_warm_up_without_end_are_told() -> None:
    assert latency(QUIET).warnings() == []
    (noisy,) = latency(QUIET[:10] + [15.0] * 10).warnings()
    assert "too noisy" in noisy
    assert "net (mil)" in noisy
    (unsettled,) = latency(QUIET, settled=False).warnings()
    assert "had not settled after 10 predictions" in unsettled


def test_end_to_end_decodes_resizes_predicts_and_colours() -> None:
    runtime, content = Sleeping(3), io.BytesIO()
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(content, "PNG")
    stages = end_to_end(runtime, content.getvalue())()
    assert len(stages) == len(STAGES)
    assert min(stages) >= 0
    assert stages[2] >= 3
    (alone,) = model_only(runtime)()
    assert alone >= 3
    summary = summarise(OPENED, WarmUp(9.0, 10, True), [(1, 2, 30, 4), (3, 2, 10, 4), (2, 2, 20, 4)], None)
    assert summary.stages_ms == {"decode": 2, "resize": 2, "predict": 20, "colour": 4}
    assert summary.samples_ms == [37, 19, 28]
    assert summary.label == "net (mil, end to end)"
    with Image.open(io.BytesIO(sample_photo())) as photo:
        assert photo.format == "JPEG"


def test_colours_are_those_of_matplotlib() -> None:
    depth = np.array([[0.0, 2.0], [4.0, 8.0]], np.float32)
    expected = matplotlib.colormaps["magma_r"](depth / 8)[..., :3]
    np.testing.assert_allclose(coloured(depth, colour_table()) / 255, expected, atol=0.02)
    assert coloured(np.zeros((2, 2), np.float32), colour_table()).shape == (2, 2, 3)


def test_every_model_meets_the_backends_that_run_it(tmp_path) -> None:
    onnx = tmp_path / "a.onnx"
    onnx.touch()
    chosen = subjects(["builtin", str(onnx)], ["torch", "torch-compiled", "openvino"], FLOAT32, 1, [])
    assert [(s.model, s.backend) for s in chosen] == [("builtin", "torch"), ("builtin", "torch-compiled"), (str(onnx), "openvino")]
    assert subjects(["builtin"], ["auto"], FLOAT32, None, []) == [Subject("builtin", "torch", FLOAT32, None, "cpuOnly")]
    package = tmp_path / "a.mlpackage"
    package.mkdir()
    units = [subject.compute_units for subject in subjects([str(package)], ["coreml"], FLOAT32, None, [])]
    assert units == ["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"]


@pytest.mark.parametrize(
    ("models", "backends", "settings", "runs", "compared", "words"),
    [
        (["nowhere.onnx"], ["auto"], {}, 30, False, "nowhere.onnx"),
        (["builtin"], ["cuda"], {}, 30, False, "unknown backend 'cuda'"),
        (["builtin"], ["mil"], {}, 30, False, "runs .mlpackage files"),
        (["builtin"], ["auto"], {"units": ["gpu"]}, 30, False, "unknown --compute-units 'gpu'"),
        (["builtin"], ["auto"], {"units": ["all"]}, 30, False, "--compute-units 'all' is for the coreml backend"),
        (["builtin"], ["auto"], {"device": "any"}, 30, False, "--device 'any' is for the coreml backend"),
        (["builtin"], ["auto"], {"threads": 0}, 30, False, "--threads is 0"),
        (["builtin"], ["auto"], {}, 0, False, "--runs is 0"),
        (["builtin"], ["auto"], {}, 30, True, "--compare takes two, not 1"),
        (["builtin"], ["torch", "torch-compiled"], {}, 29, True, "--compare needs at least 30"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_work(models, backends, settings, runs, compared, words) -> None:
    settings = {"arithmetic": FLOAT32, "threads": None, "units": [], **settings}
    with pytest.raises(InputError, match=words):
        check(subjects(models, backends, **settings), runs, settings["threads"], compared)


def test_threads_are_refused_where_a_backend_has_no_such_setting() -> None:
    with pytest.raises(InputError, match="'coreai' chooses its threads itself"):
        check([Subject("a.aimodel", "coreai", FLOAT32, 2, "cpuOnly")], 30, 2)


def test_a_remote_device_is_neither_compared_nor_measured_end_to_end() -> None:
    with pytest.raises(InputError, match="leave --device out"):
        check([Subject("a.mlpackage", "coreml", FLOAT32, None, "all")], 30, None, elsewhere=True)


def test_a_report_has_the_keys_of_its_format_in_their_order_and_is_read_back_as_it_was() -> None:
    result = latency(QUIET)
    compared = Comparison("a", "b", 0.5, 0.4, 0.6, 0.95, 10, 5, True)
    content = json.loads(json.dumps(report([result], datetime(2026, 1, 2, tzinfo=UTC), comparison=compared)))
    assert list(content) == ["schema_version", "created", "machine", "results", "comparison"]
    assert list(content["machine"]) == ["processor", "cores", "threads", "load_1min", "system", "versions"]
    assert list(content["comparison"]) == ["first", "second", "ratio", "low", "high", "confidence", "pairs", "launches", "difference_shown"]
    named = ["model", "backend", "device", "compute_units", "samples_ms"]
    times = ["mean_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms", "min_ms", "max_ms", "fps", "load_ms"]
    known = ["peak_memory_bytes", "first_predict_ms", "warm_up", "settled", "spread", "arithmetic"]
    assert list(content["results"][0]) == [*named, *times, *known]
    assert Latency.from_json(content["results"][0] | {"of_a_later_version": 1}) == result
