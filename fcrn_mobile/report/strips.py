"""Rows of pictures as a page shows them (``templates/scenes.html``): depth under common scales, a reference beside its candidates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fcrn_mobile.depth_contract import UNITS, Depth
from fcrn_mobile.report import scenes
from fcrn_mobile.report.columns import unit
from fcrn_mobile.report.scenes import Scale, Scene

__all__ = ["strips"]


def strips(shown: Sequence[Scene], names: Sequence[str], meaning: Depth) -> dict[str, Any] | None:
    """What the template takes; None without a scene.

    Args:
        shown: frames with the maps of as many candidates as there are names, which may be none.
        names: of the candidates.
        meaning: of the models' depth.
    """
    if not shown:
        return None
    inverse = meaning == "inverse"
    # From what is true and what the reference sees: a broken candidate must not bend it. Other than metres do not compare with the truth.
    true, expected = [scene.true for scene in shown], [scene.expected for scene in shown]
    depth = scenes.depth_scale([*true, *expected] if meaning == "metres" else expected, inverse)
    metres = depth if meaning == "metres" else scenes.depth_scale(true)
    differences = [scenes.difference_scale(shown, index, inverse) for index in range(len(names))]
    rows = [_row(scene, names, depth, metres, differences) for scene in shown]
    has_truth = any(row["true"] for row in rows)
    bars = _depth_bars(depth, metres if has_truth else depth, meaning)
    if differences:
        title = "candidate − reference: blue nearer, red farther; ± as each caption says"
        bars.append({"title": title, "kind": "difference", "picture": differences[0].bar(), "ticks": ["−", "0", "+"]})
    # The pictures of the scene, and the candidates' pairs beside them, two pairs in a row at most.
    columns = (3 if has_truth else 2) + 2 * min(len(names), 2)
    return {"rows": rows, "bars": bars, "columns": columns, "unit": unit(meaning)}


def _row(scene: Scene, names: Sequence[str], depth: Scale, metres: Scale, differences: Sequence[Scale]) -> dict[str, Any]:
    return {
        "rank": scene.rank,
        "name": scene.name,
        "ratio": f"{scene.image.shape[1]} / {scene.image.shape[0]}",
        "image": scenes.photo(scene.image),
        "true": scenes.depth_picture(scene.true, metres) if np.isfinite(scene.true).any() else None,
        "true_values": scenes.stored_values(scene.true),
        "expected": scenes.depth_picture(scene.expected, depth),
        "expected_values": scenes.stored_values(scene.expected, depth.inverse),
        "candidates": [
            {
                "name": name,
                "drift": scene.drifts[index],
                "depth": scenes.depth_picture(scene.predictions[index], depth),
                "stored": scenes.stored_values(scene.predictions[index], depth.inverse),
                "difference": scenes.difference_picture(scene.predictions[index], scene.expected, differences[index]),
                "limit": differences[index].limit,
            }
            for index, name in enumerate(names)
        ],
    }


def _depth_bars(depth: Scale, true: Scale, meaning: Depth) -> list[dict[str, Any]]:
    """The scale of what the models give, and that of true depth where it is another."""
    title = UNITS[meaning] if meaning == "inverse" else f"depth, {UNITS[meaning]}"
    bars = [{"title": title, "kind": "depth", "picture": depth.bar(), "ticks": depth.ticks()}]
    if true is not depth:
        bars.append({"title": "true depth, metres", "kind": "true depth", "picture": true.bar(), "ticks": true.ticks()})
    return bars
