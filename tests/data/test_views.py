from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fcrn_mobile.data.batches import ViewsBatch, views_batch
from fcrn_mobile.data.cache import Cached
from fcrn_mobile.data.loading import Loading
from fcrn_mobile.data.module import views_data
from fcrn_mobile.data.rectification import MOST_OFF, vertical_disparity
from fcrn_mobile.data.spec import open_source, open_views
from fcrn_mobile.data.views import Intrinsics, ViewAugmentation, Views, flip_views, in_order, recolour, resize_views
from fcrn_mobile.errors import InputError
from tests.clips import lossless, turn, waves, write_clip
from tests.motorcycle import BASELINE, FOCAL, motorcycle
from tests.training.selfsupervised.rendering import camera_at, render

SIZE, CAMERA = (60, 80), (70.0, 70.0, 39.5, 29.5)


def picture(x: float, roll: float = 0.0, size: tuple[int, int] = SIZE) -> Image.Image:
    scale = size[1] / SIZE[1]
    camera = camera_at(x, 0, 0)
    cos, sin = np.cos(roll), np.sin(roll)
    camera[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    image = render(size, (70 * scale, 70 * scale, (size[1] - 1) / 2, (size[0] - 1) / 2), camera).image
    return Image.fromarray(np.rint(image * 255).astype(np.uint8))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames of a camera that moves to the right; the red of frame n's corner is n."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(12):
        image = picture(0.02 * number)
        image.putpixel((0, 0), (number, 0, 0))
        image.save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    for side, x in (("left", 0.0), ("right", 0.2)):
        (tmp_path / "rig" / side).mkdir(parents=True)
        for number in range(4):
            picture(x + 0.1 * number).save(tmp_path / "rig" / side / f"{number}.png")
    return tmp_path / "rig"


def corner(views: Views) -> list[int]:
    return [int(image[0, 0, 0]) for image in views.images]


def views_of(rng: np.random.Generator, baseline: float = 0.0) -> Views:
    return Views(tuple(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8) for _ in range(2)), Intrinsics(9, 8, 3.2, 2.4), baseline, "v")


def test_a_folder_gives_every_frame_with_its_neighbours(clip: Path) -> None:
    source = open_views(f"frames:{clip}?fx=70&fy=69&cx=39.5&cy=29.5", "video")
    assert len(source) == 10
    assert source.names[0] == "001"
    assert corner(source[0]) == [1, 0, 2]
    assert source[0].intrinsics == Intrinsics(70, 69, 39.5, 29.5)
    assert source[0].baseline == 0


def test_a_step_skips_frames(clip: Path) -> None:
    source = open_views(f"frames:{clip}?fx=70&step=3", "video")
    assert [corner(source[i]) for i in (0, 5)] == [[3, 0, 6], [8, 5, 11]]


def test_a_camera_without_more_than_a_focal_length_has_square_pixels_and_its_axis_in_the_middle(clip: Path) -> None:
    assert open_views(f"frames:{clip}?fx=70", "video")[0].intrinsics == Intrinsics(70, 70, 39.5, 29.5)


def test_no_frame_is_in_training_and_in_validation(clip: Path) -> None:
    for number in range(12, 20):
        Image.new("RGB", (80, 60), (number, 0, 0)).save(clip / f"{number:03d}.png")
    train, val = (open_views(f"frames:{clip}?fx=70{split}", "video") for split in ("#train", "#val"))
    with pytest.raises(InputError, match="too few to split"):
        _ = open_views(f"frames:{clip}?fx=70&step=2#val", "video")
    seen, held_out = ({number for i in range(len(source)) for number in corner(source[i])} for source in (train, val))
    assert not seen & held_out
    assert max(seen) < min(held_out)


def test_a_video_gives_the_triplets_of_its_frames(tmp_path: Path) -> None:
    frames = [np.full((24, 36, 3), 20 * number, np.uint8) for number in range(7)]
    source = open_views(f"frames:{lossless(tmp_path / 'walk.mkv', frames)}?fx=30&step=2", "video")
    assert source.names == ("walk/000002", "walk/000003", "walk/000004")
    assert corner(source[1]) == pytest.approx([60, 20, 100], abs=2)
    assert source[0].intrinsics == Intrinsics(30, 30, 17.5, 11.5)
    train, val = (open_views(f"frames:{tmp_path / 'walk.mkv'}?fx=30{part}", "video") for part in ("#train", "&step=1#train"))
    assert train.names == val.names == tuple(f"walk/{number:06d}" for number in range(1, 5))


