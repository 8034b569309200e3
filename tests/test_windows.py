"""What can be checked here of Windows, on which nothing of this has run: modules and constants that it lacks, its default encoding."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import fcrn_mobile

ROOT = Path(fcrn_mobile.__file__).parent

SCRIPT = """
import errno, importlib, os, pkgutil, sys
import torch, coremltools, onnxruntime, scipy.stats, scipy.io, h5py, lightning, matplotlib.figure, filelock, safetensors.torch
for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty"):
    sys.modules[name] = None
for name in ("EDQUOT",):
    delattr(errno, name)
for name in ("symlink", "fork", "getuid", "geteuid", "mkfifo", "link"):
    delattr(os, name)
import fcrn_mobile
for module in pkgutil.walk_packages(fcrn_mobile.__path__, "fcrn_mobile."):
    if module.name not in ("fcrn_mobile.__main__", "fcrn_mobile.training.mlflow_store"):
        importlib.import_module(module.name)
from fcrn_mobile.latency import worker
print(len(sys.modules))
"""


def test_every_module_is_imported_without_what_windows_lacks() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_text_is_read_and_written_as_utf_8_whatever_the_system_takes_for_granted() -> None:
    calls = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="read_text" | "write_text"), keywords=keywords):
                    if "encoding" not in {keyword.arg for keyword in keywords}:
                        calls.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert calls == []


def test_recipes_are_read_where_the_default_encoding_is_another(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "Tiefe – größer"\nprecision = "int8"\n', encoding="utf-8")
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    words = [sys.executable, "-m", "fcrn_mobile", "recipes", "mine.toml", "fp16"]
    result = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
