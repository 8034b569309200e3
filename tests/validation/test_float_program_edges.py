"""What a reference may be, without converting or reading one."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.package.metadata import key
from fcrn_mobile.validation import float_program as module
from fcrn_mobile.validation.float_program import float_program
from tests.validation.programs import depth_program, grey


def made_with(correct: dict[str, bool] | None) -> DepthProgram:
    program = depth_program(grey())
    settings = {"precision": "int8"} | ({} if correct is None else {"correct": correct})
    program.metadata[key("recipe")] = json.dumps(settings)
    return program


@pytest.mark.parametrize("reference", ["net.xyz", "net", "other"])
def test_other_files_and_names_are_no_reference(reference: str) -> None:
    with pytest.raises(InputError, match=f"operators of reference '{reference}' cannot be compared: give 'builtin', "):
        float_program(reference, depth_program(grey()))


@pytest.mark.parametrize("reference", ["builtin", "net.safetensors"])
def test_a_quantized_checkpoint_is_refused_whatever_it_is_called(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = SimpleNamespace(quantization=SimpleNamespace(settings={"precision": "int4"}))
    monkeypatch.setattr(module, "open_network", lambda name: trained if name == reference else None)
    with pytest.raises(InputError, match=f"reference '{reference}' was trained as int4"):
        float_program(reference, made_with(None))


@pytest.mark.parametrize("recipe", ["{", "[1]", "3"])
def test_a_recipe_that_cannot_be_read_is_named(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = made_with(None)
    candidate.metadata[key("recipe")] = recipe
    with pytest.raises(InputError, match="the recipe in the package's metadata cannot be read"):
        float_program("builtin", candidate)


@pytest.mark.parametrize("equalised", [False, True])
@pytest.mark.parametrize("source", [None, "0" * 64])
def test_what_was_equalised_as_a_package_is_not_held_against_a_network(
    equalised: bool, source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = made_with({"equalise": equalised, "bias": True})
    candidate.metadata.update({key("source_sha256"): source} if source else {})
    network = SimpleNamespace(quantization=None, contract=DepthContract("scale", framing="crop"))
    monkeypatch.setattr(module, "open_network", lambda name: network)
    monkeypatch.setattr(module, "deployed", lambda network, recipe: ("deployed", network))
    monkeypatch.setattr(module, "prepared", lambda network, recipe: ("prepared", network))
    monkeypatch.setattr(module, "float_model", lambda network, size, recipe: [(network, size, recipe.precision, recipe.output)])
    monkeypatch.setattr(module, "equalised", lambda model, network, recipe: (model, recipe.equalises))
    monkeypatch.setattr(module, "as_program", lambda made: replace(depth_program(grey()), metadata={"made": made}))
    if equalised and source:
        with pytest.raises(InputError, match=r"equalised as a package, not as 'builtin': give the \.mlpackage"):
            float_program("builtin", candidate)
    else:
        result = float_program("builtin", candidate)
        assert result.metadata["made"] == ((("prepared", ("deployed", network)), (4, 6), "fp32", "array"), equalised)
        assert isinstance(result, DepthProgram) and result.contract == DepthContract("scale", framing="crop")


#: As a package of each kind says it; whether its network was equalised.
MADE: list[tuple[dict[str, bool] | None, bool]] = [(None, False), ({"equalise": False, "bias": True}, False), ({"equalise": True}, True)]


@pytest.mark.parametrize(("ours", "equalised"), MADE)
@pytest.mark.parametrize(("theirs", "too"), MADE)
def test_of_two_packages_both_or_none_are_equalised(
    ours: Any, equalised: bool, theirs: Any, too: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = made_with(ours)
    monkeypatch.setattr(DepthProgram, "load", lambda path, **_: reference if str(path) == "net.mlpackage" else None)
    if equalised == too:
        assert float_program("net.mlpackage", made_with(theirs)) is reference
    else:
        with pytest.raises(InputError, match="only one was equalised"):
            float_program("net.mlpackage", made_with(theirs))


@pytest.mark.parametrize(("ours", "equalised"), MADE)
@pytest.mark.parametrize(("theirs", "too"), MADE)
def test_a_package_is_equalised_as_what_was_compressed_from_it(
    ours: Any, equalised: bool, theirs: Any, too: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, candidate = made_with(ours), made_with(theirs)
    candidate.metadata[key("source_sha256")] = "0" * 64
    monkeypatch.setattr(DepthProgram, "load", lambda path, **_: reference)
    monkeypatch.setattr(module, "open_float_package", lambda path, config: SimpleNamespace(model=path.name))
    monkeypatch.setattr(module, "equalise_program", lambda model, recipe: (model, recipe.equalises))
    monkeypatch.setattr(module, "as_program", lambda model: model)
    if equalised and not too:
        with pytest.raises(InputError, match="only one was equalised"):
            float_program("net.mlpackage", candidate)
    else:
        expected: Any = ("net.mlpackage", True) if too and not equalised else reference
        assert float_program("net.mlpackage", candidate) == expected
