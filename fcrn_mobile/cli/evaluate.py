"""``fcrn-mobile evaluate``."""

import click

from fcrn_mobile.cli.common import json_option, print_metrics, progress, write_json


@click.command("evaluate")
@click.argument("model")
@click.option("--data", required=True, metavar="SPEC", help="RGB-D data: sample, folder:PATH, with #train or #val for a part.")
@click.option("--protocol", default="eigen", show_default=True, metavar="eigen|laina|full|garg")
@click.option("--backend", default="auto", show_default=True)
@json_option
def command(model: str, data: str, protocol: str, backend: str, json_out: str | None) -> None:
    """Depth metrics of MODEL (builtin, a checkpoint or an artefact) against true depth."""
    from fcrn_mobile import metrics
    from fcrn_mobile.data import open_source
    from fcrn_mobile.runtimes import open_runtime
    from fcrn_mobile.validation.drift import evaluate

    rule = metrics.protocol(protocol)
    source = open_source(data)
    runtime = open_runtime(model, backend)
    with progress(runtime.name) as on_frame:
        values = evaluate(runtime, source, rule, on_frame).compute()
    if json_out:
        write_json(json_out, {"model": runtime.name, "backend": runtime.backend, "data": data, "metrics": values})
    if json_out != "-":
        print(f"{runtime.name} ({runtime.backend}) on {data}")
        print_metrics(values)
