"""What is known of a float package, how it is made ready, and how a change of its operator set is checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from coremltools.proto import Model_pb2

from fcrn_mobile.conversion import float_package as module
from fcrn_mobile.conversion.float_package import FloatPackage, open_float_package
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule
from fcrn_mobile.package.metadata import Metadata, key
from tests.mil.build import ct

PICTURE = Feature("photo", "image", "RGB", ShapeRule((64, 96)))
PATH = Path("net.mlpackage")


def weights(*stored: str) -> tuple[Any, ...]:
    return tuple(SimpleNamespace(name=f"w{number}", stored=kind) for number, kind in enumerate(stored))


def package(version: int = 7, stored: tuple[str, ...] = ("fp32", "fp32"), feature: Feature = PICTURE, **more: Any) -> FloatPackage:
    model: Any = SimpleNamespace(get_spec=lambda: SimpleNamespace(specificationVersion=version))
    return FloatPackage(PATH, model, "ab", weights(*stored), (feature,), (feature,), {}, **more)


@pytest.mark.parametrize(
    ("version", "target"), [(5, "iOS16"), (6, "iOS16"), (7, "iOS16"), (8, "iOS17"), (9, "iOS18"), (10, "iOS18"), (11, "iOS18")]
)
def test_the_target_is_the_oldest_that_runs_it(version: int, target: str) -> None:
    assert (package(version).version, package(version).target) == (version, target)


def test_float32_counts_if_all_weights_have_it() -> None:
    assert [package(stored=stored).is_single for stored in (("fp32",), ("fp16", "fp32"), ("fp32", "fp16"))] == [True, False, False]


def test_sizes_are_those_of_its_picture_the_usual_one_first() -> None:
    interface: Any = SimpleNamespace(size=(64, 96))
    several = replace(PICTURE, shapes=ShapeRule((64, 96), ((96, 64), (64, 96), (64, 128))))
    assert package(interface=interface).picture_size == (64, 96)
    assert package(interface=interface).picture_sizes == ()
    assert package(feature=several, interface=interface).picture_sizes == ((64, 96), (96, 64), (64, 128))
    assert (package(feature=several).picture_size, package(feature=several).picture_sizes) == (None, ())
    rows = replace(several, kind="array")
    assert package(feature=rows, interface=interface).picture_sizes == ()
    told = Metadata(version="1")
    assert replace(package(), written=told.to_dict()).metadata == told


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """How a program is changed, with the steps and the comparison replaced."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, "changed", lambda model, *steps, version=0: calls.append((steps, version)) or "changed")
    monkeypatch.setattr(module, "half_precision", lambda wanted: "half")
    same: Any = SimpleNamespace(inputs=[], predict=lambda inputs, state: {}, make_state=dict)
    monkeypatch.setattr(module.Program, "load", lambda path: same)
    monkeypatch.setattr(module, "as_program", lambda model: same)
    return calls


HALF, NEWER = ((("half",), 0),), (((), 8),)


@pytest.mark.parametrize(
    ("version", "single", "values", "calls"),
    [
        (7, False, {"precision": "int8"}, ()),
        (7, True, {"precision": "fp32"}, ()),
        (7, True, {"precision": "fp16"}, HALF),
        (7, True, {"precision": "int8"}, HALF),
        (7, True, {"precision": "fp32", "ops": [{"match": "a", "precision": "int8"}]}, HALF),
        (6, True, {"precision": "fp16"}, HALF),
        (6, False, {"precision": "fp16"}, ()),
        (6, True, {"precision": "fp16", "target": "iOS17"}, NEWER + HALF),
        (6, False, {"precision": "fp16", "target": "iOS17"}, NEWER),
        (6, False, {"precision": "int8"}, (((), 7),)),
        (6, False, {"precision": "int8", "ops": [{"match": "a", "precision": "fp16"}]}, (((), 7),)),
        (7, False, {"precision": "a8"}, NEWER),
        (8, False, {"precision": "a8"}, ()),
        (9, False, {"precision": "int8", "target": "iOS17"}, ()),
        (7, False, {"precision": "int4"}, (((), 9),)),
    ],
)
def test_a_package_is_made_ready_by_as_little_as_a_recipe_needs(
    version: int, single: bool, values: dict[str, Any], calls: tuple[Any, ...], asked: list[tuple[Any, ...]]
) -> None:
    source = package(version, ("fp32", "fp32" if single else "fp16"))
    assert source.prepared(make_recipe(values, "test")) == ("changed" if calls else source.model)
    assert tuple(asked) == calls


