"""A report of the app read here: what follows from its frames, and what contradicts them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import parse_limit
from fcrn_mobile.validation.device_fidelity import DeviceFidelityReport, read_device_fidelity

__all__: list[str] = []

REPORT = Path(__file__).resolve().parents[2] / "ios_demo/DepthCore/Tests/DepthCoreTests/Fixtures/fidelity_report.json"


@pytest.fixture
def content() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(REPORT.read_text())
    return report


def read(folder: Path, content: Any) -> DeviceFidelityReport:
    (folder / "phone.json").write_text(json.dumps(content))
    return read_device_fidelity(folder / "phone.json")


def test_figures_are_those_of_the_frames(tmp_path: Path, content: dict[str, Any]) -> None:
    same, _, off, half = read(tmp_path, content).results([parse_limit("fidelity=0.01"), parse_limit("abs_rel=5%")])
    assert (same.abs_rel, same.max_abs, same.psnr_db, same.first_difference, same.frames, same.verdict) == (0, 0, math.inf, "", 2, "held")
    dbs = [frame["psnr_db"] for frame in content["results"][2]["frames"]]
    assert off.psnr_db == pytest.approx(sum(dbs) / 2, rel=1e-12)
    assert (off.first_difference, off.verdict, [check.limit.metric for check in off.checks]) == ("second", "broken", ["fidelity"])
    assert (half.verdict, half.checks) == ("shown", ())
    assert [each.verdict for each in read(tmp_path, content).results()] == ["no budget", "shown", "no budget", "shown"]


def test_outputs_that_are_no_numbers_are_broken_and_no_contradiction(tmp_path: Path, content: dict[str, Any]) -> None:
    result = content["results"][0]
    for place in (result, result["frames"][1]):
        for key in ("abs_rel", "max_abs"):
            place.pop(key)
    result["first_difference"] = "second"
    read_back = read(tmp_path, content).results()[0]
    assert (read_back.verdict, math.isnan(read_back.abs_rel), math.isnan(read_back.max_abs), math.isnan(read_back.psnr_db)) == (
        "broken",
        True,
        True,
        True,
    )


@pytest.mark.parametrize("key", ["abs_rel", "max_abs"])
@pytest.mark.parametrize("factor", [1 + 1e-5, 1 - 1e-5, 0.5, 2])
def test_a_mean_or_maximum_that_the_frames_do_not_give_was_written_by_hand(
    key: str, factor: float, tmp_path: Path, content: dict[str, Any]
) -> None:
    content["results"][2][key] *= factor
    with pytest.raises(InputError, match=f"{key} of result 3 is .*: the file was changed after it was written"):
        read(tmp_path, content)


@pytest.mark.parametrize("key", ["abs_rel", "max_abs"])
def test_rounding_is_no_contradiction(key: str, tmp_path: Path, content: dict[str, Any]) -> None:
    content["results"][2][key] *= 1 + 5e-7
    read(tmp_path, content)


@pytest.mark.parametrize("missing", ["of the result", "of a frame"])
def test_a_number_on_one_side_alone_is_a_contradiction(missing: str, tmp_path: Path, content: dict[str, Any]) -> None:
    result = content["results"][2]
    del (result if missing == "of the result" else result["frames"][0])["max_abs"]
    with pytest.raises(InputError, match=r"max_abs of result 3 is .*, but its frames give"):
        read(tmp_path, content)


@pytest.mark.parametrize(("said", "shown"), [("first", "first"), (None, "none")])
def test_the_first_frame_that_differs_is_that_of_the_frames(said: str | None, shown: str, tmp_path: Path, content: dict[str, Any]) -> None:
    result = content["results"][2]
    result.pop("first_difference")
    result |= {"first_difference": said} if said else {}
    with pytest.raises(InputError, match=f"first frame of result 3 that differs is '{shown}', but its frames say 'second'"):
        read(tmp_path, content)


def test_a_frame_at_the_tolerance_itself_does_not_differ(tmp_path: Path, content: dict[str, Any]) -> None:
    result = content["results"][2]
    content["tolerance_abs_rel"] = result["frames"][1]["abs_rel"]
    for each in content["results"]:
        each.pop("first_difference", None)
    content["results"][3]["first_difference"] = "second"  # a little above
    assert [each.first_difference for each in read(tmp_path, content).results()] == ["", "", "", "second"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "fidelity", "schema_version": 2}, "schema version 2, this reads version 1"),
        ({"kind": "fidelity"}, "schema version None, this reads version 1"),
        ({"kind": "bench", "schema_version": 2}, "not a fidelity report"),
        (["fidelity"], "not a fidelity report"),
    ],
)
def test_another_version_is_told_from_another_file(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)
