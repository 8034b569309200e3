"""``fcrn-mobile export`` with compressed weights: what it prints, writes and refuses."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from fcrn_mobile.cli.export import command
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import UP_TO_SCALE, TrainingRecord
from fcrn_mobile.training.quantization import QuantizationAware
from tests.journeys.command import call, refused  # noqa: F401 - a fixture

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
    save_checkpoint(settle(FCRN(tiny_config)), tmp_path / "tiny.safetensors")
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


@pytest.mark.parametrize(("training", "said"), [({}, "depth in metres"), ({"depth": UP_TO_SCALE}, "depth up to a scale")])
def test_it_says_what_the_depth_is_in(training: dict[str, str], said: str, tiny_config, tmp_path: Path) -> None:
    save_checkpoint(FCRN(tiny_config), tmp_path / "c.safetensors", TrainingRecord.from_json(training))
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


@pytest.fixture
def small(settle: Callable[[FCRN], FCRN], tmp_path: Path) -> Path:
    """A checkpoint that is corrected in a second, in a folder whose name a shell would take apart, depth around 3 m."""
    network = settle(FCRN(preset("fcrn-plain", widths=(16, 16, 8, 8), input_size=(32, 48))))
    with torch.no_grad():
        network.head.weight *= 0.3 / network(torch.rand(1, 3, 32, 48)).std()
        network.head.bias.fill_(3.0)
    (tmp_path / "my runs").mkdir()
    save_checkpoint(network, tmp_path / "my runs" / "small.safetensors", TrainingRecord(data="folder:mine"))
    return Path("my runs/small.safetensors")


def next_words(output: str) -> list[str]:
    """The command after ``next:`` as a shell takes it apart, without the program's name."""
    (line,) = (line for line in output.splitlines() if line.startswith("next: "))
    return shlex.split(line.removeprefix("next: "))[1:]


def test_compressed_weights_are_corrected_on_the_sample_unless_told_otherwise(call, small: Path) -> None:  # noqa: F811
    corrected = call("export", str(small), "--precision", "int8", "--out", "a b.mlpackage", "--json", "a.json")
    assert corrected.returncode == 0, corrected.stderr
    said = "corrected on 20 images of sample#train, seed 0"
    assert f"\n{said}\nwarning: that is the built-in sample, 'small' was trained on folder:mine" in corrected.stdout
    facts = json.loads(Path("a.json").read_text())
    assert facts["notes"][0] == said
    assert facts["recipe"]["calibration"] | {"data": "sample#train", "images": 20, "seed": 0} == facts["recipe"]["calibration"]

    seen = call("validate", str(small), "a b.mlpackage", "--data", "sample")
    refused(seen, "is one of the calibration images", "sample#val")
    words = next_words(corrected.stdout)
    assert words[-2:] == ["--data", "sample#val"]
    better = call(*words, "--json", "-")
    assert better.returncode == 0, better.stderr

    plain = call("export", str(small), "--precision", "int8", "--no-correct", "--out", "b.mlpackage")
    assert plain.returncode == 0, plain.stderr
    assert "\nweights not corrected (--no-correct)\n" in plain.stdout
    words = next_words(plain.stdout)
    assert words[-1] == "sample"
    words[-1] = "sample#val"
    worse = call(*words, "--json", "-")
    drifts = [json.loads(each.stdout)["candidates"][0]["fidelity"]["abs_rel"] for each in (better, worse)]
    assert 0 < drifts[0] < 0.8 * drifts[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--precision", "int8", "--no-correct", "--calibration", "sample"],
            "--no-correct leaves nothing that looks at --calibration sample",
        ),
        (["--json", "nowhere/a.json"], "no folder 'nowhere' for --json 'a.json'"),
        (["--json", "my runs"], "--json 'my runs' is a folder"),
        (["--out", "nowhere/a.mlpackage"], "no folder 'nowhere'"),
        (["--out", "small.txt"], "ends in '.txt'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(call, small: Path, words, message, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("fcrn_mobile.conversion.coreml.trace", lambda *_: pytest.fail("converted"))
    out = [] if "--out" in words else ["--out", "a.mlpackage"]
    refused(call("export", str(small), *words, *out), message)


class Quantized:
    """A checkpoint on the grid of int4, by its folder, and the float one that it started from."""

    def __init__(self, folder: Path, start: Path) -> None:
        aware = QuantizationAware(load_checkpoint(str(start)).network, "int4")
        self.path = folder / "best.safetensors"
        save_checkpoint(aware.finished(), self.path, TrainingRecord(start=start.name), quantization=aware.quantization())


@pytest.mark.parametrize("words", [["--precision", "int4"], []])
def test_a_learned_quantization_is_exported_by_its_short_name_and_held_to_the_float_network(call, small, words, tmp_path) -> None:  # noqa: F811
    (tmp_path / "run").mkdir()
    quantized = Quantized(tmp_path / "run", tmp_path / small)
    made = call("export", "run/best.safetensors", *words, "--out", "a.mlpackage")
    assert made.returncode == 0, made.stderr
    assert "int4: " in made.stdout and "corrected" not in made.stdout
    assert next_words(made.stdout)[1] == "FLOAT"
    assert "(FLOAT: the float checkpoint 'small.safetensors' that this one was trained from)" in made.stdout
    # A run's folder says where that is.
    (quantized.path.parent / "run.json").write_text(json.dumps({"start": str(small)}))
    again = call("export", "run/best.safetensors", *words, "--out", "a.mlpackage", "--force")
    assert next_words(again.stdout) == ["validate", str(small), "a.mlpackage", "--data", "sample"]
    held = call(*next_words(again.stdout), "--json", "-")
    assert held.returncode == 0, held.stderr
    assert json.loads(held.stdout)["reference"]["name"] == "small"


@pytest.mark.parametrize("out", ["a.mlpackage", "a.onnx"])
def test_a_library_that_fails_is_one_line(call, small: Path, out: str, monkeypatch, tmp_path) -> None:  # noqa: F811
    def fail(*arguments: object, **options: object) -> None:
        raise ValueError("Op 'conv' failed:\n" + "graph\n" * 100)

    monkeypatch.setattr("coremltools.convert", fail)
    monkeypatch.setattr("torch.onnx.export", fail)
    result = call("export", str(small), "--out", out)
    refused(result, "'small' cannot be converted with recipe", "ValueError: Op 'conv' failed:)", "--debug")
    assert len(result.stderr) < 400
    assert not (tmp_path / out).exists()
