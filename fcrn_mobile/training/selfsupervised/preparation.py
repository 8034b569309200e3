"""What a run without depth labels needs before it trains: its views, the range of its depth, its objective."""

from dataclasses import replace

from fcrn_mobile.data import module
from fcrn_mobile.data.mixture import parse_mixture
from fcrn_mobile.data.spec import open_source, open_views, without_depth
from fcrn_mobile.data.views import ViewAugmentation, Views
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRNConfig
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.selfsupervised.stereo import StereoObjective, StereoOptions
from fcrn_mobile.training.selfsupervised.video import VideoObjective, VideoOptions

#: α and β of the inverse depth α·sigmoid(x) + β of a video, in a unit of length that nobody knows (Zhou et al. 2017, section 3.5).
VIDEO_RANGE = (10.0, 0.01)
#: The largest disparity of a stereo pair as a share of its width (Godard et al. 2017, section 3.3).
LARGEST_DISPARITY = 0.3
#: The farthest depth of a stereo rig in metres.
FARTHEST = 100.0


def views_data(run: Run) -> module.DataModule[Views]:
    """Views to train on, and what to validate with: depth if ``val_data`` has it, else the objective's own loss on views.

    Raises:
        InputError: unusable data.
    """
    hyper = run.hyper
    train_spec, val_spec = run.specs
    if len(parse_mixture(train_spec)) > 1:
        raise InputError(f"objective '{hyper.objective}' learns from one source of views, not from '{run.data}': give --data once")
    loss_only = run.val_data is None or without_depth(val_spec)
    return module.views_data(
        open_views(train_spec, hyper.objective),
        open_views(val_spec, hyper.objective) if loss_only else None,
        None if loss_only else open_source(val_spec),
        view_augmentation(run),
        hyper.batch_size,
        hyper.workers,
        hyper.manual_seed,
        hyper.cache_mb,
    )


def view_augmentation(run: Run) -> ViewAugmentation:
    """The random transform of a run's views."""
    return ViewAugmentation(run.network.input_size, run.hyper.jitter)


def with_inverse_depth(run: Run, data: module.DataModule[Views]) -> Run:
    """The run with a network whose depth is positive, in the range that the objective's paper gives."""
    values = VIDEO_RANGE if run.hyper.objective == "video" else stereo_range(data.frames.source[0])
    return replace(run, network=replace(run.network, inverse_depth=values))


def stereo_range(views: Views) -> tuple[float, float]:
    """α and β in 1/m with which the nearest point of a rig has the largest disparity."""
    return LARGEST_DISPARITY * views.size[1] / (views.intrinsics.fx * views.baseline), 1 / FARTHEST


def build_objective(config: FCRNConfig, hyper: Hyperparameters) -> VideoObjective | StereoObjective:
    """The objective that a run's settings describe."""
    smoothness = {} if hyper.smoothness is None else {"smoothness": hyper.smoothness}
    if hyper.objective == "stereo":
        return StereoObjective(config, StereoOptions(hyper.ssim, scales=hyper.scales, **smoothness))
    return VideoObjective(
        config,
        VideoOptions(
            hyper.ssim,
            explainability=hyper.explainability,
            minimum=hyper.minimum,
            automask=hyper.automask,
            scales=hyper.scales,
            **smoothness,
        ),
    )
