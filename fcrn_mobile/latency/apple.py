"""Core ML on a Mac, and on an iPhone or iPad connected to it, through coremltools' own tools.

Written against the documented API of coremltools 9 (``MLModelBenchmarker``, ``MLComputePlan``, remote ``Device``); not run here: its
authors had no Mac. What is tested is how results are read and devices chosen, with stand-ins for coremltools' objects.
"""

import asyncio
import platform
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.compute_plan import UNITS
from fcrn_mobile.latency.latency import Latency, summarise
from fcrn_mobile.latency.stability import WarmUp, warm_up
from fcrn_mobile.latency.worker import Opened
from fcrn_mobile.package.metadata import COMPUTE_UNITS
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["ANY_DEVICE", "benchmark", "choose_device", "measure", "planned_operators", "preferred_units"]

#: Class of a compute device of coremltools → what it is called here.
_DEVICES = dict(zip(("MLNeuralEngineComputeDevice", "MLGPUComputeDevice", "MLCPUComputeDevice"), UNITS, strict=True))
ANY_DEVICE = "any"


def benchmark(packages: Sequence[tuple[Path, str]], runs: int, device: str | None = None, team: str = "") -> list[Latency]:
    """Latency of packages, and where Core ML plans to run their operators.

    Args:
        packages: path of a .mlpackage and compute units, a key of ``COMPUTE_UNITS``.
        runs: timed predictions each.
        device: name of a connected iPhone or iPad, or ``ANY_DEVICE`` if there is one only; None measures this Mac.
        team: Apple developer team that signs coremltools' runner app for the device.

    Raises:
        InputError: this is no Mac, or there is no such device.
    """
    if platform.system() != "Darwin":
        raise InputError("backend 'coreml' needs macOS: use --backend mil here")
    return asyncio.run(_benchmark(packages, runs, device, team))


async def _benchmark(packages: Sequence[tuple[Path, str]], runs: int, device: str | None, team: str) -> list[Latency]:
    with quiet_coremltools():
        import coremltools as ct
        from coremltools.models.ml_program.experimental.compute_plan_utils import load_compute_plan_from_path_on_device
        from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker
        from coremltools.models.ml_program.experimental.remote_device import AppSigningCredentials, Device, DeviceType
    remote = None
    if device is not None:
        connected = [each for kind in (DeviceType.IPHONE, DeviceType.IPAD) for each in Device.get_connected_devices(kind)]
        credentials = AppSigningCredentials(development_team=team)
        remote = await choose_device(connected, device).prepare_for_model_debugging(credentials)
    results = []
    for path, name in packages:
        unit = ct.ComputeUnit[COMPUTE_UNITS[name]]
        model = ct.models.MLModel(str(path), compute_units=unit)
        plan = await load_compute_plan_from_path_on_device(path=model.get_compiled_model_path(), compute_units=unit, device=remote)
        opened = Opened(model_name(path), "coreml", dict(model.user_defined_metadata), name, None, 0.0)
        results.append(await measure(MLModelBenchmarker(model, remote), opened, runs, remote, preferred_units(plan)))
    return results


async def measure(benchmarker: Any, opened: Opened, runs: int, device: Any = None, preferred: dict[str, int] | None = None) -> Latency:
    """Load, warm up and time through an ``MLModelBenchmarker``; a model's own time, without the transfer to the device.

    Args:
        benchmarker: of coremltools.
        opened: of the model; ``load_ms`` is filled in here.
        runs: timed predictions.
        device: the remote one, or None.
        preferred: see ``preferred_units``.
    """
    (load_ms,) = (await benchmarker.benchmark_load(iterations=1)).samples
    warm = await _warm_up(benchmarker)
    samples = (await benchmarker.benchmark_predict(iterations=runs)).samples
    facts = Opened(opened.name, opened.backend, opened.metadata, opened.compute_units, None, float(load_ms))
    latency = summarise(facts, warm, [(float(sample),) for sample in samples], None)
    name = latency.device if device is None else f"{device.name}, {device.os_version}"
    return replace(latency, device=name, preferred_units=preferred)


async def _warm_up(benchmarker: Any) -> WarmUp:
    """The same criterion as elsewhere; it asks from a thread, since it is not a coroutine."""
    loop = asyncio.get_running_loop()

    def run(count: int) -> list[float]:
        predict: Coroutine[Any, Any, Any] = benchmarker.benchmark_predict(iterations=count)
        return [float(sample) for sample in asyncio.run_coroutine_threadsafe(predict, loop).result().samples]

    return await asyncio.to_thread(warm_up, run)


def preferred_units(plan: Any) -> dict[str, int]:
    """Compute unit → operators of the main function that an ``MLComputePlan`` prefers to run there. A plan, not a trace.

    Operators without a plan, such as constants, are not counted.
    """
    program = plan.model_structure.program
    if program is None:
        return {}
    usages = (plan.get_compute_device_usage_for_mlprogram_operation(op) for op in program.functions["main"].block.operations)
    return dict(Counter(_unit(usage.preferred_compute_device) for usage in usages if usage is not None))


def planned_operators(plan: Any) -> list[dict[str, Any]]:
    """Operators of the main function as ``compute_plan.py`` reads them, for a file; those without a plan, such as constants, left out.

    Args:
        plan: an ``MLComputePlan`` of coremltools.
    """
    program = plan.model_structure.program
    rows: list[dict[str, Any]] = []
    for operation in program.functions["main"].block.operations if program else ():
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is not None and operation.outputs:
            cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
            units = [_unit(device) for device in usage.supported_compute_devices]
            row: dict[str, Any] = {"operator": operation.operator_name.rpartition(".")[2], "output": operation.outputs[0].name}
            row |= {"unit": _unit(usage.preferred_compute_device), "supported": units}
            rows.append(row | {"cost": None if cost is None else cost.weight})
    return rows


def choose_device(connected: Iterable[Any], name: str) -> Any:
    """The connected device with this name or UDID; ``ANY_DEVICE``: the only one.

    Raises:
        InputError: none is connected, there is none of that name, or several.
    """
    connected = list(connected)
    if not connected:
        raise InputError(f"--device '{name}': no iPhone or iPad is connected in developer mode: connect one and unlock it")
    devices = connected if name == ANY_DEVICE else [device for device in connected if name in (device.name, device.udid)]
    if len(devices) != 1:
        names = ", ".join(f"'{device.name}' ({device.udid})" for device in connected)
        raise InputError(f"--device '{name}' fits {len(devices)} of the connected devices: name one of {names}")
    return devices[0]


def _unit(device: Any) -> str:
    kinds = (kind.__name__ for kind in type(device).__mro__)
    return next((_DEVICES[kind] for kind in kinds if kind in _DEVICES), type(device).__name__)
