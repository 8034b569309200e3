"""``fcrn-mobile evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import backend_option, json_option, print_table, progress, write_json
from fcrn_mobile.cli.frames import rule_for, rule_options, skip_bad_option, sound_frames
from fcrn_mobile.cli.model_config import model_config_option
from fcrn_mobile.cli.outputs import OutputFile, OutputFolder
from fcrn_mobile.errors import InputError
from fcrn_mobile.text import counted
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from fcrn_mobile.data import Source
    from fcrn_mobile.evaluation.baselines import Baselines
    from fcrn_mobile.evaluation.evaluation import Evaluation, LearnedBaselines
    from fcrn_mobile.evaluation.intervals import Intervals
    from fcrn_mobile.evaluation.metrics import DepthMetrics, EvaluationProtocol
    from fcrn_mobile.evaluation.standing import Standing
    from fcrn_mobile.runtimes import Runtime

__all__ = ["command", "print_columns", "print_evaluation"]

#: Value of ``--baselines`` without a spec: the #train part beside the evaluated one.
_BESIDE = "#train"
#: The pictures of ``--panels``.
_RANKS = ("best", "median", "worst")
_PANELS = OutputFolder(*(f"{rank}.png" for rank in _RANKS))


@click.command("evaluate", cls=Command)
@click.argument("model")
@click.option("--data", required=True, metavar="SPEC", help="RGB-D data, such as sample, folder:PATH#val or nyu-mat:FILE#test.")
@rule_options
@skip_bad_option
@click.option("--median-scaling", is_flag=True, help="The same as --align median.")
@click.option("--flip", is_flag=True, help="Predict the mirrored picture too and join both, as monodepth does.")
@click.option(
    "--baselines",
    is_flag=False,
    flag_value=_BESIDE,
    metavar="[SPEC]",
    help="Beside the model: mean and median depth map of this training data; by default the #train beside an evaluated #val or #test.",
)
@click.option(
    "--bootstrap",
    is_flag=False,
    flag_value="auto",
    metavar="[BY]",
    help="95 % intervals by resampling scenes: folders of the frames, images, or N for runs of N numbers; by default folders if several.",
)
@click.option("--per-image", metavar="FILE.csv", type=OutputFile(), help="Write every image's metrics.")
@click.option(
    "--panels",
    metavar="DIR",
    type=_PANELS,
    help="Draw the best, median and worst image by abs_rel.",
)
@click.option("--force", is_flag=True, help="Overwrite the files of --per-image and --panels.")
@backend_option("MODEL")
@model_config_option()
@json_option
def command(
    model: str,
    data: str,
    skip_bad: bool,
    median_scaling: bool,
    flip: bool,
    baselines: str | None,
    bootstrap: str | None,
    per_image: Path | None,
    panels: Path | None,
    force: bool,
    backend: str,
    model_config: Path | None,
    json_out: str | None,
    **how: Any,
) -> None:
    """Depth metrics of MODEL (builtin, a checkpoint or an artefact) against true depth."""
    from fcrn_mobile.data import open_source
    from fcrn_mobile.evaluation.baselines import training_spec
    from fcrn_mobile.evaluation.evaluation import Evaluation
    from fcrn_mobile.evaluation.intervals import bootstrap as intervals_of
    from fcrn_mobile.evaluation.intervals import scenes
    from fcrn_mobile.evaluation.meaning import depth_of, settled

    rule = rule_for(data, **_aligned(how, median_scaling))
    source, left_out = sound_frames(open_source(data), rule, skip_bad)
    drawn = scenes(source.names, bootstrap) if bootstrap else None
    training = training_spec(data) if baselines == _BESIDE else baselines
    learner = _training_frames(data, training) if training else None
    runtime = _open(model, backend, model_config, flip)
    rule = settled(rule, depth_of(runtime), model)
    metrics, standing = _measure(runtime, source, rule, data, drawn is not None)
    learned = _learn(learner, str(training), source, rule) if learner else None
    intervals = intervals_of(metrics, drawn) if drawn else None
    result = Evaluation(runtime.name, runtime.backend, data, metrics, standing, left_out, learned, intervals)
    if per_image:
        with written_whole(per_image, force) as file:
            # Names of files need not be valid text.
            file.write_text(metrics.to_csv(), encoding="utf-8", errors="backslashreplace")
    if panels:
        _draw_panels(runtime, source, metrics, panels, force)
    if json_out:
        write_json(json_out, result)
    if json_out != "-":
        print_evaluation(result)
        for written in (per_image, panels):
            if written:
                print(f"written: {written}")


def _training_frames(data: str, training: str) -> "Source":
    """What the baselines learn from, apart from what is evaluated."""
    from fcrn_mobile.data import open_source
    from fcrn_mobile.evaluation.baselines import check_apart

    check_apart(data, training)
    return open_source(training)


def _aligned(how: dict[str, Any], median_scaling: bool) -> dict[str, Any]:
    """The options of the protocol, ``--median-scaling`` among them."""
    if median_scaling and how["align"] not in (None, "median"):
        raise InputError(f"--median-scaling is --align median, and --align {how['align']} is given: leave one out")
    return how | {"align": "median"} if median_scaling else how


def _open(model: str, backend: str, model_config: Path | None, flip: bool) -> "Runtime":
    from fcrn_mobile.runtimes import open_runtime
    from fcrn_mobile.runtimes.flip import FlipProcessed

    runtime = open_runtime(model, backend, model_config=model_config)
    return FlipProcessed(runtime) if flip else runtime


def _measure(
    runtime: "Runtime", source: "Source", rule: "EvaluationProtocol", data: str, resampled: bool
) -> "tuple[DepthMetrics, Standing]":
    from fcrn_mobile.evaluation.evaluate import evaluate
    from fcrn_mobile.evaluation.meaning import depth_of
    from fcrn_mobile.evaluation.standing import StandingMeter

    meter = StandingMeter(rule, depth_of(runtime) == "inverse", data)
    with progress(runtime.name) as on_frame:
        metrics = evaluate(runtime, source, rule, on_frame, meter, resampled)
    return metrics, meter.compute(runtime.name)


def _learn(training: "Source", training_data: str, source: "Source", rule: "EvaluationProtocol") -> "LearnedBaselines":
    from fcrn_mobile.evaluation.baselines import learn_baselines
    from fcrn_mobile.evaluation.evaluate import evaluate
    from fcrn_mobile.evaluation.evaluation import LearnedBaselines

    with progress("baselines") as on_frame:
        maps = learn_baselines(training, rule, on_frame)
    metrics = {}
    for baseline in (maps.mean_map, maps.median_map):
        with progress(baseline.name) as on_frame:
            metrics[baseline.name] = evaluate(baseline, source, rule, on_frame)
    return LearnedBaselines(training_data, maps, metrics)


def print_evaluation(result: "Evaluation") -> None:
    """The metrics, what they are of, and what makes them doubtful."""
    from fcrn_mobile.evaluation.align import NONE

    print(f"{result.model} ({result.backend}) on {result.data}")
    print(f"{counted(len(result.metrics.per_image), 'image')}, protocol {result.metrics.rule.describe()}")
    print(f"alignment {result.metrics.rule.alignment}")
    for warning in result.warnings:
        print(f"warning: {warning}")
    if note := str(result.metrics.focus):
        print(note)
    print_columns(result.columns, result.intervals)
    if result.intervals:
        print(f"95 %: by the bootstrap, {result.intervals.resamples} draws of {result.intervals.scenes} {result.intervals.by}")
    if result.baselines:
        print(_describe_baselines(result.baselines.maps, result.baselines.data))
    if (alignment := result.metrics.rule.alignment) != NONE:
        how = "median-scaled" if alignment == "median" else f"brought ({alignment})"
        print(f"{how} to the truth, image by image: these metrics are not metric,\nthey say nothing about distances in metres")


def print_columns(columns: "dict[str, DepthMetrics]", intervals: "Intervals | None" = None) -> None:
    """One line per metric, one column per model, both kinds of rms by name; behind the first model its intervals."""
    from fcrn_mobile.evaluation.formulas import compared, in_tables

    # Of a pooled protocol the rms per image is an average all the same.
    values = {name: column.compute() | {"rmse": column.averages()["rmse"]} for name, column in columns.items()}
    rows, hints = [], set()
    for key in in_tables():
        metric = compared()[key]
        # That higher is better is said once.
        hint = f" ({metric.hint})" if metric.hint and not (metric.higher_is_better and metric.hint in hints) else ""
        hints.add(metric.hint)
        rows.append([f"{'rmse per image' if key == 'rmse' else key}{hint}", *(f"{values[name][key]:.4f}" for name in columns)])
    heads = ["metric", *columns]
    if intervals:
        # Metrics of the protocol have one; the rms per image is none of a pooled one.
        per_image = not next(iter(columns.values())).rule.pooled
        ends = ("" if key == "rmse" and not per_image else _ends(intervals, key) for key in in_tables())
        for line, cell in zip((heads, *rows), ("95 %", *ends), strict=True):
            line.insert(2, cell)
    print_table("", heads, rows)


def _ends(intervals: "Intervals", key: str) -> str:
    return "{:.4f} to {:.4f}".format(*intervals.metrics[key])


def _describe_baselines(learned: "Baselines", data: str) -> str:
    part = f" (median: {learned.median_frames})" if learned.median_frames < learned.frames else ""
    return f"maps: no learning, the same for every image; from {counted(learned.frames, 'frame')}{part} of\n  {data}"


def _draw_panels(runtime: "Runtime", source: "Source", result: "DepthMetrics", folder: Path, force: bool) -> None:
    """best.png, median.png and worst.png by abs_rel."""
    from fcrn_mobile.evaluation.focus import focus_on
    from fcrn_mobile.evaluation.metrics import align, valid_mask
    from fcrn_mobile.report.figures import save_panel

    ranked, focus = result.ranked(), focus_on(runtime, source)
    folder.mkdir(parents=True, exist_ok=True)
    for rank, name in zip(_RANKS, (ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1]), strict=True):
        sample = source[source.names.index(name)]
        height, width = sample.depth.shape
        prediction = focus(runtime.predict(sample.image), sample.image.shape[:2])
        predicted = align(prediction, height, width, result.rule, sample.depth, result.inverse)
        own = result.per_image[name]
        figures = f"abs_rel {own['abs_rel']:.3f}   rmse {own['rmse']:.2f} m   log10 {own['log10']:.3f}   delta1 {own['delta1']:.3f}"
        title = f"{rank} of {len(ranked)}: {name[-48:]}   {figures}   ({result.rule.label}, alignment {result.rule.alignment})"
        with written_whole(folder / f"{rank}.png", force) as file:
            save_panel(sample.image, sample.depth, predicted, valid_mask(sample.depth, result.rule), title, file)
