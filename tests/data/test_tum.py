"""TUM RGB-D sequences, and the matching of their timestamps."""

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import linear_sum_assignment

from fcrn_mobile.data import open_source
from fcrn_mobile.data.tum import associate
from fcrn_mobile.errors import InputError

START = 1305031102.175304


def write_sequence(folder: Path, image_times: list[float], depth_times: list[float]) -> Path:
    """Comments at the top, one ``timestamp file`` a line; the n-th depth map is n+1 metres away."""
    for kind, times in (("rgb", image_times), ("depth", depth_times)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        lines = ["# color images" if kind == "rgb" else "# depth maps", "# file: 'rgbd_dataset_freiburg1_xyz.bag'", "# timestamp filename"]
        for number, time in enumerate(times):
            file = f"{kind}/{time:.6f}.png"
            picture = Image.new("RGB", (16, 12)) if kind == "rgb" else Image.fromarray(np.full((12, 16), 5000 * (number + 1), np.uint16))
            picture.save(folder / file)
            lines.append(f"{time:.6f} {file}")
        (folder / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    return folder


def metres(spec: str) -> list[float]:
    source = open_source(spec)
    return [float(source[i].depth[0, 0]) for i in range(len(source))]


def test_each_image_takes_the_depth_map_closest_in_time(tmp_path: Path) -> None:
    write_sequence(tmp_path, [START, START + 0.033, START + 0.066], [START - 0.015, START + 0.004, START + 0.040, START + 0.060])
    source = open_source(f"tum:{tmp_path}")
    assert source.names[0] == f"rgb/{START:.6f}"
    assert metres(f"tum:{tmp_path}") == [2, 3, 4]
    assert pickle.loads(pickle.dumps(source))[2].depth[0, 0] == 4


def test_a_depth_map_serves_one_image_alone(tmp_path: Path) -> None:
    write_sequence(tmp_path, [START, START + 0.010], [START + 0.008])
    assert open_source(f"tum:{tmp_path}").names == (f"rgb/{START + 0.010:.6f}",)


def test_the_limit_of_time_is_an_option(tmp_path: Path) -> None:
    write_sequence(tmp_path, [START, START + 1], [START + 0.015, START + 1.5])
    assert len(open_source(f"tum:{tmp_path}")) == 1
    assert metres(f"tum:{tmp_path}?max_difference=0.6") == [1, 2]
    with pytest.raises(InputError, match=r"no image of .* within 0\.001 s, the closest is 0\.015 s away: raise \?max_difference"):
        open_source(f"tum:{tmp_path}?max_difference=0.001")


@settings(max_examples=100, deadline=None)
@given(
    first=st.lists(st.integers(0, 400), unique=True, max_size=12).map(sorted),
    second=st.lists(st.integers(0, 400), unique=True, max_size=12).map(sorted),
    limit=st.integers(1, 60),
)
def test_matches_are_one_to_one_and_no_closer_pair_is_left(first: list[int], second: list[int], limit: int) -> None:
    matches = associate([float(t) for t in first], [float(t) for t in second], float(limit))
    for a, b in pairwise(matches):
        assert a[0] < b[0]
    assert len({j for _, j in matches}) == len(matches)
    apart_first = {i: abs(first[i] - second[j]) for i, j in matches}
    apart_second = {j: abs(first[i] - second[j]) for i, j in matches}
    for i, time in enumerate(first):
        for j, other in enumerate(second):
            apart = abs(time - other)
            if apart <= limit:
                # Stable: a closer pair would have been taken, unless one of the two is in a pair as close.
                assert min(apart_first.get(i, np.inf), apart_second.get(j, np.inf)) <= apart
    assert all(apart <= limit for apart in apart_first.values())


def test_well_separated_times_are_matched_as_the_optimal_assignment_does() -> None:
    rng = np.random.default_rng(0)
    first = np.arange(50) / 30 + rng.uniform(-0.004, 0.004, 50)
    second = np.arange(50) / 30 + rng.uniform(-0.004, 0.004, 50)
    rows, columns = linear_sum_assignment(np.abs(first[:, np.newaxis] - second))
    assert associate(first.tolist(), second.tolist(), 0.02) == list(zip(rows.tolist(), columns.tolist(), strict=True))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1305031103.0 depth/gone.png", r"row 5 of '.*depth\.txt': no file 'depth/gone\.png'.*restore it or remove the row"),
        ("soon depth/a.png", r"row 5 of .* is 'soon depth/a\.png': it needs 'timestamp file'"),
        ("nan depth/a.png", r"row 5 of .* it needs 'timestamp file'"),
        ("1305031103.0", r"row 5 of .* it needs 'timestamp file'"),
    ],
)
def test_bad_lines_are_named_by_number(line: str, message: str, tmp_path: Path) -> None:
    write_sequence(tmp_path, [START], [START])
    with (tmp_path / "depth.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=message):
        open_source(f"tum:{tmp_path}")


def test_missing_lists_and_bad_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read '.*rgb\.txt' .*: give a TUM sequence folder with rgb\.txt and depth\.txt"):
        open_source(f"tum:{tmp_path}")
    write_sequence(tmp_path, [START], [START])
    with pytest.raises(InputError, match=r"max_difference '-1' in .*: give seconds"):
        open_source(f"tum:{tmp_path}?max_difference=-1")
    with pytest.raises(InputError, match=r"unknown option 'limit' in .*: allowed are max_difference, fx"):
        open_source(f"tum:{tmp_path}?limit=1")
    (tmp_path / "depth.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match=r"depth\.txt' lists no file"):
        open_source(f"tum:{tmp_path}")
