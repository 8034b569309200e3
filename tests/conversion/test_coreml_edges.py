"""What coremltools is asked for, with its converter replaced."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from coremltools.proto import Model_pb2
from torch import Tensor, nn

from fcrn_mobile.conversion import coreml
from fcrn_mobile.conversion.capture import TRACE
from fcrn_mobile.conversion.coreml import convert, describe, equalised, float_model, prepared, write_coreml
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.float_network import ContractedNetwork
from fcrn_mobile.package.errors import MilError
from tests.mil.build import ct

SIZE, SIZES = (64, 96), ((64, 96), (96, 64), (64, 128))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of ``ct.convert``."""
    arguments: dict[str, Any] = {}
    monkeypatch.setattr(ct, "convert", lambda graph, **others: arguments.update(others, graph=graph))
    return arguments


def test_every_size_is_asked_for_and_the_first_by_default(asked: dict[str, Any]) -> None:
    convert("graph", SIZE, Recipe(input_sizes=SIZES))  # type: ignore[arg-type]
    (picture,) = asked["inputs"]
    assert sorted(tuple(shape.shape) for shape in picture.shape.shapes) == sorted((1, 3, *size) for size in SIZES)
    assert tuple(picture.shape.default) == (1, 3, *SIZE)


@pytest.mark.parametrize("output", ["image", "array"])
def test_a_picture_goes_in_and_depth_comes_out(output: str, asked: dict[str, Any]) -> None:
    convert("graph", SIZE, Recipe(output=output, target="iOS17"), frozenset({"common::fuse_elementwise_to_batchnorm"}))  # type: ignore[arg-type]
    (picture,), (depth,) = asked["inputs"], asked["outputs"]
    assert (picture.name, tuple(picture.shape.shape), picture.color_layout) == ("image", (1, 3, *SIZE), ct.colorlayout.RGB)
    assert (depth.name, type(depth)) == ("depth", ct.ImageType if output == "image" else ct.TensorType)
    assert output == "array" or depth.color_layout == ct.colorlayout.GRAYSCALE_FLOAT16
    assert (asked["graph"], asked["convert_to"], asked["skip_model_load"]) == ("graph", "mlprogram", True)
    assert (asked["minimum_deployment_target"], asked["compute_precision"]) == (ct.target.iOS17, ct.precision.FLOAT16)
    assert "common::fuse_elementwise_to_batchnorm" not in asked["pass_pipeline"].passes


@pytest.mark.parametrize(
    ("message", "again"),
    [
        ('Op "x" (op_type: add) doesn\'t have compatible subtype', True),
        ('Op "batchnorm_0" of type batch_norm has a wrong shape', True),
        ("something else", False),
    ],
)
def test_a_failed_batch_norm_is_tried_without_its_pass(message: str, again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[frozenset[str]] = []

    def converter(graph: str, size: Any, recipe: Recipe, without: frozenset[str] = frozenset()) -> str:
        calls.append(without)
        if not without:
            raise ValueError(message)
        return "model"

    monkeypatch.setattr(coreml, "convert", converter)
    monkeypatch.setattr(coreml, "CAPTURES", {"first": lambda network, size: "graph"})
    network = ContractedNetwork(nn.Identity(), DepthContract())
    if again:
        assert float_model(network, SIZE, Recipe()) == ("model", "first")
        assert calls == [frozenset(), coreml.FAILING_PASSES]
    else:
        with pytest.raises(InputError, match=r"neither way leads to Core ML \(first: .*something else\): write that part with other"):
            float_model(network, SIZE, Recipe())
        assert calls == [frozenset()]


def refused(error: Exception) -> Callable[..., Any]:
    def capture(*_: Any) -> Any:
        raise error

    return capture


CONTRACTED = ContractedNetwork(nn.Identity(), DepthContract())


def test_a_network_of_ours_is_traced_for_all_its_sizes_and_one_from_outside_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreml, "convert", lambda *asked: asked)
    monkeypatch.setattr(coreml, "trace", lambda network, size: ("traced", size))
    monkeypatch.setattr(coreml, "CAPTURES", {"own": lambda network, size: "graph"})
    several = Recipe(name="many", input_sizes=SIZES)
    assert float_model(nn.Identity(), SIZE, several) == ((("traced", SIZE), SIZE, several), TRACE)
    assert float_model(CONTRACTED, SIZE, Recipe()) == (("graph", SIZE, Recipe()), "own")
    with pytest.raises(InputError, match="recipe 'many' has input_sizes; a network from outside is fixed to one"):
        float_model(CONTRACTED, SIZE, several)


