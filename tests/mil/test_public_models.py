"""The table of public models: what runs, what is refused and why, copies left out."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from public_models import main

from .build import mb, save_program


def test_a_row_says_what_a_model_gave_or_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = save_program(tmp_path, lambda x0: mb.mul(x=mb.add(x=x0, y=1.0), y=0.0, name="nothing"), [np.zeros((2, 3), np.float32)])
    for name in ("some+one/models", "any+one"):
        shutil.copytree(made, tmp_path / "fetched" / name / "net.mlpackage")
    (tmp_path / "fetched" / "any+one" / "broken.mlmodel").write_bytes(b"damaged")
    monkeypatch.setattr("sys.argv", ["public_models.py", str(tmp_path / "fetched")])
    main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 2
    assert rows[0].startswith("| any/one | broken.mlmodel | ? | refused: 'broken.mlmodel' ")
    assert rows[1] == "| any/one | net.mlpackage | mlProgram | `nothing` float32 2×3 from 0 to 0 |  |  |"
