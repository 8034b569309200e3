"""What keeps a model out of the app, rule by rule at its last value that passes and its first that does not."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coremltools.proto import Model_pb2

from fcrn_mobile.conversion import contract
from fcrn_mobile.conversion.contract import Port, check, check_place, framing_named, install, read_ports, told, violations
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE
from fcrn_mobile.package.metadata import Metadata, key
from fcrn_mobile.package.reading import metadata as metadata_of
from fcrn_mobile.package.reading import read_specification
from fcrn_mobile.package.writing import write_package

PICTURE, DEPTH = Port("image", "colour", (48, 64)), Port("depth", "half", (24, 32))
RECIPE = {"name": "mine", "precision": "int8", "output": "image", "compute_units": "all", "input_size": [48, 64]}


def metadata(recipe: Any = RECIPE, **changes: str) -> dict[str, str]:
    told = {
        "network": "fcrn-lite0",
        "training_data": "nyu",
        "version": "1.0",
        "output_units": METRES,
        "checkpoint_sha256": "0123456789abcdef" * 4,
        "recipe": recipe if isinstance(recipe, str) else json.dumps(recipe),
    } | changes
    return {f"fcrn_mobile.{key}": value for key, value in told.items()}


def wrong(inputs: Any = (PICTURE,), outputs: Any = (DEPTH,), told: dict[str, str] | None = None) -> list[str]:
    return violations(inputs, outputs, metadata() if told is None else told)


ARRAY = RECIPE | {"output": "array"}


def test_what_an_export_writes_fits() -> None:
    assert wrong() == []
    assert wrong(told=metadata(output_units=UP_TO_SCALE)) == []


@pytest.mark.parametrize("shape", [(1, 1, 24, 32), (24, 32), (1, 24, 32), (1, 1), (1, 1, 1, 1, 1)])
def test_arrays_of_one_depth_map_fit(shape: tuple[int, ...]) -> None:
    assert wrong(outputs=[Port("depth", "array", shape)], told=metadata(ARRAY)) == []


@pytest.mark.parametrize("shape", [(1, 2, 24, 32), (2, 1, 24, 32), (0, 1, 24, 32), (1, 1, 0, 32), (1, 1, 24, 0), (32,), ()])
def test_arrays_of_anything_else_do_not(shape: tuple[int, ...]) -> None:
    (line,) = wrong(outputs=[Port("depth", "array", shape)], told=metadata(ARRAY))
    assert line == f"its output has the shape {list(shape)}, not 1×1×height×width: export it with fcrn-mobile"


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ([], "it takes 0 inputs (), not one picture: export it with fcrn-mobile"),
        ([PICTURE, Port("mask", "half")], "it takes 2 inputs (image, mask), not one picture: export it with fcrn-mobile"),
        *(
            ([Port("x", kind, (48, 64))], "its input 'x' is not a colour picture of fixed size: export it with fcrn-mobile")
            for kind in ("half", "array", "other")
        ),
        ([Port("image", "colour", (64, 48))], "it takes 48×64 pixels, its recipe says 64×48: export it again"),
    ],
)
def test_inputs_other_than_one_picture_of_the_recipes_size(inputs: list[Port], line: str) -> None:
    assert wrong(inputs) == [line]


@pytest.mark.parametrize(
    ("outputs", "recipe", "line"),
    [
        ([], RECIPE, "it gives 0 outputs (), not one depth map: export it with fcrn-mobile"),
        ([DEPTH, Port("b", "array")], RECIPE, "it gives 2 outputs (depth, b), not one depth map: export it with fcrn-mobile"),
        *(
            ([Port("y", kind, (2, 2))], RECIPE, "its output 'y' is neither a Float16 picture nor an array: export it with fcrn-mobile")
            for kind in ("colour", "other")
        ),
        ([DEPTH], ARRAY, "it gives an image, its recipe says array: export it again"),
        ([Port("y", "array", (1, 1, 2, 2))], RECIPE, "it gives an array, its recipe says image: export it again"),
    ],
)
def test_outputs_other_than_one_depth_map_of_the_recipes_kind(outputs: list[Port], recipe: Any, line: str) -> None:
    assert wrong(outputs=outputs, told=metadata(recipe)) == [line]


@pytest.mark.parametrize("key", ["network", "training_data", "version", "output_units", "checkpoint_sha256", "recipe"])
@pytest.mark.parametrize("value", [None, ""])
def test_units_alone_have_to_be_there(key: str, value: str | None) -> None:
    told = {name: text for name, text in metadata().items() if name != f"fcrn_mobile.{key}"}
    told |= {} if value is None else {f"fcrn_mobile.{key}": value}
    line = f"its metadata lack 'fcrn_mobile.{key}': export it with fcrn-mobile, or say depth in a model config"
    assert wrong(told=told) == ([line] if key == "output_units" else [])


@pytest.mark.parametrize("value", ["0" * 63, "0" * 65, "0" * 63 + "g", "A" * 64, "0" * 64 + "\n", "x" * 200])
def test_a_hash_is_64_hexadecimal_digits(value: str) -> None:
    assert wrong(told=metadata(checkpoint_sha256=value)) == [f"its checkpoint hash '{value[:80]}' is not a SHA-256: export it again"]


def test_units_are_metres_or_up_to_scale() -> None:
    (line,) = wrong(told=metadata(output_units="feet"))
    assert line == "its depth is in 'feet', neither in metres nor up to scale: export it with fcrn-mobile"


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not JSON of an export"),
        *((RECIPE | {key: None}, f"'{key}' is missing") for key in ("name", "precision", "output", "compute_units")),
        *((RECIPE | {key: 3}, f"'{key}' is 3") for key in ("name", "precision", "output", "compute_units")),
        (RECIPE | {"output": "both"}, "'output' is 'both'"),
        (RECIPE | {"compute_units": "gpu"}, "'compute_units' is 'gpu'"),
        (RECIPE | {"name": ["x" * 200]}, f"'name' is {['x' * 200]!r:.80}"),
        (RECIPE | {"budget": []}, "'budget' is []"),
        (RECIPE | {"budget": {"fidelity": "1%", "abs_rel": 3}}, "'budget' is {'fidelity': '1%', 'abs_rel': 3}"),
        *(
            (RECIPE | {"input_size": sides}, f"'input_size' is {sides!r}, not [height, width]")
            for sides in ([48], [48, 64, 1], [48, 0], [-1, 64], [48.0, 64], [True, 64], "48", 48, [])
        ),
    ],
)
def test_a_recipe_that_cannot_be_read(recipe: Any, reason: str) -> None:
    assert wrong(told=metadata(recipe)) == [f"its recipe cannot be read ({reason}): export it again"]


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE | {"name": "", "precision": ""},
        RECIPE | {"budget": {}},
        RECIPE | {"budget": {"fidelity": "1%", "abs_rel": "2%"}},
        RECIPE | {"budget": None},
        RECIPE | {"input_size": None},
        {key: value for key, value in RECIPE.items() if key != "input_size"},
        *(RECIPE | {"compute_units": units} for units in ("cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly")),
    ],
)
def test_what_a_recipe_may_leave_out_or_say(recipe: Any) -> None:
    assert wrong(told=metadata(recipe)) == []


def test_all_that_is_wrong_is_said_input_first_then_metadata_recipe_and_output() -> None:
    lines = wrong([], [], {})
    assert [line.split(":")[0] for line in lines] == [
        "it takes 0 inputs (), not one picture",
        "its metadata lack 'fcrn_mobile.output_units'",
        "it gives 0 outputs (), not one depth map",
    ]


def test_only_a_package_is_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no \.mlpackage: give what fcrn-mobile export wrote"):
        check(tmp_path / "a.onnx")


def test_a_package_is_copied_whole_and_not_over_another(tmp_path: Path) -> None:
    package, models = tmp_path / "a.mlpackage", tmp_path / "Models"
    (package / "Data").mkdir(parents=True)
    (package / "Data" / "x").write_text("new")
    with pytest.raises(InputError, match=r"no folder .*Models': start in a clone of the repository"):
        install(package, models)
    models.mkdir()
    assert install(package, models) == models / "a.mlpackage"
    (models / "a.mlpackage" / "Data" / "x").write_text("old")
    assert check_place(package, models, force=True) == models / "a.mlpackage"
    for refuse in (install, check_place):
        with pytest.raises(InputError, match=r"a\.mlpackage' exists: overwrite it with --force, or rename the package"):
            refuse(package, models)
    assert (models / "a.mlpackage" / "Data" / "x").read_text() == "old"
    install(package, models, force=True)
    assert (models / "a.mlpackage" / "Data" / "x").read_text() == "new"
    assert [path.name for path in models.iterdir()] == ["a.mlpackage"]


def described(name: str, kind: str = "imageType", size: tuple[int, ...] = (), colour: int = 20) -> Model_pb2.FeatureDescription:
    made = Model_pb2.FeatureDescription(name=name)
    if kind == "imageType":
        made.type.imageType.height, made.type.imageType.width = size
        made.type.imageType.colorSpace = colour
    elif kind == "multiArrayType":
        made.type.multiArrayType.shape.extend(size)
        made.type.multiArrayType.dataType = 65568
    else:
        getattr(made.type, kind).SetInParent()
    return made


@pytest.mark.parametrize(
    ("feature", "port"),
    [
        (described("a", size=(48, 64)), Port("a", "colour", (48, 64))),
        (described("a", size=(48, 64), colour=30), Port("a", "colour", (48, 64))),
        (described("a", size=(48, 64), colour=40), Port("a", "half", (48, 64))),
        (described("a", size=(1, 1), colour=40), Port("a", "half", (1, 1))),
        (described("a", size=(48, 64), colour=10), Port("a", "other")),
        (described("a", size=(0, 64)), Port("a", "other")),
        (described("a", size=(48, 0), colour=40), Port("a", "other")),
        (described("a", "multiArrayType", (1, 1, 2, 3)), Port("a", "array", (1, 1, 2, 3))),
        (described("a", "stringType"), Port("a", "other")),
        (described("a", "dictionaryType"), Port("a", "other")),
        (described("a", "doubleType"), Port("a", "other")),
    ],
)
def test_ports_are_what_the_package_declares(
    feature: Model_pb2.FeatureDescription, port: Port, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model_pb2.Model()
    function = SimpleNamespace(inputs=[feature], outputs=[described("b", size=(2, 3), colour=40), feature], model=model)
    monkeypatch.setattr(contract, "read_function", lambda path: function)
    inputs, outputs, _ = read_ports(tmp_path)
    assert (inputs, outputs) == ([port], [Port("b", "half", (2, 3)), port])


@pytest.mark.parametrize(
    ("text", "read"),
    [("{}", True), ('{"framing": "crop"}', True), ('{"framing": "sideways"}', False), ("[]", False), ("{", False), ("[" * 100_000, False)],
)
def test_a_contract_says_how_pictures_are_framed_or_nothing(text: str, read: bool) -> None:
    line = f"its contract '{text[:80]}' cannot be read: export it again"
    assert wrong(told=metadata(contract=text)) == ([] if read else [line])


@pytest.mark.parametrize(
    ("own", "asked", "framing"),
    [
        ("stretch", None, "crop"),
        ("crop", None, "crop"),
        ("letterbox", None, "letterbox"),
        ("crop", "stretch", "stretch"),
        ("stretch", "letterbox", "letterbox"),
    ],
)
def test_the_app_crops_where_a_contract_stretches(
    own: Any, asked: Any, framing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Metadata(**DepthContract(framing=own).to_metadata()).to_dict()
    monkeypatch.setattr(contract, "read_ports", lambda path: ((), (), written))
    assert json.loads(contract.told(tmp_path, framing=asked)["fcrn_mobile.contract"])["framing"] == framing


def says(contract_: DepthContract) -> dict[str, str]:
    """A contract as metadata hold it."""
    return Metadata(**contract_.to_metadata()).to_dict()


def test_what_the_app_is_told_beside_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a config says counts before what the package says, and all of it is told; else the framing and the camera alone."""
    package, config, cropped = tmp_path / "net.mlpackage", tmp_path / "own.toml", {key("contract"): '{"framing": "crop"}'}
    own: dict[str, str] = {}
    monkeypatch.setattr(contract, "read_ports", lambda path: ((), (), own))
    assert told(package) == {}, "nobody says anything"
    camera = says(DepthContract(focal_length=500, focal_width=640))
    own.update(says(DepthContract("scale", multiple=8)))
    assert told(package) == {key("contract"): '{"multiple": 8, "framing": "crop"}'}
    config.write_text('depth = "inverse"\n')
    assert told(package, config)[key("output_units")] == "inverse depth, up to scale and shift"
    package.with_suffix(".toml").write_text('depth = "metres"\nfocal_length = 500\nfocal_width = 640\n')
    assert told(package) == {key("contract"): '{"multiple": 8, "framing": "crop"}'}, "what it says itself counts before a file beside it"
    own.clear()
    assert told(package) == camera | cropped
    own.update(camera)
    assert told(package) == cropped, "of which it says the camera itself"
    own.update({key("camera"): "{"})
    assert told(package) == cropped
    own.clear()
    own.update({key("training_data"): "nyu-h5:somewhere", key("version"): "0.1"})
    assert json.loads(told(package)[key("camera")])["focal_px"] == 518.9, "as older versions tell it, by the data"