def test_frames_of_a_large_video_are_kept_small_with_the_camera_that_fits_them(tmp_path: Path) -> None:
    source = open_views(f"frames:{write_clip(tmp_path / 'big.mp4', waves(3, 480, 960))}?fx=900&cx=470&cy=250", "video")
    views = source[0]
    assert views.size == (320, 640)
    assert views.intrinsics == Intrinsics(900, 900, 470, 250).resized((480, 960), (320, 640))
    assert views.intrinsics.fx == 600
    shrunk = waves(3, 480, 960)[1].reshape(160, 3, 320, 3, 3).mean(axis=(1, 3))  # by three, where the video was shrunk by 1.5
    kept = np.asarray(Image.fromarray(views.images[0]).resize((320, 160), Image.Resampling.BOX), dtype=float)
    assert np.abs(kept - shrunk).mean() < 3


def test_a_phone_video_is_upright_and_so_is_its_camera(tmp_path: Path) -> None:
    write_clip(tmp_path / "phone.mp4", waves(3, 48, 96))
    turn(tmp_path / "phone.mp4", 90, 48, 96)
    views = open_views(f"frames:{tmp_path / 'phone.mp4'}?fx=80", "video")[0]
    assert views.size == (96, 48)
    assert (views.intrinsics.cx, views.intrinsics.cy) == (23.5, 47.5)


def test_a_cache_gives_the_same_views_and_decodes_each_once(clip: Path) -> None:
    def batches(cache_mb: int) -> list[ViewsBatch]:
        source = open_views(f"frames:{clip}?fx=70", "video")
        module = views_data(source, source, None, ViewAugmentation((32, 64)), Loading(2, 0, 1, cache_mb))
        result = [batch for _ in range(2) for loader in (module.train_dataloader(), module.val_dataloader()) for batch in loader]
        if cache_mb:
            for cache in (module.frames.source, module.validation_views.source):
                assert (cache.hits, cache.misses) == (10, 10)
                assert cache.bytes_kept == 10 * 3 * 60 * 80 * 3
        return result

    for kept, decoded in zip(batches(50), batches(0), strict=True):
        assert kept.names == decoded.names
        assert torch.equal(kept.images, decoded.images)
        assert torch.equal(kept.intrinsics, decoded.intrinsics)


def test_kept_views_cannot_be_changed_and_stay_within_the_limit(clip: Path) -> None:
    cached = Cached(open_views(f"frames:{clip}?fx=70", "video"), 2.5 * 3 * 60 * 80 * 3 / 1e6)
    for index in (0, 1, 2, 2):
        with pytest.raises(ValueError, match="read-only"):
            cached[index].images[1][0, 0] = 9
    assert cached.bytes_kept == 2 * 3 * 60 * 80 * 3
    assert (cached.hits, cached.misses) == (1, 3)


def test_missing_intrinsics_are_asked_for(clip: Path) -> None:
    with pytest.raises(InputError, match=r"add \?fx=PIXELS"):
        open_views(f"frames:{clip}", "video")
    with pytest.raises(InputError, match="fx '0' in"):
        open_views(f"frames:{clip}?fx=0", "video")


