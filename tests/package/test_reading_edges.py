"""Files of a package at the limits of their size, names that lead elsewhere, and lists of functions in messages."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from coremltools.proto.Model_pb2 import Model

from fcrn_mobile.mil import MilError
from fcrn_mobile.package.reading import (
    default_function,
    feature_descriptions,
    file_within,
    function_block,
    metadata,
    package_hash,
    read_specification,
)

PACKAGE = Path("net.mlpackage")


def program(*functions: str, opset: str = "CoreML7") -> Any:
    model = Model()
    for name in functions:
        model.mlProgram.functions[name].opset = opset
        model.mlProgram.functions[name].block_specializations["CoreML7"].outputs.append(f"of {name}")
    return model


def saved(folder: Path, model: Any, **changes: Any) -> Path:
    """A package whose manifest names the model right below its ``Data``."""
    manifest = {"itemInfoEntries": {"root": {"path": "model.mlmodel"}}, "rootModelIdentifier": "root"} | changes
    (folder / "Data").mkdir(exist_ok=True)
    (folder / "Manifest.json").write_text(json.dumps(manifest))
    (folder / "Data" / "model.mlmodel").write_bytes(model.SerializeToString())
    return folder


def test_a_specification_is_read_with_the_folder_of_its_weights(tmp_path: Path) -> None:
    model, folder = read_specification(saved(tmp_path, program("main")))
    assert model == program("main")
    assert folder == tmp_path / "Data"


def test_a_manifest_of_sixteen_mebibytes_is_read_and_a_larger_is_not(tmp_path: Path) -> None:
    saved(tmp_path, program("main"))
    manifest = tmp_path / "Manifest.json"
    manifest.write_bytes(manifest.read_bytes().ljust(2**24))
    read_specification(tmp_path)
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(MilError, match="has 16777217 bytes, the limit is 16777216"):
        read_specification(tmp_path)


def test_a_specification_beyond_protobufs_limit_is_not_read(tmp_path: Path) -> None:
    saved(tmp_path, program("main"))
    os.truncate(tmp_path / "Data" / "model.mlmodel", 2**31)
    with pytest.raises(MilError, match="has 2147483648 bytes, the limit is 2147483647"):
        read_specification(tmp_path)


def test_a_model_of_any_kind_is_read_from_a_package_or_a_file(tmp_path: Path) -> None:
    for kind in ("pipeline", "identity"):
        model = Model()
        getattr(model, kind).SetInParent()
        (tmp_path / "m.mlmodel").write_bytes(model.SerializeToString())
        assert read_specification(saved(tmp_path, model))[0] == model
        assert read_specification(tmp_path / "m.mlmodel") == (model, tmp_path)
    (tmp_path / "m.mlmodel").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(MilError, match=r"only points to a file in Git LFS: fetch that first"):
        read_specification(tmp_path / "m.mlmodel")
    with pytest.raises(MilError, match="holds a specification without a model"):
        read_specification(saved(tmp_path, Model()))


def test_the_default_function_is_main_unless_named() -> None:
    model = program("main", "other")
    assert default_function(model) == "main"
    assert function_block(model, PACKAGE)[1].outputs == ["of main"]
    assert function_block(model, PACKAGE, "other")[1].outputs == ["of other"]
    model.description.defaultFunctionName = "other"
    assert default_function(model) == "other"
    assert function_block(model, PACKAGE)[1].outputs == ["of other"]


@pytest.mark.parametrize(
    ("count", "listed"),
    [
        (0, "none"),
        (1, "'f00'"),
        (12, ", ".join(f"'f{i:02}'" for i in range(12))),
        (13, "'f10', 'f11' and 1 more"),
        (14, "'f10', 'f11' and 2 more"),
    ],
)
def test_twelve_functions_are_listed(count: int, listed: str) -> None:
    with pytest.raises(MilError, match="has no function 'main'") as caught:
        function_block(program(*(f"f{i:02}" for i in reversed(range(count)))), PACKAGE)
    assert str(caught.value).endswith(f"{listed})")
    assert ("more" in str(caught.value)) == (count > 12)


def test_names_are_shown_up_to_eighty_letters() -> None:
    with pytest.raises(MilError) as caught:
        function_block(program("b" * 99), PACKAGE, "a" * 99)
    assert "a" * 80 in str(caught.value)
    assert "a" * 81 not in str(caught.value)
    assert "b" * 80 in str(caught.value)
    assert "b" * 81 not in str(caught.value)


def test_a_function_without_its_operator_set_names_those_it_has() -> None:
    with pytest.raises(MilError, match=r"function 'main' of 'net\.mlpackage' asks for operator set 'CoreML9', it has 'CoreML7'"):
        function_block(program("main", opset="CoreML9"), PACKAGE)


def test_functions_are_described_one_by_one_or_together() -> None:
    model = program("main", "other")
    model.description.input.add(name="all")
    assert [feature.name for feature in feature_descriptions(model, "other")[0]] == ["all"]
    described = model.description.functions.add(name="other")
    described.input.add(name="in")
    described.output.add(name="out")
    inputs, outputs = feature_descriptions(model, "other")
    assert ([feature.name for feature in inputs], [feature.name for feature in outputs]) == (["in"], ["out"])
    assert [feature.name for feature in feature_descriptions(model)[0]] == ["all"]


def test_what_the_author_wrote_comes_first_and_other_keys_in_order() -> None:
    model = Model()
    written = model.description.metadata
    written.shortDescription, written.author, written.license, written.versionString = "d", "a", "l", "v"
    written.userDefined["z"], written.userDefined["b"] = "1", "2"
    assert list(metadata(model).items()) == [
        ("description", "d"),
        ("author", "a"),
        ("license", "l"),
        ("version", "v"),
        ("b", "2"),
        ("z", "1"),
    ]


def test_a_file_lies_inside_its_folder_by_name_and_by_link(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    assert file_within(inner, "a/../b", "it") == inner / "b"
    for name in ("../b", "/etc/passwd", "a/../../b"):
        with pytest.raises(MilError, match="it lies outside"):
            file_within(inner, name, "it")
    (inner / "link").symlink_to(tmp_path / "b")
    with pytest.raises(MilError, match="it lies outside"):
        file_within(inner, "link", "it")
    (tmp_path / "alias").symlink_to(inner)
    assert file_within(tmp_path / "alias", "b", "it") == inner / "b"
    with pytest.raises(MilError, match="it has a name that no file has"):
        file_within(inner, "a\0b", "it")


@pytest.mark.parametrize("root", [None, "", 7, ["model.mlmodel"]])
def test_a_manifest_names_a_model(root: Any, tmp_path: Path) -> None:
    saved(tmp_path, program("main"), itemInfoEntries={"root": {"path": root}})
    with pytest.raises(MilError, match=r"has a Manifest\.json that names no model"):
        read_specification(tmp_path)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04", "is a zip archive.*unzip"),
        (b"PK\x03\x04\x14", "is a zip archive.*unzip"),
        (b"PK\x03\x05", "is a file"),
        (b"PK", "is a file"),
    ],
)
def test_a_file_in_place_of_the_folder_is_told_what_it_is(start: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.mlpackage").write_bytes(start)
    with pytest.raises(MilError, match=message):
        read_specification(tmp_path / "a.mlpackage")


def test_a_compiled_model_has_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "coremldata.bin").touch()
    with pytest.raises(MilError, match="is a compiled model"):
        read_specification(tmp_path)
    read_specification(saved(tmp_path, program("main")))
    (tmp_path / "Manifest.json").unlink()
    (tmp_path / "coremldata.bin").unlink()
    with pytest.raises(MilError, match=r"has no Manifest\.json"):
        read_specification(tmp_path)


def test_a_name_too_long_for_a_file_and_a_loop_of_links_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(MilError, match=r"lacks 'a{80}', which its manifest names"):
        read_specification(saved(tmp_path, program("main"), itemInfoEntries={"root": {"path": "a" * 5000}}))
    (tmp_path / "Data" / "loop").symlink_to("loop")
    with pytest.raises(MilError, match=r"cannot be followed|lacks 'loop'"):
        read_specification(saved(tmp_path, program("main"), itemInfoEntries={"root": {"path": "loop"}}))


@pytest.mark.parametrize(("method", "shown"), [("is_dir", "{folder}"), ("read_bytes", "{folder}/Manifest.json")])
def test_a_system_that_refuses_is_quoted(method: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    saved(tmp_path, program("main"))
    monkeypatch.setattr(Path, method, refused)
    with pytest.raises(MilError) as caught:
        read_specification(tmp_path)
    assert str(caught.value) == f"cannot read '{shown.format(folder=tmp_path)}' (Permission denied): make it readable"


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    saved(tmp_path, program("main"))
    (tmp_path / "Data" / "model.mlmodel").write_bytes(b"\xff\xff\xff")
    with pytest.raises(MilError, match="holds a damaged specification"):
        read_specification(tmp_path)
    for text in ("{", "[]", "{}", '{"itemInfoEntries": {}, "rootModelIdentifier": "root"}', "[" * 10**5):
        (tmp_path / "Manifest.json").write_text(text)
        with pytest.raises(MilError, match=r"has no readable Manifest\.json"):
            read_specification(tmp_path)


def test_a_package_s_hash_is_of_names_sizes_and_bytes_below_data(tmp_path: Path) -> None:
    package = tmp_path / "net.mlpackage"
    for name, content in (("Data/b/weight.bin", b"123"), ("Data/a.txt", b""), ("Manifest.json", b"{}")):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(content)
    expected = hashlib.sha256(b"a.txt\x000\x00" + b"b/weight.bin\x003\x00123").hexdigest()
    assert package_hash(package) == expected
    (package / "Manifest.json").write_bytes(b"another")
    assert package_hash(package) == expected
    (package / "Data/b/weight.bin").write_bytes(b"124")
    assert package_hash(package) != expected