def test_a_config_that_is_named_or_lies_there_has_to_be_readable_and_metadata_are_judged_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, config = tmp_path / "net.mlpackage", tmp_path / "own.toml"
    own = {key("contract"): "{"}
    monkeypatch.setattr(contract, "read_ports", lambda path: ((), (), own))
    assert told(package) == {}
    config.write_text('depth = "near"\n')
    for written in ({}, says(DepthContract())):
        own.clear()
        own.update(written)
        with pytest.raises(InputError, match="depth is 'near'"):
            told(package, config)
    own.clear()
    config.rename(package.with_suffix(".toml"))
    with pytest.raises(InputError, match="depth is 'near'"):
        told(package)


@pytest.mark.parametrize("name", ["stretch", "crop", "letterbox", None])
def test_framings_are_called_by_their_names(name: str | None) -> None:
    assert framing_named(name) == name
    for wrong in ("", "fill", "Crop"):
        with pytest.raises(InputError, match=f"--framing '{wrong}' is none: use one of stretch, crop, letterbox"):
            framing_named(wrong)


@pytest.mark.parametrize("fits", [False, True])
def test_weights_are_read_of_what_fits_with_all_that_it_will_say(fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    own = metadata() | {key("output_units"): METRES if fits else ""}
    monkeypatch.setattr(contract, "read_ports", lambda path: ((PICTURE,), (DEPTH,), own))
    monkeypatch.setattr(contract.Program, "load", loaded.append)
    package = tmp_path / "net.mlpackage"
    assert len(check(package)) == (not fits)
    assert loaded == ([package] if fits else [])
    loaded.clear()
    assert check(package, {key("output_units"): UP_TO_SCALE}) == [] and loaded == [package]


def test_a_copy_says_more_and_the_package_stays(tmp_path: Path) -> None:
    package, models = tmp_path / "net.mlpackage", tmp_path / "Models"
    models.mkdir()
    write_package(package, Model_pb2.Model(specificationVersion=7, mlProgram={"version": 1}).SerializeToString(), {})
    for number, added in enumerate((None, {}, {"theirs": "more"})):
        copy = install(package, models, number > 0, added)
        assert ("theirs" in metadata_of(read_specification(copy)[0])) == bool(added)
    assert "theirs" not in metadata_of(read_specification(package)[0])