@pytest.mark.parametrize(
    ("spec", "objective", "message"),
    [
        ("frames:{}?fx=70&step=6", "video", "12 frames in a row, 13 are needed"),
        ("frames:{}?fx=70&step=1.5", "video", "whole number"),
        ("frames:{}/nothing?fx=70", "video", "no frames at"),
        ("frames:{}/000.png?fx=70", "video", "neither a folder nor a video"),
        ("frames:{}?fx=70#test", "video", "#train or #val"),
        ("folder:{}", "video", "use one of frames:PATH"),
        ("frames:{}?fx=70", "stereo", "use one of stereo:PATH"),
        ("stereo:{}?fx=70&baseline=0.1", "stereo", "left/ and right/"),
        ("stereo:{}?fx=70", "stereo", "add &baseline=METRES"),
        ("kitti:{}", "stereo", "calib_cam_to_cam"),
    ],
)
def test_unusable_views_say_what_to_do(clip: Path, spec: str, objective: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_views(spec.format(clip), objective)


def test_frames_of_two_sizes_are_named(clip: Path) -> None:
    Image.new("RGB", (40, 30)).save(clip / "005.png")
    with pytest.raises(InputError, match="views of '004' are 80×60, 80×60, 40×30"):
        _ = open_views(f"frames:{clip}?fx=70", "video")[3]


def test_data_without_depth_is_no_rgbd_source(clip: Path) -> None:
    with pytest.raises(InputError, match="train --objective video"):
        open_source(f"frames:{clip}?fx=70")
    with pytest.raises(InputError, match="train --objective stereo"):
        open_source(f"stereo:{clip}?fx=70&baseline=1")


def test_a_rig_gives_pairs_with_their_baseline(rig: Path) -> None:
    source = open_views(f"stereo:{rig}?fx=70&baseline=0.2", "stereo")
    assert source.names == ("0", "1", "2", "3")
    views = source[1]
    assert views.baseline == 0.2
    assert np.array_equal(views.images[1], np.asarray(Image.open(rig / "right" / "1.png")))
    assert len(open_views(f"stereo:{rig}?fx=70&baseline=0.2#val", "stereo")) == 1


def test_pairs_that_are_not_rectified_are_refused_with_what_was_measured(rig: Path) -> None:
    for number in range(4):
        picture(0.2 + 0.1 * number, roll=0.04).save(rig / "right" / f"{number}.png")
    with pytest.raises(InputError, match=r"not rectified: .* \d\.\d % of the height"):
        open_views(f"stereo:{rig}?fx=70&baseline=0.2", "stereo")


@pytest.mark.parametrize("rows", [0, 2, 5])
def test_vertical_disparity_is_measured_in_percent_of_the_height(rows: int) -> None:
    size = (240, 320)
    left, right = (np.asarray(picture(x, size=size)) for x in (0.0, 0.15))
    measured = vertical_disparity(left, np.roll(right, rows, axis=0))
    assert measured == pytest.approx(rows / 240 * 100, abs=0.15)
    assert (measured > MOST_OFF) == (rows > 1)


def test_a_real_pair_passes_as_rectified_until_one_of_its_cameras_is_raised(tmp_path: Path) -> None:
    pair = motorcycle()
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
    spec = f"stereo:{tmp_path}?fx={FOCAL}&baseline={BASELINE}"
    Image.fromarray(pair.left).save(tmp_path / "left" / "0.png")
    Image.fromarray(pair.right).save(tmp_path / "right" / "0.png")
    assert len(open_views(spec, "stereo")) == 1
    Image.fromarray(np.roll(pair.right, 4, axis=0)).save(tmp_path / "right" / "0.png")
    with pytest.raises(InputError, match=r"not rectified: .* 0\.9 % of the height"):  # 4 of 500 rows, measured to a quarter of one
        open_views(spec, "stereo")


def test_a_plain_picture_has_no_measurable_disparity() -> None:
    plain = np.full((60, 80, 3), 90, np.uint8)
    assert vertical_disparity(plain, plain) is None


def kitti_raw(folder: Path) -> None:
    left, right = "70 0 39.5 0 0 71 29.5 0 0 0 1 0", "70 0 39.5 -14 0 71 29.5 0 0 0 1 0"
    (folder / "2011_09_26").mkdir(parents=True)
    (folder / "2011_09_26" / "calib_cam_to_cam.txt").write_text(f"calib_time: now\nP_rect_02: {left}\nP_rect_03: {right}\n")
    for camera, x in (("image_02", 0.0), ("image_03", 0.2)):
        data = folder / "2011_09_26" / "drive_0001_sync" / camera / "data"
        data.mkdir(parents=True)
        for number in range(5):
            picture(x + 0.05 * number).save(data / f"{number:010d}.png")


def test_kittis_raw_drives_give_triplets_and_pairs_with_their_calibration(tmp_path: Path) -> None:
    kitti_raw(tmp_path)
    triplets, pairs = (open_views(f"kitti:{tmp_path}", objective) for objective in ("video", "stereo"))
    assert len(triplets) == 2 * 3
    assert triplets.names[0] == "2011_09_26/drive_0001_sync/0/0000000001"
    assert triplets[0].intrinsics == Intrinsics(70, 71, 39.5, 29.5)
    assert len(pairs) == 5
    assert pairs[0].baseline == pytest.approx(14 / 70)


def test_kittis_odometry_sequences_are_read_too(tmp_path: Path) -> None:
    sequence = tmp_path / "sequences" / "03"
    sequence.mkdir(parents=True)
    # The left colour camera of the data set is not the origin: only the difference counts.
    (sequence / "calib.txt").write_text("P0: 1\nP2: 70 0 39 5 0 70 29 0 0 0 1 0\nP3: 70 0 39 -9 0 70 29 0 0 0 1 0\n")
    for camera, x in (("image_2", 0.0), ("image_3", 0.2)):
        (sequence / camera).mkdir()
        for number in range(3):
            picture(x).save(sequence / camera / f"{number:06d}.png")
    assert open_views(f"kitti:{tmp_path}", "stereo")[0].baseline == pytest.approx(0.2)
    assert len(open_views(f"kitti:{tmp_path}", "video")) == 2


@pytest.mark.parametrize("text", ["P_rect_02: 1 2 3\n", "", "P_rect_02: 0 0 0 0 0 0 0 0 0 0 0 0\n", "P_rect_02: a\n"])
def test_a_damaged_calibration_file_is_named(tmp_path: Path, text: str) -> None:
    kitti_raw(tmp_path)
    (tmp_path / "2011_09_26" / "calib_cam_to_cam.txt").write_text(text)
    with pytest.raises(InputError, match=r"calib_cam_to_cam\.txt"):
        open_views(f"kitti:{tmp_path}", "video")


def test_resizing_keeps_a_point_where_it_is_in_the_picture() -> None:
    views = resize_views(views_of(np.random.default_rng(0)), 12, 24)
    assert views.images[0].shape == (12, 24, 3)
    assert views.intrinsics == Intrinsics(27, 16, (3.2 + 0.5) * 3 - 0.5, (2.4 + 0.5) * 2 - 0.5)


def test_a_mirrored_scene_is_the_scene_in_a_mirror() -> None:
    views = views_of(np.random.default_rng(0))
    mirrored = flip_views(views)
    assert all(np.array_equal(a[:, ::-1], b) for a, b in zip(views.images, mirrored.images, strict=True))
    assert mirrored.intrinsics == replace(views.intrinsics, cx=7 - 3.2)
    pair = replace(views, baseline=0.1)
    assert np.array_equal(flip_views(pair).images[0], pair.images[1][:, ::-1])


def test_all_pictures_of_a_scene_are_recoloured_alike() -> None:
    image = np.random.default_rng(0).integers(60, 190, (6, 8, 3), dtype=np.uint8)
    views = recolour(Views((image, image.copy()), Intrinsics(1, 1, 0, 0), 0, "v"), np.random.default_rng(4), 0.4)
    assert np.array_equal(*views.images)
    assert not np.array_equal(views.images[0], image)


def test_frames_in_a_row_are_split_in_a_row() -> None:
    assert in_order(20) == {"train": tuple(range(17)), "val": (17, 18, 19)}


def test_batches_hold_target_and_sources_with_their_cameras(clip: Path) -> None:
    source = open_views(f"frames:{clip}?fx=70", "video")
    data = views_data(source, source, None, ViewAugmentation((32, 64)), Loading(4, 0, 1))
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (4, 3, 3, 32, 64)
    assert batch.intrinsics[:, 0].tolist() == pytest.approx([70 * 64 / 80] * 4)
    assert len(batch.names) == 4
    validated = [name for part in data.val_dataloader() for name in part.names]
    assert validated == list(source.names)
    again = next(iter(views_data(source, source, None, ViewAugmentation((32, 64)), Loading(4, 0, 1)).train_dataloader()))
    assert again.names == batch.names
    assert (again.images == batch.images).all()


def test_plain_images_are_the_targets_in_an_epochs_order(clip: Path) -> None:
    source = open_views(f"frames:{clip}?fx=70", "video")
    data = views_data(source, source, None, ViewAugmentation((32, 64)), Loading(4, 0, 1))
    names = [name for batch in data.train_dataloader() for name in batch.names]
    images = torch.cat(list(data.plain_images()))
    assert len(images) == len(names)
    for image, name in zip(images, names, strict=True):
        target = resize_views(source[source.names.index(name)], 32, 64).images[0]
        np.testing.assert_array_equal(np.rint(image.numpy() * 255), target.transpose(2, 0, 1))


def test_a_batch_of_pairs_knows_its_baselines(rig: Path) -> None:
    source = open_views(f"stereo:{rig}?fx=70&baseline=0.2", "stereo")
    assert views_batch([source[0], source[1]]).baselines.tolist() == pytest.approx([0.2, 0.2])
