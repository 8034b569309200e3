"""The last run beside this one."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fcrn_mobile.data.phone import PhoneView
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.json_text import json_text
from fcrn_mobile.validation.baseline import Baseline, Change, read_baseline
from fcrn_mobile.validation.fidelity import FidelityValues
from tests.report.test_gate import drift, validation

REFERENCE = SimpleNamespace(name="net", contract=DepthContract("metres"), input_size=(224, 320))
A = SimpleNamespace(name="a", backend="mil", arithmetic="simulated float16 arithmetic")
DATA = "folder:/home/me/rooms#val"

VIEW = PhoneView(None, (4, 4), "stretch", "phone-portrait", None, 1.0)  # type: ignore[arg-type] # no pictures


def former(folder: Path) -> Baseline:
    ran = replace(drift("a", 0.01), engine="mil, simulated float16 arithmetic")
    (folder / "old.json").write_text(json_text(validation(ran, drift("gone", 0.02), input_size=(224, 320))))
    return read_baseline(folder / "old.json")


def test_what_both_runs_have_is_compared(tmp_path: Path) -> None:
    now = replace(drift("a", 0.01), fidelity=FidelityValues(0.03, 40.0, 0.1, 0.99), size_bytes=1_000_000)
    changes = former(tmp_path).changes(validation(now, drift("new", 0.01)))
    assert {change.model for change in changes} == {"a"}
    assert changes[0] == Change("a", "fidelity", 0.01, 0.03)
    assert changes[-1] == Change("a", "MB", 2.0, 1.0)
    assert Change("a", "abs_rel", 0.5, 0.5) in changes


def test_what_an_earlier_version_did_not_write_is_not_compared(tmp_path: Path) -> None:
    former(tmp_path)
    run = json.loads((tmp_path / "old.json").read_text())
    del run["reference"]["input_size"], run["candidates"][0]["engine"]
    (tmp_path / "old.json").write_text(json.dumps(run))
    wide = SimpleNamespace(**vars(REFERENCE) | {"input_size": (448, 640)})
    read_baseline(tmp_path / "old.json").require_same(wide, [A], DATA, protocol("eigen"), ["0"])  # type: ignore[arg-type,list-item] # fakes


def test_a_candidate_that_is_new_may_run_on_anything(tmp_path: Path) -> None:
    new = SimpleNamespace(name="new", backend="onnxruntime")
    former(tmp_path).require_same(REFERENCE, [A, new], DATA, protocol("eigen"), ["0"])  # type: ignore[arg-type,list-item] # what is read


def test_the_same_measurement_passes(tmp_path: Path) -> None:
    former(tmp_path).require_same(REFERENCE, [A], DATA, protocol("eigen"), ["0"])  # type: ignore[arg-type] # what is read of a runtime


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": "sample"}, "data was folder:/home/me/rooms#val and is sample now"),
        ({"rule": protocol("laina")}, "protocol was eigen and is laina now"),
        ({"rule": protocol("eigen", "median")}, "alignment was none and is median now"),
        ({"rule": protocol("eigen", max_depth=5)}, "max_depth was 10.0 and is 5 now"),
        ({"rule": None}, "protocol was eigen and is none now"),
        (
            {"view": PhoneView(None, (4, 4), "stretch", "phone-portrait", None, 1.0)},
            "framing was none and is phone-portrait by stretch now",
        ),
        ({"align_fidelity": True}, "--align-fidelity was off and is on now"),
        ({"images": ["0", "1"]}, "frames are others (1 then, 2 now)"),
        ({"reference": SimpleNamespace(name="other", contract=DepthContract("metres"))}, "no run against 'other' but against net"),
        (
            {"reference": SimpleNamespace(**vars(REFERENCE) | {"contract": DepthContract("scale")})},
            "alignment was none and is median now",
        ),
        (
            {"reference": SimpleNamespace(**vars(REFERENCE) | {"input_size": (448, 640)})},
            "size of the reference's pictures was 224×320 and is 448×640 now",
        ),
        (
            {"candidates": [SimpleNamespace(**vars(A) | {"arithmetic": "the engine's without ties"})]},
            "engine of 'a' was mil, simulated float16 arithmetic and is mil, the engine's without ties now",
        ),
        (
            {"candidates": [SimpleNamespace(name="a", backend="coreml")]},
            "engine of 'a' was mil, simulated float16 arithmetic and is coreml now",
        ),
    ],
)
def test_another_measurement_is_refused(changed: dict[str, object], words: str, tmp_path: Path) -> None:
    same = {"reference": REFERENCE, "candidates": [A], "data": DATA, "rule": protocol("eigen"), "images": ["0"]}
    with pytest.raises(InputError) as caught:
        former(tmp_path).require_same(**(same | changed))  # type: ignore[arg-type] # what is read of a runtime
    assert words in str(caught.value)
    assert "old.json" in str(caught.value)


NONE = {
    "list": lambda run: [run],
    "empty": lambda run: {},
    "no candidates": lambda run: run | {"candidates": []},
    "no figures": lambda run: run | {"candidates": [{}]},
    "no rule": lambda run: run | {"rule": 3},
}


@pytest.mark.parametrize("change", NONE.values(), ids=NONE.keys())
def test_json_of_something_else_is_refused(change, tmp_path: Path) -> None:
    former(tmp_path)
    run = json.loads((tmp_path / "old.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps(change(run)))
    with pytest.raises(InputError, match="is no baseline"):
        read_baseline(tmp_path / "old.json")
