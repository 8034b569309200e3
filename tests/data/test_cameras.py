import pytest

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.spec import training_camera


@pytest.mark.parametrize(
    ("spec", "focal", "width"),
    [
        ("nyu-mat:nyu_depth_v2_labeled.mat#train", 518.9, 640),
        ("nyu-h5:nyudepthv2", 518.9, 640),
        ("folder:nyu_train795.zip#train", 518.9, 640),
        ("csv:nyu2_train.csv", 518.9, 640),
        ("list:my-NYU.txt?root=e&scale=1000", 518.9, 640),
        ("kitti:depth_completion#train", 721.5, 1242),
        ("tum:rgbd_dataset_freiburg1_desk", 525, 640),
        ("sample", 259.4, 304),
        ("stereo:rig?fx=700&baseline=0.12#train", 700, None),
        ("folder:nyu?fx=300", 300, None),
        ("folder:rooms", None, None),
        ("folder:sunyu", None, None),
        ("folder:rooms?fx=wide", None, None),
        ("unknown", None, None),
        ("", None, None),
    ],
)
def test_the_camera_of_training_data_is_known_by_its_spec(spec: str, focal: float | None, width: int | None) -> None:
    camera = training_camera(spec)
    assert (camera.focal_px, camera.width_px) == (focal, width)


def test_a_camera_in_words() -> None:
    assert str(TrainingCamera("NYU Depth V2", 518.9, 640)) == "the camera of NYU Depth V2 (focal length 518.9 px at 640 px width)"
    assert str(training_camera("stereo:rig?fx=700")) == "the camera of stereo:rig (focal length 700 px in its pictures)"
    assert str(TrainingCamera()) == "the camera of its training data"