@pytest.mark.parametrize("error", [InputError("no"), OSError("no"), MemoryError("no")])
def test_what_no_other_way_can_help_is_raised_at_once(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreml, "CAPTURES", {"first": refused(error), "second": lambda *_: pytest.fail("it was tried")})
    with pytest.raises(type(error), match=r"^no$"):
        float_model(CONTRACTED, SIZE, Recipe())


def test_the_second_way_is_taken_where_the_first_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreml, "CAPTURES", {"first": refused(RuntimeError("no")), "second": lambda *_: "graph"})
    monkeypatch.setattr(coreml, "convert", lambda *asked: asked[0])
    assert float_model(CONTRACTED, SIZE, Recipe()) == ("graph", "second")


@pytest.mark.parametrize("bicubic", [0, 1])
def test_a_remedy_of_either_way_is_told_and_what_a_library_says_is_cut(bicubic: int, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [KeyError(), RuntimeError("upsample_bicubic2d " + 150 * "x")]
    names = ["first", "second"][:: 1 if bicubic else -1]
    monkeypatch.setattr(coreml, "CAPTURES", dict(zip(names, map(refused, errors), strict=True)))
    with pytest.raises(InputError, match=r"write mode='bilinear' there$") as caught:
        float_model(CONTRACTED, SIZE, Recipe())
    assert f"{names[0]}: KeyError" in str(caught.value)
    assert f"{names[1]}: upsample_bicubic2d {101 * 'x'}" in str(caught.value) and 102 * "x" not in str(caught.value)


class Doubled(nn.Module):
    """The blue of a picture, twice."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 2:3] * 2


def written(
    network: nn.Module,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    depth: Callable[[np.ndarray], Any] | None = None,
    learned: Any = None,
) -> Any:
    """The package that is made of a network, whose program gives some depth of a picture; each step notes itself."""

    def predict(inputs: dict[str, np.ndarray]) -> dict[str, Any]:
        return {"far": depth(inputs["photo"]) if depth else pytest.fail("it was compared")}

    program = SimpleNamespace(inputs=[SimpleNamespace(name="photo")], outputs=[SimpleNamespace(name="far")], predict=predict)
    package = SimpleNamespace(user_defined_metadata={}, steps=[], save=lambda path: package.steps.append(f"saved {path}"))
    replaced: dict[str, Any] = {
        "prepared": lambda network, recipe: network,
        "float_model": lambda network, size, recipe: (f"model of {size}", "by hand"),
        "as_program": lambda model: program,
        "equalised": lambda model, network, recipe: f"equal {model}",
        "compressed": lambda *asked: package.steps.append(asked) or package,
        "register_learned": lambda network, told: package.steps.append(told),
        "check_stored": lambda model, told: package.steps.append((model, told)) or package,
        "describe": lambda model, conversion: package.steps.append("described"),
    }
    for name, value in replaced.items():
        monkeypatch.setattr(coreml, name, value)
    conversion = SimpleNamespace(
        checkpoint=SimpleNamespace(quantization=learned), recipe=recipe, images="images", network=network, size=SIZE, errors=nullcontext()
    )
    write_coreml(conversion, Path("net.mlpackage"), "step")  # type: ignore[arg-type]
    return package


def test_the_steps_of_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, model = Recipe(), f"equal model of {SIZE}"
    package = written(Doubled(), recipe, monkeypatch)
    assert package.steps == [(model, recipe, "images", "step"), "described", "saved net.mlpackage"]
    assert package.user_defined_metadata == {}
    package = written(CONTRACTED, recipe, monkeypatch, learned="learned")
    assert package.steps == ["learned", (model, "learned"), "described", "saved net.mlpackage"]
    assert package.user_defined_metadata == {"fcrn_mobile.graph": "by hand"}


def blue(image: np.ndarray) -> np.ndarray:
    return image[..., 2].astype(np.float32) * 2


def raises(error: Exception) -> np.ndarray:
    raise error


@pytest.mark.parametrize(
    ("depth", "same"),
    [
        (blue, True),
        (lambda image: blue(image)[None, None], True),
        (lambda image: blue(image) * 1.019, True),
        (lambda image: blue(image) * 0.981, True),
        (lambda image: blue(image) * 1.021, False),
        (lambda image: blue(image) * 0.979, False),
        (lambda image: np.where(np.arange(len(image))[:, None] < 2, np.nan, blue(image)), False),
        (lambda image: blue(image)[:, 1:], False),
        (lambda image: raises(MilError("shapes differ")), False),
    ],
)
def test_every_size_gives_what_the_network_gives(depth: Callable, same: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, second = Recipe(name="many", input_sizes=SIZES), SIZES[1]

    def told(image: np.ndarray) -> np.ndarray:
        assert image.shape[:2] in SIZES and image.max() == 255 and image.min() == 0
        return depth(image) if image.shape[:2] == second else blue(image)

    if same:
        assert written(Doubled(), recipe, monkeypatch, told).steps[-1] == "saved net.mlpackage"
    else:
        with pytest.raises(InputError, match="recipe 'many': traced at 64×96, the network gives something else at 96×64"):
            written(Doubled(), recipe, monkeypatch, told)


def test_a_network_that_gives_nought_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nought(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1] * 0

    recipe = Recipe(input_sizes=SIZES)
    assert written(Nought(), recipe, monkeypatch, lambda image: 0 * blue(image)).steps[-1] == "saved net.mlpackage"
    with pytest.raises(InputError, match="gives something else"):
        written(Nought(), recipe, monkeypatch, lambda image: 0 * blue(image) + 1)


def test_another_fault_of_a_program_is_not_one_of_its_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        written(Doubled(), Recipe(input_sizes=SIZES), monkeypatch, lambda image: raises(ZeroDivisionError()))


@pytest.mark.parametrize("equalises", [False, True])
def test_a_network_of_ours_is_equalised_before_its_conversion_and_others_after_it(equalises: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe({"precision": "int8", "correct": {"equalise": equalises, "bias": True}}, "test")
    monkeypatch.setattr(coreml, "equalise_program", lambda model, recipe: f"equal {model}")
    monkeypatch.setattr(coreml, "equalise", lambda network, recipe: "equal")
    ours: Any = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))
    model: Any = "model"
    assert (prepared(ours, recipe) == "equal") == equalises
    assert prepared(CONTRACTED, recipe) is CONTRACTED
    assert equalised(model, ours, recipe) == "model"
    assert equalised(model, CONTRACTED, recipe) == ("equal model" if equalises else "model")


@pytest.mark.parametrize("open_size", [False, True])
@pytest.mark.parametrize("picture", [False, True])
def test_a_package_says_its_sizes_as_far_as_they_are_fixed(open_size: bool, picture: bool) -> None:
    specification = Model_pb2.Model()
    kind = specification.description.output.add(name="depth").type
    if picture:
        kind.imageType.height, kind.imageType.width = 24, 32
        if open_size:
            kind.imageType.imageSizeRange.widthRange.lowerBound = 8
    else:
        kind.multiArrayType.shape.extend([] if open_size else [1, 1, 24, 32])
    model: Any = SimpleNamespace(get_spec=lambda: specification, input_description={}, output_description={}, user_defined_metadata={})
    conversion: Any = SimpleNamespace(
        checkpoint=SimpleNamespace(kind="net"), recipe=Recipe(input_sizes=SIZES), size=SIZE, in_units="in metres", metadata={}
    )
    describe(model, conversion)
    size = "of a size that follows the photo's" if open_size else "24×32 pixels (height × width)"
    assert model.output_description["depth"].startswith(f"Depth in metres, {size}, as ")
    assert model.input_description["image"] == "RGB photo, 64×96 or 96×64 or 64×128 pixels (height × width)."
