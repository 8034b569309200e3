"""What reads and gives int8, on programs of a few operators and on what the passes are told."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.conversion import activations
from fcrn_mobile.conversion.activations import quantize_activations, with_int8_activations
from fcrn_mobile.conversion.ranges import Range
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ("minmax", 99.99)),
        ({"calibration": {"data": "sample", "method": "percentile", "percentile": 98}}, ("percentile", 98)),
    ],
)
def test_ranges_are_measured_as_the_calibration_says(
    values: dict[str, Any], expected: tuple[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(activations, "as_program", lambda model: f"program of {model}")
    monkeypatch.setattr(activations, "measure_ranges", lambda *told: seen.append(told) or {"a": Range(0, 1)})
    monkeypatch.setattr(activations, "quantize_activations", lambda *told: told)
    recipe: Any = make_recipe({"precision": "w8a8", **values}, "test")
    images: Any = SimpleNamespace(images=["an image"])
    result: Any = with_int8_activations("compressed", "float", recipe, images, None)  # type: ignore[arg-type]
    assert result == ("compressed", {"a": Range(0, 1)}, recipe.quantizes_activations)
    assert seen == [("program of float", ["an image"], *expected, None)]


def half(body: Any) -> Any:
    """A program in half precision of an input x, 1×4×8×8."""
    with quiet_coremltools():
        program = Builder.program(input_specs=[Builder.TensorSpec((1, 4, 8, 8))], opset_version=ct.target.iOS17)(body)
        return ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)


def test_a_constant_addend_has_no_pair_and_that_is_no_fault() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 4, 1, 1)).astype(np.float32)

    def body(x: Any) -> Any:
        x = Builder.sin(x=x, name="wave")
        x = Builder.add(x=x, y=np.full((1, 4, 1, 1), 0.5, np.float32), name="more")
        return Builder.conv(x=x, weight=weight, name="y")

    ranges = {name: Range(-3, 3) for name in ("wave_cast_fp16", "more_cast_fp16", "y_cast_fp16")}
    with quiet_coremltools():
        made = quantize_activations(half(body), ranges, lambda names: True)
        block = made.get_spec().mlProgram.functions["main"].block_specializations["CoreML7"]
    kinds = [op.type for op in block.operations if op.type not in ("const", "cast")]
    assert kinds == ["sin", "add", "quantize", "dequantize", "conv", "quantize", "dequantize"]
