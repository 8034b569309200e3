import json
from pathlib import Path
from types import ModuleType

import matplotlib
import numpy as np
import pytest

from fcrn_mobile.conversion.artefact import provenance
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.framing import Frame
from fcrn_mobile.data.views import Intrinsics
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.report.pointcloud import back_project
from tests.scripts import load_script

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"
FIXTURES = IOS_DEMO / "DepthCore/Tests/DepthCoreTests/Fixtures"
#: A key that is only there where a model is not as usual.
UNUSUAL = {"fcrn_mobile.contract"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(IOS_DEMO / "scripts/make_fixtures.py")


def test_what_swift_is_compared_with_is_what_python_computes(script: ModuleType) -> None:
    made = script.fixtures()
    stale = [str(path) for path, content in made.items() if not (IOS_DEMO / path).is_file() or (IOS_DEMO / path).read_bytes() != content]
    assert not stale, "run .venv/bin/python ios_demo/scripts/make_fixtures.py"
    assert {path.name for path in FIXTURES.iterdir()} == {path.name for path in made if IOS_DEMO / path.parent == FIXTURES}


def test_colours_are_matplotlibs() -> None:
    colours = np.frombuffer((FIXTURES / "colours.bin").read_bytes(), np.uint8).reshape(256, 3)
    listed = np.array(matplotlib.colormaps["magma"].colors)[::-1]  # type: ignore[attr-defined]
    assert (colours == (listed * 255).astype(np.uint8)).all()


def test_padding_of_planes_would_be_seen_as_depth() -> None:
    for plane in json.loads((FIXTURES / "planes.json").read_text()):
        dtype = np.dtype({"half": "<f2", "float": "<f4", "double": "<f8"}[plane["scalar"]])
        rows = np.frombuffer((FIXTURES / f"plane_{plane['scalar']}.bin").read_bytes(), dtype).reshape(plane["height"], -1)
        assert rows.strides[0] == plane["bytes_per_row"]
        expected = np.frombuffer((FIXTURES / f"plane_{plane['scalar']}_expected.bin").read_bytes(), "<f4")
        np.testing.assert_array_equal(rows[:, : plane["width"]].ravel().astype("<f4"), expected)
        padding = rows[:, plane["width"] :]
        assert padding.size > 0
        assert (np.isfinite(padding) & (padding > 0)).all()


def test_statistics_of_the_fixture_are_percentiles_of_its_samples() -> None:
    for case in json.loads((FIXTURES / "statistics.json").read_text()):
        samples = sorted(case["samples_ms"])
        for key, fraction in (("median_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            position = fraction * (len(samples) - 1)
            below = int(position)
            above = min(below + 1, len(samples) - 1)
            by_hand = samples[below] * (1 - (position - below)) + samples[above] * (position - below)
            assert case[key] == pytest.approx(by_hand, rel=1e-12)


def test_focal_lengths_of_upright_pictures_are_the_command_lines() -> None:
    """The app's arithmetic and Python's meet in these figures, which matrices gave."""
    cases = [case for case in json.loads((FIXTURES / "focal.json").read_text()) if case["rotation"] == 0]
    assert {case["framing"] for case in cases} == {"stretch", "crop", "letterbox"}
    for case in cases:
        (width, height), (wide, tall) = case["image"], case["model"]
        relative = case["fx"] / Frame((height, width), (tall, wide), case["framing"]).seen_width
        assert relative / (case["camera"]["focal_px"] / case["camera"]["width_px"]) == pytest.approx(case["factor"], rel=1e-9)


def test_points_of_an_upright_picture_are_the_command_lines() -> None:
    cases = [case for case in json.loads((FIXTURES / "clouds.json").read_text()) if (case["rotation"], case["framing"]) == (0, "stretch")]
    assert cases
    for case in cases:
        (width, height), (wide, tall) = case["image"], case["shown"]
        depth = np.full((tall, wide), np.nan, np.float32)
        for point in case["points"]:
            column, row = point["pixel"]
            depth[row, column] = point["position"][2]
        # There a pixel's centre has whole coordinates.
        camera = Intrinsics(case["fx"], case["fy"], case["cx"] - 0.5, case["cy"] - 0.5)
        points = back_project(depth, np.zeros((height, width, 3), np.uint8), camera)
        expected = [point["position"] for point in case["points"]]
        np.testing.assert_allclose(np.stack([points[axis] for axis in "xyz"], axis=-1), expected, rtol=1e-5, atol=1e-6)


def test_export_still_writes_every_key_that_the_app_reads(script: ModuleType, builtin: Checkpoint) -> None:
    written = provenance(builtin, Recipe(), coreml=True)
    read = json.loads((FIXTURES / "contract.json").read_text())["metadata"]
    assert set(read) - UNUSUAL <= set(written)
    assert set(script.RECIPE_KEYS) <= set(json.loads(written["fcrn_mobile.recipe"]))
    source = (IOS_DEMO / "DepthCore/Sources/DepthCore/ModelMetadata.swift").read_text()
    for key in read:
        assert f'"{key}"' in source


@pytest.mark.parametrize("output", ["image", "array"])
def test_an_exported_package_has_the_interface_that_the_app_is_tested_with(output: str, tiny_config: FCRNConfig, tmp_path: Path) -> None:
    training = TrainingRecord(data="nyu-h5:somewhere")
    checkpoint = Checkpoint(name="tiny", network=FCRN(tiny_config).eval(), training=training, sha256="0" * 64)
    export(checkpoint, Recipe(output=output), tmp_path / "tiny.mlpackage")
    with quiet_coremltools():
        from coremltools.models.utils import load_spec

        description = load_spec(str(tmp_path / "tiny.mlpackage")).description
    contract = json.loads((FIXTURES / "contract.json").read_text())
    (taken,), (given,) = description.input, description.output
    picture = taken.type.imageType
    assert [picture.width, picture.height] == contract["input"]
    assert picture.ColorSpace.Name(picture.colorSpace) == "RGB"
    if output == "image":
        depth = given.type.imageType
        assert [depth.width, depth.height] == contract["depth"]
        assert depth.ColorSpace.Name(depth.colorSpace) == "GRAYSCALE_FLOAT16"
    else:
        assert list(given.type.multiArrayType.shape) == [1, 1, *reversed(contract["depth"])]
    metadata = dict(description.metadata.userDefined)
    assert set(contract["metadata"]) - UNUSUAL <= set(metadata)
    assert json.loads(metadata["fcrn_mobile.camera"]) == {"data": "NYU Depth V2", "focal_px": 518.9, "width_px": 640}
    assert metadata["fcrn_mobile.output_units"] == contract["metadata"]["fcrn_mobile.output_units"]
    assert json.loads(metadata["fcrn_mobile.recipe"])["output"] == output
