"""``fcrn-mobile inspect``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import function_option, json_option, print_table, size_option, write_json
from fcrn_mobile.cli.model_config import model_config_option
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.latency.compute_plan import Comparison
    from fcrn_mobile.latency.estimate import Estimate
    from fcrn_mobile.latency.placement import Placement

__all__ = ["OTHERS", "command"]

#: What people hand over instead of an artefact → what to do.
OTHERS = {
    ".mlmodelc": "give the .mlpackage or .mlmodel it was compiled from",
    ".zip": "unpack it first and give the .mlpackage folder in it",
    ".onnx": "onnxruntime and Netron show what is inside",
}
#: Lines about damaged weights that are shown.
_MOST_DAMAGES = 8


@click.command("inspect", cls=Command)
@click.argument("model")
@function_option
@size_option
@click.option("--estimate", "estimated", is_flag=True, help="Estimate latency on Apple chips from published ones (Core ML models only).")
@click.option("--plan", "plans", multiple=True, type=click.Path(path_type=Path), help="Compute plan of Core ML, by a Mac or the app.")
@model_config_option()
@json_option
def command(
    model: str,
    function: str | None,
    size: tuple[int, int] | None,
    estimated: bool,
    plans: tuple[Path, ...],
    model_config: Path | None,
    json_out: str | None,
) -> None:
    """What MODEL takes and gives, its operators, weights, cost and metadata; of Core ML models, where their operators would run.

    Placement follows published rules and latencies are estimates: neither ran on a device. --plan sets what Core ML planned beside the
    rules, and counts where they were right. What a model of several sizes costs is counted at --size, or at its default.
    """
    from fcrn_mobile.conversion.export import artefact_size

    if model.rstrip("/").endswith((".mlpackage", ".mlmodel")):
        from fcrn_mobile.doctor.diagnosis import diagnose
        from fcrn_mobile.mil.summary import summarise

        package = Path(model)
        facts = {"model": model, "size_bytes": artefact_size(package), **vars(summarise(package, function, size))}
        facts |= _on_device(package, function, size, estimated, plans)
        facts["doctor"] = diagnose(package, function, model_config, size)
    elif size:
        raise InputError(f"--size is of a Core ML model that takes several, '{model}' is none: leave --size out")
    elif estimated or plans:
        raise InputError(f"'{model}' has no operators to estimate or to find in a plan: export it to an .mlpackage first")
    elif model.rstrip("/").endswith(".aimodel"):
        from fcrn_mobile.runtimes.coreai_runtime import summarise as summarise_asset

        facts = {"model": model, "size_bytes": artefact_size(Path(model)), **summarise_asset(Path(model))}
    elif Path(model).suffix in OTHERS:
        raise InputError(f"'{model}' is no artefact that can be inspected: {OTHERS[Path(model).suffix]}")
    else:
        facts = _network_facts(model)
    facts |= _contract(Path(model), facts, model_config)
    if json_out:
        write_json(json_out, facts)
    if json_out != "-":
        _print(facts, size)


def _contract(model: Path, facts: dict[str, Any], model_config: Path | None) -> dict[str, Any]:
    """What a depth model takes and gives, as it or its model config says; empty where nobody does.

    A checkpoint's is among its facts, an artefact's in its metadata.
    """
    from fcrn_mobile.depth_contract import read_contract
    from fcrn_mobile.package.metadata import model_contract

    if contract := facts.get("contract"):
        contract = read_contract(model_config, contract) if model_config else contract
    else:
        contract = model_contract(model, facts["metadata"], model_config)
    return {"contract": contract.to_dict()} if contract else {}


def _on_device(
    package: Path, function: str | None, size: tuple[int, int] | None, estimated: bool, plans: tuple[Path, ...]
) -> dict[str, Any]:
    from fcrn_mobile.latency.compute_plan import compare, read_plans
    from fcrn_mobile.latency.estimate import estimate
    from fcrn_mobile.latency.placement import place
    from fcrn_mobile.mil.graph import read_graph

    graph = read_graph(package, function, size)
    if not graph.nodes:
        if estimated or plans:
            raise InputError(f"'{package}' has no operators to estimate or to find in a plan: leave --estimate and --plan out")
        return {}
    placement = place(graph)
    comparisons = [compare(placement, plan) for path in plans for plan in read_plans(path, package.stem)]
    return {
        "placement": placement,
        **({"plans": comparisons} if plans else {}),
        **({"estimate": estimate(graph)} if estimated else {}),
    }


def _network_facts(model: str) -> dict[str, Any]:
    from fcrn_mobile.conversion.export import artefact_size
    from fcrn_mobile.network.checkpoints import Checkpoint
    from fcrn_mobile.network.forms import open_network
    from fcrn_mobile.network.macs import count_macs, count_parameters

    network = open_network(model)
    if isinstance(network, Checkpoint):
        own, metrics = {"network": vars(network.network.config)}, {"metrics": network.metrics}
    else:
        own, metrics = {"network": {"kind": network.kind, "input_size": network.input_size}}, {}
    return {
        "model": model,
        "size_bytes": artefact_size(network.path),
        **own,
        "parameters": count_parameters(network.network),
        "macs": count_macs(network.deployed(), *network.input_size),
        "training": network.training.to_json(),
        **metrics,
        "contract": network.contract,
        "version": network.tool_version,
        "sha256": network.sha256,
    }


def _print(facts: dict[str, Any], size: tuple[int, int] | None) -> None:
    for key, value in facts.items():
        if key == "size_bytes":
            print(f"size         {value / 1e6:.1f} MB")
        elif key in ("macs", "parameters"):
            print(f"{key:12} {value / 1e6:.1f} M")
        elif key == "placement":
            _print_placement(value)
        elif key == "plans":
            _print_plans(value)
        elif key == "estimate":
            _print_estimate(value)
        elif isinstance(value, dict):
            print(key)
            for name, item in value.items():
                print(f"  {name:36} {f'{item:.4f}' if isinstance(item, float) else item}")
        elif key == "unsupported":
            runs = "" if facts["damaged"] or facts["refused"] else ": the MIL runtime runs every operator"
            print(f"{key:12} {', '.join(value) or f'none{runs}'}")
        elif key == "refused":
            for reason in value:
                print(f"{key:12} Core ML refuses to load this package: {reason}")
        elif key == "damaged":
            for reason in value[:_MOST_DAMAGES]:
                print(f"{key:12} {reason}")
            if len(value) > _MOST_DAMAGES:
                print(f"{key:12} and {len(value) - _MOST_DAMAGES} more constants")
        elif key in ("counted_at", "uncounted", "counted_once", "stages", "states") and not value:
            pass
        elif key == "counted_at":
            print(f"{'':12} for {', '.join(value)}, {'one' if size else 'the default'} of its sizes: others cost more or less")
        elif key == "uncounted":
            print(f"{'':12} without {', '.join(value)} of open shapes: the cost follows from the size of the picture")
        elif key == "counted_once":
            print(f"{'':12} with what {', '.join(value)} runs counted once: how often it does is not in the program")
        elif isinstance(value, list):
            print(key)
            for item in value:
                print(f"  {item}")
        else:
            print(f"{key:12} {value}")


def _print_placement(placement: "Placement") -> None:
    from fcrn_mobile.latency.placement import BASIS, describe

    print(f"placement: {BASIS}")
    for name, text in describe(placement).items():
        print(f"  {name:36} {text}")


def _print_plans(comparisons: "list[Comparison]") -> None:
    from fcrn_mobile.latency.compute_plan import describe

    print("plans: of Core ML, beside the published rules")
    for line in describe(comparisons):
        print(f"  {line}")


def _print_estimate(estimate: "Estimate") -> None:
    from fcrn_mobile.latency.estimate import ASSUMPTION, BASIS, notes, table

    print(f"latency: {BASIS}; {ASSUMPTION}")
    if any(chip.ms is not None for chip in estimate.chips):
        print_table("Estimated latency", *table(estimate))
    for note in notes(estimate):
        print(f"  {note}")
