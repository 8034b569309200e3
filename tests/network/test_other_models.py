"""Files that are models but no float network are told what they are and who takes them."""

from pathlib import Path

import pytest
from click import Context
from click.testing import CliRunner

from fcrn_mobile.cli.main import main
from fcrn_mobile.network.other_models import not_a_network

COMMANDS = {
    "export": lambda file: ["export", file, "--out", "out.mlpackage"],
    "import": lambda file: ["import", file, "--out", "out.safetensors"],
    "train": lambda file: ["train", "--data", "sample", "--resume", file, "--out", "run"],
}

_KINDS = [(".mlmodel", "Core ML"), (".mlpackage", "Core ML"), (".onnx", "ONNX")]


@pytest.mark.parametrize(
    ("suffix", "kind", "command"),
    [
        *((suffix, kind, command) for suffix, kind in _KINDS for command in sorted(COMMANDS)),
        *((".pt2", "torch.export", command) for command in ("import", "train")),
    ],
)
def test_every_command_that_wants_weights_says_what_a_model_is(
    command: str, suffix: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"depth{suffix}").write_bytes(b"\x08\x04")
    message = str(CliRunner().invoke(main, COMMANDS[command](f"depth{suffix}")).exception)
    assert message.startswith(f"'depth{suffix}' is a")
    assert f"{kind} " in message or message.split(",")[0].endswith(kind)
    assert "no checkpoint of a float network: give" in message


@pytest.mark.parametrize("suffix", [".mlmodel", ".mlpackage", ".onnx", ".aimodel", ".pt2"])
def test_the_commands_that_it_names_are_there(suffix: str) -> None:
    text = not_a_network(f"x{suffix}")
    assert text is not None
    named = text.split("which ")[1].split(" take")[0].replace(" and ", ", ").split(", ")
    assert set(named) <= set(main.list_commands(Context(main)))


def test_other_names_say_nothing() -> None:
    assert not_a_network("x.safetensors") is None
    assert not_a_network("builtin") is None
