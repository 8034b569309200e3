import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.pictures import unknown_depth
from fcrn_mobile.data.source import Sample
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.report.strips import strips
from fcrn_mobile.view.lineup import Lineup, point_cloud
from tests.ply import read_ply
from tests.report.page import Farther, frames

MODEL = Path("model")


class Contracted(Farther):
    """A network that says what its depth is."""

    def __init__(self, name: str, contract: DepthContract, factor: float = 1.0) -> None:
        super().__init__(name, MODEL, [factor] * 256)
        self.contract = contract


def models(*factors: float) -> list[Farther]:
    return [Farther(f"m{index}", MODEL, [factor] * 9) for index, factor in enumerate(factors)]


def test_all_models_have_one_range_which_the_reference_and_the_truth_set() -> None:
    (sample,) = frames(1)
    sight = Lineup.of(models(1, 1.25, 100)).look(sample)
    near, far = sight.scene.predictions
    np.testing.assert_allclose(near, sight.scene.expected * 1.25, rtol=1e-6)
    assert sight.scene.drifts == pytest.approx((0.25, 99), rel=1e-5)
    assert len(sight.times_ms) == 3 and min(sight.times_ms) > 0
    assert sight.maps == (sight.scene.expected, near, far)
    scenes = [(Lineup.of(models(1, *others)).look(sample).scene, ["b"] * len(others)) for others in ([100], [])]
    shown, alone = (strips([scene], names, "metres") for scene, names in scenes)
    assert shown is not None and alone is not None
    # The truth goes from 1.2 to 4.4 m, the reference from 1 to 4: what is 100 times as far bends nothing.
    assert [bar["ticks"] for bar in alone["bars"]] == [shown["bars"][0]["ticks"]]
    assert float(alone["bars"][0]["ticks"][-1]) == pytest.approx(4.4, abs=0.05)
    assert (shown["columns"], alone["columns"]) == (5, 3)


def test_a_picture_without_depth_has_no_truth_and_metres_become_those_of_its_camera() -> None:
    image = frames(1)[0].image
    lineup = Lineup.of([Contracted("a", DepthContract(depth="metres", focal_length=500.0, focal_width=640))])
    own, other = (lineup.look(Sample(image, unknown_depth(image), "p"), TrainingCamera("p", focal, 64)) for focal in (50.0, 100.0))
    # 500 px at 640 is the picture's own 50 px at 64; a lens twice as long saw the same at twice the depth.
    np.testing.assert_allclose(other.scene.expected, 2 * own.scene.expected, rtol=1e-6)
    np.testing.assert_allclose(own.scene.expected[0, [0, -1]], [1, 4])
    assert own.field_of_view == pytest.approx(2 * math.degrees(math.atan(32 / 50)))
    assert lineup.look(Sample(image, unknown_depth(image), "p")).field_of_view is None
    assert np.isnan(own.scene.true).all()


def test_what_does_not_compare_is_refused() -> None:
    metres, inverse = Contracted("a", DepthContract(depth="metres")), Contracted("b", DepthContract(depth="inverse"))
    with pytest.raises(InputError, match=r"'b' is inverse depth.*one kind of depth"):
        Lineup.of([metres, inverse])
    cropped = Contracted("c", DepthContract(depth="metres", framing="crop"))
    with pytest.raises(InputError, match="'c' sees the middle of pictures alone"):
        Lineup.of([metres, cropped])


def test_a_phone_s_framing_shows_all_models_the_same_part() -> None:
    (sample,) = frames(1)
    crop = DepthContract(depth="metres", framing="crop")
    lineup = Lineup.of([Contracted("a", crop), Contracted("b", crop, 1.5)], "phone-portrait")
    scene = lineup.look(sample, TrainingCamera("sample", 60.0, 64)).scene
    assert scene.image.shape == (24, 32, 3)
    np.testing.assert_allclose(scene.predictions[0], 1.5 * scene.expected, rtol=1e-6)
    with pytest.raises(InputError, match="focal length"):
        lineup.look(sample)
    with pytest.raises(InputError, match="--framing 'sideways'"):
        Lineup.of(lineup.models, "sideways")


@settings(deadline=None, max_examples=20)
@given(st.floats(20, 150), st.integers(0, 1))
def test_a_point_cloud_is_of_the_model_that_was_asked_for_and_as_wide_as_the_field_of_view(angle: float, model: int) -> None:
    lineup = Lineup.of(models(1, 2))
    sight = lineup.look(frames(1)[0])
    cloud = point_cloud(sight, model, angle, lineup)
    points, colours = parsed(cloud)
    assert len(points) == 24 * 32 == len(colours)
    z = np.linspace(1, 4, 32) * (1, 2)[model]
    np.testing.assert_allclose(points[:32, 2], z, rtol=1e-5)
    # tan(angle / 2) is half the width of the whole picture at depth 1; the outer pixels' centres are half a pixel inside, 1 of 64 of it.
    ends = points[[0, 31], 0] / points[[0, 31], 2]
    np.testing.assert_allclose(ends, math.tan(math.radians(angle) / 2) * np.array([-31, 31]) / 32, rtol=1e-4)
    assert b"metres;" in cloud[:200]


def test_what_has_no_place_in_space_has_no_cloud() -> None:
    inverse = Lineup.of([Contracted("a", DepthContract(depth="inverse"))])
    with pytest.raises(InputError, match="no place in space"):
        point_cloud(inverse.look(frames(1)[0]), 0, 60, inverse)
    lineup = Lineup.of([Contracted("a", DepthContract(depth="scale"))])
    sight = lineup.look(frames(1)[0])
    assert b"up to scale;" in point_cloud(sight, 0, 60, lineup)[:200]
    for angle in (0, 180, math.nan):
        with pytest.raises(InputError, match="field of view"):
            point_cloud(sight, 0, angle, lineup)


def parsed(cloud: bytes) -> tuple[np.ndarray, np.ndarray]:
    with TemporaryDirectory() as folder:
        file = Path(folder, "cloud.ply")
        file.write_bytes(cloud)
        return read_ply(file)
