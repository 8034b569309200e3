"""What ``pip install fcrn-mobile`` has: no training and no drawing libraries."""

import subprocess
import sys
from pathlib import Path

from tests.project.small import save_small

#: Runs command lines one after the other, in a process in which a library that is not installed cannot be imported.
SCRIPT = """
import sys
for name in ("lightning", "pytorch_lightning", "torchmetrics", "tensorboard", "matplotlib"):
    sys.modules[name] = None
from fcrn_mobile.cli.main import run
for line in {lines}:
    sys.argv = ["fcrn-mobile", *line.split()]
    try:
        run()
        code = 0
    except SystemExit as stop:
        code = stop.code
    print("exit", code, flush=True)
    print("exit", code, file=sys.stderr, flush=True)
"""


def outcomes(lines: list[str], folder: Path) -> list[tuple[int, str]]:
    """Exit code and standard error of each line."""
    words = [sys.executable, "-c", SCRIPT.format(lines=lines)]
    error = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stderr
    ends = [text.strip() for text in error.split("exit ")]
    codes = [int(text.split("\n")[0]) for text in ends[1:]]
    texts = [ends[0], *(text.partition("\n")[2] for text in ends[1:-1])]
    return list(zip(codes, texts, strict=True))


def test_the_way_to_a_package_takes_neither_training_nor_drawing(tmp_path: Path) -> None:
    save_small(tmp_path / "net.safetensors")
    (tmp_path / "depth.toml").write_text(
        'data = "sample#val"\n[[models]]\nreference = "net.safetensors"\n[[models.artefacts]]\npath = "a.mlpackage"\n'
    )
    lines = [
        "export net.safetensors --recipe fp16 --out a.mlpackage",
        "validate net.safetensors a.mlpackage --data sample#val --junit j.xml --markdown m.md --json v.json",
        "validate net.safetensors a.mlpackage --data sample#val --budget fidelity=0.0002 --junit j.xml",
        "check",
        "evaluate a.mlpackage --data sample#val",
        "inspect a.mlpackage",
        "diagnose net.safetensors a.mlpackage --data sample#val --images 1",
        "recipes",
    ]
    (tmp_path / "depth-report").mkdir()
    (tmp_path / "depth-report/report.html").write_text("of an earlier run")
    assert [code for code, _ in outcomes(lines, tmp_path)] == [0, 0, 1, 0, 0, 0, 0, 0]
    assert sorted(path.name for path in (tmp_path / "depth-report").iterdir()) == ["junit.xml", "report.json", "report.md"]


def test_what_is_missing_is_named_before_any_work(tmp_path: Path) -> None:
    extras = {
        "validate builtin a.mlpackage --data sample --html page.html": "report",
        "diagnose builtin a.mlpackage --data sample --figure a.png": "report",
        "predict builtin a.png --out depth": "report",
        "demo": "report",
        "train --data sample --out run": "train",
    }
    for (code, error), (line, extra) in zip(outcomes(list(extras), tmp_path), extras.items(), strict=True):
        assert code == 2, line
        assert error.splitlines()[-1].endswith(f"pip install 'fcrn-mobile[{extra}]'"), line
    assert list(tmp_path.iterdir()) == []
