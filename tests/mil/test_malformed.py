"""Every damaged file of a package is refused in one line that names what is wrong, by the library and by the command line."""

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.package.reading import default_function, feature_descriptions, function_block, read_specification
from tests.mil.damage import (
    MODEL,
    WEIGHTS,
    Damage,
    a_link_to,
    check_refusal,
    copied,
    manifest,
    model_path,
    moved_outside,
    nested,
    other_type,
    refusal,
    removed,
    replaced_by,
    rewritten,
    sound_package,
    specification,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return sound_package(tmp_path_factory.mktemp("sound"))


FILES: dict[str, tuple[Damage, str]] = {
    "model truncated": (rewritten(MODEL, lambda data: data[: len(data) // 2]), "damaged specification"),
    "model random": (rewritten(MODEL, random.Random(0).randbytes(5000)), "damaged specification"),
    "model empty": (rewritten(MODEL, b""), "specification without a model"),
    "model missing": (removed(MODEL), "lacks 'com.apple.CoreML/model.mlmodel'"),
    "model a folder": (replaced_by(MODEL, Path.mkdir), "lacks 'com.apple.CoreML/model.mlmodel'"),
    "model a pipe": (replaced_by(MODEL, os.mkfifo), "lacks 'com.apple.CoreML/model.mlmodel'"),
    "model too large": (lambda package: os.truncate(package / MODEL, 2**40), f"has {2**40} bytes, the limit is"),
    "model nested": (rewritten(MODEL, nested(3000)), "damaged specification"),
    "model elsewhere": (moved_outside(MODEL), "lies outside .*cp -RL"),
    "tree": (other_type("treeEnsembleRegressor"), r"is a treeEnsembleRegressor model, which does not run here \(it is no network"),
    "Apple's": (
        other_type("visionFeaturePrint"),
        r"is a visionFeaturePrint model, which .* \(its weights are Apple's and not in the file\)",
    ),
    "pipeline": (other_type("pipelineClassifier"), "is a pipeline without stages"),
    "manifest missing": (removed("Manifest.json"), r"has no Manifest\.json"),
    "manifest garbage": (rewritten("Manifest.json", b"\xff\x00{"), r"no readable Manifest\.json"),
    "manifest a list": (rewritten("Manifest.json", b"[1]"), r"no readable Manifest\.json"),
    "manifest a number": (rewritten("Manifest.json", b"1" * 9999), r"no readable Manifest\.json"),
    "manifest nested": (rewritten("Manifest.json", b"[" * 10**6), r"no readable Manifest\.json .RecursionError"),
    "manifest too large": (lambda package: os.truncate(package / "Manifest.json", 2**40), "the limit is"),
    "manifest a pipe": (replaced_by("Manifest.json", os.mkfifo), r"has no Manifest\.json"),
    "manifest elsewhere": (moved_outside("Manifest.json"), "lies outside"),
    "manifest without root": (manifest(lambda content: content.pop("rootModelIdentifier") and None), "rootModelIdentifier"),
    "manifest root a list": (manifest(lambda content: content.update(rootModelIdentifier=[])), "TypeError"),
    "manifest path a number": (model_path(7), "names no model"),
    "manifest path empty": (model_path(""), "names no model"),
    "manifest path upwards": (model_path("../../../elsewhere.mlmodel"), "lies outside"),
    "manifest path absolute": (model_path("/etc/passwd"), "lies outside"),
    "manifest path of control characters": (model_path("a\nb\x00"), "a name that no file has"),
    "manifest path too long": (model_path("a" * 5000), "lacks 'aaa"),
    "weights missing": (removed(WEIGHTS), r"weight\.bin' does not exist: copy or export"),
    "weights a folder": (replaced_by(WEIGHTS, Path.mkdir), r"weight\.bin' is not a file"),
    "weights a pipe": (replaced_by(WEIGHTS, os.mkfifo), r"weight\.bin' is not a file"),
    "weights a device": (replaced_by(WEIGHTS, a_link_to("/dev/zero")), "lies outside"),
    "weights a loop": (replaced_by(WEIGHTS, a_link_to("weight.bin")), "cannot be followed|does not exist"),
    "weights elsewhere": (moved_outside(WEIGHTS), "weights file .* lies outside .*cp -RL"),
    "weights empty": (rewritten(WEIGHTS, b""), "hold 0 bytes"),
    "weights truncated": (rewritten(WEIGHTS, lambda data: data[:-1]), "are truncated"),
    "weights version 1": (rewritten(WEIGHTS, lambda data: data[:4] + b"\x01" + data[5:]), "not MIL blob storage of version 2"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_not_what_it_should_be(case: str, sound, tmp_path, capsys, monkeypatch) -> None:
    check_refusal(FILES[case], sound, tmp_path, capsys, monkeypatch)


def test_a_sound_package_runs(sound) -> None:
    (result,) = Program.load(sound).predict({"x0": np.zeros((1, 3, 8, 8), np.float32)}).values()
    np.testing.assert_array_equal(result, np.ones((4, 64), np.float32))


def test_a_package_behind_a_link_runs(sound, tmp_path) -> None:
    (tmp_path / "linked.mlpackage").symlink_to(sound)
    Program.load(tmp_path / "linked.mlpackage")


def test_what_is_no_package_is_told_what_it_is(sound, tmp_path, capsys, monkeypatch) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "op"), "zip", sound)).rename(tmp_path / "zipped.mlpackage")
    assert "is a zip archive, not an .mlpackage folder: unpack it first" in refusal(archive, capsys, monkeypatch)
    single = tmp_path / "single.mlpackage"
    shutil.copy(sound / MODEL, single)
    assert "is a file, not an .mlpackage folder: give an .mlpackage folder" in refusal(single, capsys, monkeypatch)
    assert "no model at" in refusal(tmp_path / "missing.mlpackage", capsys, monkeypatch, "inspect")
    os.mkfifo(tmp_path / "pipe.mlpackage")
    assert "no model at" in refusal(tmp_path / "pipe.mlpackage", capsys, monkeypatch)
    compiled = tmp_path / "compiled.mlpackage"
    compiled.mkdir()
    (compiled / "coremldata.bin").touch()
    assert "is a compiled model (.mlmodelc)" in refusal(compiled, capsys, monkeypatch)
    (tmp_path / "loop.mlpackage").symlink_to("loop.mlpackage")
    assert "no model at" in refusal(tmp_path / "loop.mlpackage", capsys, monkeypatch, "inspect")


@pytest.mark.parametrize("what", ["model.mlmodel", "Manifest.json", "weight.bin"])
def test_a_file_without_permission_is_named(what: str, sound, tmp_path, monkeypatch) -> None:
    package = copied(sound, tmp_path)
    path = next(package.rglob(what))
    path.chmod(0)

    # Whoever runs the tests as root may read everything: refuse as the system does for everyone else.
    def refused(original: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, *arguments: Any, **options: Any) -> Any:
            if Path(file).name == what:
                raise PermissionError(13, "Permission denied", str(file))
            return original(file, *arguments, **options)

        return opened

    for reader in ("read_bytes", "open"):
        monkeypatch.setattr(Path, reader, refused(getattr(Path, reader)))
    monkeypatch.setattr(np, "fromfile", refused(np.fromfile))
    with pytest.raises(MilError, match=rf"cannot read .*{re.escape(what)}' \(Permission denied\): make it readable"):
        Program.load(package)


@pytest.mark.parametrize("case", ["manifest nested", "weights truncated"])
def test_the_command_line_prints_one_line_and_no_traceback(case: str, sound, call, tmp_path) -> None:
    package = copied(sound, tmp_path)
    damage, message = FILES[case]
    damage(package)
    # Inspecting reads no weights.
    words = ["run", str(package), "--out", str(tmp_path / "out")] if case == "weights truncated" else ["inspect", str(package)]
    ended = call(*words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert re.search(message, ended.stderr)


def test_functions_are_chosen_by_name(sound, tmp_path) -> None:
    package = copied(sound, tmp_path)

    def second(model: Any) -> None:
        model.mlProgram.functions["second"].CopyFrom(model.mlProgram.functions["main"])
        for name in ("main", "second"):
            described = model.description.functions.add(name=name)
            described.input.extend(model.description.input)
            described.output.extend(model.description.output)
            described.input[0].shortDescription = f"of {name}"
        model.description.ClearField("input")
        model.description.ClearField("output")
        model.description.defaultFunctionName = "second"

    specification(second)(package)
    model, _ = read_specification(package)
    assert default_function(model) == "second"
    for name in ("main", "second", None):
        function, block = function_block(model, package, name)
        assert function == model.mlProgram.functions[name or "second"]
        assert block == function.block_specializations["CoreML7"]
        inputs, outputs = feature_descriptions(model, name)
        assert [feature.shortDescription for feature in inputs] == [f"of {name or 'second'}"]
        assert len(outputs) == 1
    with pytest.raises(MilError, match=r"no function 'third': choose one of its functions \('main', 'second'\)"):
        function_block(model, package, "third")


def test_a_package_of_one_function_describes_it_in_the_model(sound) -> None:
    model, _ = read_specification(sound)
    assert default_function(model) == "main"
    assert [feature.name for feature in feature_descriptions(model, "main")[0]] == ["x0"]
