"""``fcrn-mobile export`` with compressed weights: what it prints, writes and refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from fcrn_mobile.cli.export import command
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import UP_TO_SCALE, Checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN

MIXED = """
precision = "palette4"

[[ops]]
match = "*depthwise*"
precision = "int8"

[[ops]]
match = "encoder__conv_stem_weight"
precision = "fp32"
"""


@pytest.fixture
def checkpoint(tiny_config, settle: Callable[[FCRN], FCRN], tmp_path: Path) -> Path:
    save_checkpoint(settle(FCRN(tiny_config)), tmp_path / "tiny.safetensors", {}, {})
    return tmp_path / "tiny.safetensors"


def test_it_says_what_became_of_every_weight(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed.toml").write_text(MIXED)
    out = tmp_path / "m.mlpackage"
    arguments = [str(checkpoint), "--recipe", str(tmp_path / "mixed.toml"), "--out", str(out), "--json", str(tmp_path / "m.json")]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    facts = json.loads((tmp_path / "m.json").read_text())
    ops = facts["weights"]["ops"]
    kinds = {kind: sum(op["stored"] == kind for op in ops) for kind in ("palette4", "int8", "fp16", "fp32")}
    assert facts["weights"]["summary"] == kinds
    assert sum(kinds.values()) == len(ops)
    assert f"weights: {', '.join(f'{kind}: {count} ops' for kind, count in facts['weights']['summary'].items())}" in result.output
    assert {op["stored"] for op in ops if "depthwise" in op["name"]} == {"int8"}
    assert [op["name"] for op in ops if op["stored"] == "fp32"] == ["encoder__conv_stem_weight"]
    assert facts["recipe"]["ops"][0] == {"match": ["*depthwise*"], "precision": "int8"}


@pytest.mark.parametrize(("training", "said"), [({}, "depth in metres"), ({"depth": UP_TO_SCALE}, "depth up to an unknown scale")])
def test_it_says_what_the_depth_is_in(training: dict[str, str], said: str, tiny_config, tmp_path: Path) -> None:
    save_checkpoint(FCRN(tiny_config), tmp_path / "c.safetensors", training, {})
    arguments = [str(tmp_path / "c.safetensors"), "--out", str(tmp_path / "c.onnx")]
    output = CliRunner().invoke(command, arguments, catch_exceptions=False).output
    assert f"output array, {said}\n" in output
    assert output.count("metre") == said.count("metre")


@pytest.mark.parametrize("precision", ["int4", "w8a8", "palette9"])
def test_a_short_name_that_cannot_be_exported_leaves_nothing(precision: str, checkpoint: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = CliRunner().invoke(command, [str(checkpoint), "--precision", precision, "--out", str(tmp_path / "m.mlpackage")])
    assert isinstance(result.exception, InputError)
    words = {"int4": "otherwise", "w8a8": "int8 activations, whose ranges are measured on images", "palette9": "palette8"}
    assert words[precision] in str(result.exception)
    assert "\n" not in str(result.exception)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("suffix", [".onnx", ".aimodel"])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"precision": "palette4"}, "'palette4' is not available"),
        ({"ops": [{"match": "*", "precision": "int8"}]}, r"asks for \[\[ops\]\], which only an \.mlpackage can have"),
        ({"activations": "int8"}, "asks for int8 activations, which only an .mlpackage can have"),
    ],
)
def test_other_artefacts_refuse_compression(suffix: str, settings: dict, words: str, tiny_config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        export(Checkpoint("tiny", FCRN(tiny_config).eval()), make_recipe(settings, "test"), tmp_path / f"m{suffix}")
    assert not any(tmp_path.iterdir())
