"""Reading and choosing only, with stand-ins for coremltools' objects: none of this ran on a Mac or a device."""

import asyncio
import json
import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coremltools.models.compute_device import MLCPUComputeDevice, MLNeuralEngineComputeDevice
from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.apple import ANY_DEVICE, benchmark, choose_device, measure, planned_operators, preferred_units
from fcrn_mobile.latency.compute_plan import read_plans
from fcrn_mobile.latency.worker import Opened

OPENED = Opened("net", "coreml", {"fcrn_mobile.checkpoint_sha256": "ab" * 32}, "cpuAndNeuralEngine", None, 0.0)


class Benchmarker:
    """Answers as MLModelBenchmarker does, with coremltools' own Measurement."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def benchmark_load(self, iterations: int = 1) -> Any:
        return MLModelBenchmarker.Measurement.from_samples([321.0] * iterations)

    async def benchmark_predict(self, inputs: Any = None, iterations: int = 1, warmup: bool = False) -> Any:
        self.asked.append(iterations)
        return MLModelBenchmarker.Measurement.from_samples([50.0 if len(self.asked) == 1 else 5.0] * iterations)


def test_a_measurement_becomes_a_result_with_the_same_warm_up_as_elsewhere() -> None:
    benchmarker = Benchmarker()
    phone = SimpleNamespace(name="a phone", os_version="26.1")
    result = asyncio.run(measure(benchmarker, OPENED, 12, phone, {"neuralEngine": 3}))
    assert benchmarker.asked == [1] * 10 + [12]
    assert (result.load_ms, result.first_predict_ms, result.samples_ms, result.fps) == (321.0, 50.0, [5.0] * 12, 200.0)
    assert (result.device, result.compute_units, result.backend) == ("a phone, 26.1", "cpuAndNeuralEngine", "coreml")
    assert (result.preferred_units, result.peak_memory_bytes, result.checkpoint_sha256) == ({"neuralEngine": 3}, None, "ab" * 32)
    assert result.label == "net (coreml, cpuAndNeuralEngine)"


def test_the_plan_is_counted_by_preferred_unit() -> None:
    engine, processor = (object.__new__(kind) for kind in (MLNeuralEngineComputeDevice, MLCPUComputeDevice))
    usages = [SimpleNamespace(preferred_compute_device=device) for device in (engine, engine, processor)]
    main = SimpleNamespace(block=SimpleNamespace(operations=[*usages, None]))
    plan = SimpleNamespace(
        model_structure=SimpleNamespace(program=SimpleNamespace(functions={"main": main})),
        get_compute_device_usage_for_mlprogram_operation=lambda operation: operation,
    )
    assert preferred_units(plan) == {"neuralEngine": 2, "cpu": 1}
    plan.model_structure.program = None
    assert preferred_units(plan) == {}


def test_the_plan_is_listed_by_operator_as_inspect_reads_it(tmp_path: Path) -> None:
    engine, processor = (object.__new__(kind) for kind in (MLNeuralEngineComputeDevice, MLCPUComputeDevice))
    usages = {
        "conv_0": SimpleNamespace(preferred_compute_device=engine, supported_compute_devices=[processor, engine]),
        "top": SimpleNamespace(preferred_compute_device=processor, supported_compute_devices=[processor]),
    }
    names = (("ios16.const", "weight"), ("ios16.conv", "conv_0"), ("ios17.topk", "top"))
    operations = [SimpleNamespace(operator_name=kind, outputs=[SimpleNamespace(name=name)]) for kind, name in names]
    costs = {"top": SimpleNamespace(weight=0.75)}
    main = SimpleNamespace(block=SimpleNamespace(operations=operations))
    plan = SimpleNamespace(
        model_structure=SimpleNamespace(program=SimpleNamespace(functions={"main": main})),
        get_compute_device_usage_for_mlprogram_operation=lambda operation: usages.get(operation.outputs[0].name),
        get_estimated_cost_for_mlprogram_operation=lambda operation: costs.get(operation.outputs[0].name),
    )
    rows = planned_operators(plan)
    assert rows == [
        {"operator": "conv", "output": "conv_0", "unit": "neuralEngine", "supported": ["cpu", "neuralEngine"], "cost": None},
        {"operator": "topk", "output": "top", "unit": "cpu", "supported": ["cpu"], "cost": 0.75},
    ]
    (tmp_path / "plan.json").write_text(json.dumps({"operators": rows}))
    (read,) = read_plans(tmp_path / "plan.json", "model")
    assert [(op.operator, op.output, op.on_engine) for op in read.operators] == [("conv", "conv_0", True), ("topk", "top", False)]
    plan.model_structure.program = None
    assert planned_operators(plan) == []


def test_a_device_is_chosen_by_name_or_udid_and_never_guessed() -> None:
    one, two = (SimpleNamespace(name=f"phone {i}", udid=f"udid-{i}") for i in (1, 2))
    assert choose_device([one, two], "phone 2") is two
    assert choose_device([one, two], "udid-1") is one
    assert choose_device([one], ANY_DEVICE) is one
    for devices, name, words in (([], ANY_DEVICE, "is connected"), ([one, two], ANY_DEVICE, "phone 1.*phone 2"), ([one], "x", "phone 1")):
        with pytest.raises(InputError, match=words):
            choose_device(devices, name)


@pytest.mark.skipif(platform.system() == "Darwin", reason="a Mac has Core ML")
def test_elsewhere_it_is_refused() -> None:
    with pytest.raises(InputError, match="needs macOS"):
        benchmark([(Path("a.mlpackage"), "all")], 3)
