"""Sources of several cameras, labelled as if one camera had taken them all (Yin et al. 2023, Metric3D, arXiv 2307.10984, section 3.1).

Of a picture alone, a thing twice as far through a lens twice as long cannot be told from it. So depth is multiplied by f_canonical / f,
both in widths of the picture, and a network then predicts the depth at which the canonical camera would have seen the same picture. The
random transforms of training zoom, crop and resize every source alike, so that the ratio of two relative focal lengths stays; a zoom by s,
which divides depth by s, is the same rule for f·s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera, focal_ratio
from fcrn_mobile.data.source import Sample, Source, Wrapped, camera_of
from fcrn_mobile.once import warn_once

__all__ = ["Relabelled", "for_one_camera", "resolved_camera"]


@dataclass(frozen=True)
class Relabelled(Wrapped):
    """Another source, its depth as ``camera`` would have seen the same pictures; that says the width that its focal length holds for."""

    source: Source
    camera: TrainingCamera

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        ratio = focal_ratio(self.camera, camera_of(self.source).at(sample.image.shape[1]))
        return sample if ratio in (None, 1) else replace(sample, depth=sample.depth * np.float32(ratio))


def resolved_camera(source: Source) -> TrainingCamera:
    """A source's camera; a focal length that holds for its own pictures is given the width of the first one."""
    camera = camera_of(source)
    return camera.at(source[0].image.shape[1]) if camera.focal_px and not camera.width_px else camera


def for_one_camera(specs: Sequence[str], sources: Sequence[Source], camera: TrainingCamera) -> tuple[list[Source], TrainingCamera]:
    """Sources for one camera: ``camera`` where its focal length is known, else the first that is.

    A source whose focal length is not known stays as it is; one that stands beside known ones is warned of.

    Args:
        specs: of the sources, for the warning.
        sources: as many.
        camera: of the data that the network is validated on.

    Returns:
        The sources, and the camera that their metres hold for; ``UNKNOWN`` where no source knows its own.
    """
    cameras = [resolved_camera(source) for source in sources]
    canonical = next((one for one in (camera, *cameras) if one.relative_focal), UNKNOWN)
    if not any(one.relative_focal for one in cameras):
        return list(sources), UNKNOWN
    strangers = [spec for spec, one in zip(specs, cameras, strict=True) if not one.relative_focal]
    if strangers:
        text = f"the focal length of {', '.join(map(repr, strangers))} is not known, so its metres are taken as they are beside those for"
        warn_once(f"focal {strangers}", f"{text} {canonical}: add ?fx=PIXELS, in pixels of its pictures")
    labelled = [Relabelled(source, canonical) if one.relative_focal else source for source, one in zip(sources, cameras, strict=True)]
    return labelled, canonical
