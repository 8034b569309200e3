"""What answers at once does not wait for torch, which takes seconds to import."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from fcrn_mobile.cli.main import main
from fcrn_mobile.errors import InputError

for words in {words}:
    try:
        main.main(words, standalone_mode=False)
    except InputError:
        pass
heavy = [name for name in ("torch", "lightning", "coremltools", "matplotlib", "numpy", "onnx") if name in sys.modules]
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""


@pytest.mark.parametrize(
    "words",
    [
        [[command, "--help"] for command in ("train", "compare", "import")],
        [["train"], ["train", "--out", "run"], ["train", "--resume", ".", "--lr", "1"]],
    ],
    ids=["help", "nothing to train"],
)
def test_torch_is_not_imported_for(words: list[list[str]]) -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT.format(words=words)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
