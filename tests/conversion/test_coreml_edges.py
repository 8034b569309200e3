"""What coremltools is asked for, with its converter replaced."""

from typing import Any

import pytest
from torch import nn

from fcrn_mobile.conversion import coreml
from fcrn_mobile.conversion.coreml import convert, float_model
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.network.float_network import ContractedNetwork
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
        with pytest.raises(
            coreml.InputError, match=r"neither way leads to Core ML \(first: .*something else\): write that part with other"
        ):
            float_model(network, SIZE, Recipe())
        assert calls == [frozenset()]
