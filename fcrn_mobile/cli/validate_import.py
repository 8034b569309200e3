"""``fcrn-mobile validate PACKAGE --import FILE``."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fcrn_mobile.cli.common import print_table, write_json
from fcrn_mobile.cli.exits import end
from fcrn_mobile.errors import InputError
from fcrn_mobile.text import counted

if TYPE_CHECKING:
    from fcrn_mobile.evaluation.budget import Limit
    from fcrn_mobile.validation.device_fidelity import DeviceFidelity, DeviceFidelityReport

__all__ = ["import_option"]

#: Parameters of ``validate`` that an import takes, too.
_SHARED = ("reference", "budgets", "json_out")


def import_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--import FILE`` of ``validate``: its REFERENCE is then a package, and nothing else is asked for; else candidates and data are."""

    @functools.wraps(command)
    def either(*, imported: Path | None, **options: Any) -> Any:
        context = click.get_current_context()
        if imported is None:
            for name in ("candidates", "data"):
                if not options[name]:
                    raise click.MissingParameter(ctx=context, param=next(each for each in context.command.params if each.name == name))
            return command(**options)
        for param in context.command.params:
            if param.name not in (*_SHARED, "imported") and context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE:
                raise InputError(f"{param.opts[-1]} does not go with --import, which holds a device's figures to a budget: leave it out")
        return _hold(options["reference"], options["budgets"], options["json_out"], imported)

    return click.option(
        "--import",
        "imported",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="REFERENCE is a package, and FILE what the iOS app's fidelity screen wrote of it: hold that to its budget.",
    )(either)


def _hold(package: str, budgets: Sequence[str], json_out: str | None, file: Path) -> None:
    """A report of the app's fidelity screen held to a package's budget, or to others: table, JSON, exit code."""
    from fcrn_mobile.conversion.artefact import recipe_of
    from fcrn_mobile.evaluation.budget import parse_limit
    from fcrn_mobile.package.reading import metadata, read_specification
    from fcrn_mobile.validation.device_fidelity import read_device_fidelity

    path = Path(package)
    if path.suffix != ".mlpackage":
        raise InputError(f"'{package}' is no .mlpackage: give the package that was installed in the app with --import")
    recipe = recipe_of(metadata(read_specification(path)[0]), path)
    report = read_device_fidelity(file)
    report.require(path)
    own = [f"{metric}={amount}" for metric, amount in (recipe.get("budget") or {}).items()]
    limits = [parse_limit(text) for text in budgets or own]
    results = report.results(limits)
    is_held = all(result.verdict != "broken" for result in results)
    if json_out:
        write_json(json_out, {"file": str(file), "held": is_held, "report": report.content, "results": results})
    if json_out != "-":
        _print(report, results, limits)
    end(is_held)


def _print(report: "DeviceFidelityReport", results: "Sequence[DeviceFidelity]", limits: "Sequence[Limit]") -> None:
    content = report.content
    rows = [
        [
            result.compute_units,
            result.backend,
            result.host,
            f"{result.abs_rel:.5f}",
            f"{result.psnr_db:.1f}",
            f"{result.max_abs:.4f}",
            result.first_difference or "none",
            result.verdict,
        ]
        for result in results
    ]
    title = f"Fidelity of {content['model']} to the host's outputs: measured on the device by the app, as the file says"
    print_table(title, ["units", "backend", "host", "fidelity", "dB", "max abs", "first that differs", "verdict"], rows)
    machine = content["machine"]
    print(f"{report.path.name}: {machine['processor']}, {machine['system']}; nothing here ran on a device")
    print(f"host: {'; '.join(content['hosts'].values())}; {counted(results[0].frames, 'frame')} of {content['data']}")
    print(f"a frame differs where its fidelity is above {content['tolerance_abs_rel']:g}; max abs: {content['unit']}")
    print("fidelity here is to this package's own outputs on the host in float32, not to the float network: what the device adds")
    for result in results:
        for check in result.checks:
            state = "held" if check.held else "BROKEN"
            print(f"{result.compute_units}, {result.backend}: budget {check.limit.text} {state}, measured {check.value:.5f}")
    if aside := [limit.text for limit in limits if limit.metric != "fidelity"]:
        print(f"not held here, since the app measures fidelity alone: {', '.join(aside)}")