def test_what_a_newer_set_writes_otherwise_is_said(asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("no such operator " + 200 * "x")

    monkeypatch.setattr(module, "changed", fails)
    with pytest.raises(InputError, match="has operators that iOS18 writes otherwise") as caught:
        package().prepared(Recipe(precision="int4"))
    assert 103 * "x" in str(caught.value) and 104 * "x" not in str(caught.value)


Output = Callable[[dict[str, np.ndarray]], np.ndarray]


def moved(features: list[Feature], before: Output, after: Output, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """The inputs on which a package is compared with its newer self, whose only output is given by a function."""
    shown: list[dict[str, np.ndarray]] = []

    def program(output: Output) -> Any:
        def predict(inputs: dict[str, np.ndarray], state: str) -> dict[str, np.ndarray]:
            assert state == "state"
            shown.append(inputs)
            return {"far": output(inputs)}

        return SimpleNamespace(inputs=features, predict=predict, make_state=lambda: "state")

    monkeypatch.setattr(module.Program, "load", lambda path: program(before))
    monkeypatch.setattr(module, "as_program", lambda model: program(after))
    monkeypatch.setattr(module, "changed", lambda model, *steps, version=0: "changed")
    assert package(7, ("fp16",)).prepared(Recipe(precision="int4")) == "changed"
    return shown


def rows(*values: float) -> Output:
    return lambda inputs: np.array(values, np.float32)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (rows(1, -10), rows(1, -10), True),
        (rows(1, -10), rows(1.0009, -10), True),
        (rows(1, -10), rows(1.0011, -10), False),
        (rows(1, -10), rows(1, -10.0011), False),
        (rows(0, 0), rows(0, 0), True),
        (rows(0, 0), rows(0, 1e-6), False),
        (rows(), rows(), True),
        (rows(1), rows(1, 1), False),
        (rows(1), rows(np.nan), False),
    ],
)
def test_a_ten_thousandth_of_the_largest_value_is_the_same(
    before: Output, after: Output, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if same:
        first, second = moved([], before, after, monkeypatch)
        assert first == second == {}
    else:
        with pytest.raises(InputError, match="computes something else for iOS18: use a precision that iOS16 runs"):
            moved([], before, after, monkeypatch)


def test_inputs_are_random_in_the_range_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"RGB": "image", "BGR": "image", "GRAYSCALE": "image", "GRAYSCALE_FLOAT16": "image", "FLOAT32": "array", "INT32": "array"}
    features = [Feature(dtype, kind, dtype, ShapeRule((64, 96))) for dtype, kind in kinds.items()]  # type: ignore[arg-type]
    inputs, again = moved(features, rows(1), rows(1), monkeypatch)
    assert inputs is again
    for dtype, value in inputs.items():
        assert value.shape == ((64, 96, 3) if dtype in ("RGB", "BGR") else (64, 96))
        if dtype in ("RGB", "BGR", "GRAYSCALE"):
            assert (value.dtype, value.min(), value.max()) == (np.uint8, 0, 255)
        elif dtype == "INT32":
            assert value.dtype == np.int32 and not value.any()
        else:
            assert value.dtype == np.float32 and 0 <= value.min() < 0.01 and 0.99 < value.max() <= 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FloatPackage]:
    """A package of one array in and one out, of these weights and operators."""

    def run(stored: tuple[str, ...] = ("fp16",), ops: tuple[str, ...] = ("conv",), config: Path | None = None) -> FloatPackage:
        specification = Model_pb2.Model(specificationVersion=7)
        specification.mlProgram.functions["main"].SetInParent()
        for feature, shape in (
            (specification.description.input.add(), (1, 3, 64, 96)),
            (specification.description.output.add(), (1, 1, 8, 8)),
        ):
            feature.name = f"{len(shape)}{shape[1]}"
            feature.type.multiArrayType.shape.extend(shape)
            feature.type.multiArrayType.dataType = 65568
        model = SimpleNamespace(user_defined_metadata={"theirs": "a"})
        monkeypatch.setattr(module, "read_specification", lambda path: (specification, None))
        monkeypatch.setattr(module, "read_weights", lambda model: (weights(*stored), None))
        monkeypatch.setattr(module, "operations", lambda model: [SimpleNamespace(op_type=kind) for kind in ops])
        monkeypatch.setattr(module, "package_hash", lambda path: "ab")
        monkeypatch.setattr(ct.models, "MLModel", lambda path, skip_model_load: model if skip_model_load else pytest.fail("it was loaded"))
        return open_float_package(PATH, config)

    return run


@pytest.mark.parametrize(
    ("stored", "ops", "said"),
    [
        ((), ("conv",), "has no weights of two axes"),
        (("fp16", "int8", "int8"), ("conv",), r"compressed already \(int8: 2, fp16: 1 weights; 'w1' is int8\)"),
        (("fp16",), ("conv", "quantize"), "has int8 activations already"),
        (("fp16",), ("dequantize", "conv"), "has int8 activations already"),
    ],
)
def test_what_is_not_float_is_refused(
    stored: tuple[str, ...], ops: tuple[str, ...], said: str, opened: Callable[..., FloatPackage]
) -> None:
    with pytest.raises(InputError, match=said):
        opened(stored, ops)


def test_a_contract_goes_into_the_metadata_and_says_how_a_picture_goes_in(opened: Callable[..., FloatPackage], tmp_path: Path) -> None:
    silent = opened()
    assert (silent.contract, silent.interface, silent.sha256, silent.model.user_defined_metadata) == (None, None, "ab", {"theirs": "a"})
    assert silent.problem and silent.picture_size is None
    assert ([each.name for each in silent.inputs], [each.name for each in silent.outputs]) == (["43"], ["41"])
    config = tmp_path / "own.toml"
    config.write_text('depth = "scale"\nmean = 0\nstd = 1\n')
    told = opened(config=config)
    assert told.contract == DepthContract("scale", mean=(0, 0, 0), std=(1, 1, 1))
    assert (told.problem, told.picture_size) == (None, (64, 96))
    assert told.model.user_defined_metadata[key("output_units")] == "up to scale" and told.model.user_defined_metadata["theirs"] == "a"
    config.write_text('depth = "scale"\n')
    with pytest.raises(InputError, match="say mean, std"):
        opened(config=config)


@pytest.mark.parametrize("name", ["net.onnx", "net", "net.mlpackage.zip"])
def test_other_files_are_no_package(name: str) -> None:
    with pytest.raises(InputError, match=r"is no \.mlpackage: give a float one"):
        open_float_package(Path(name))
