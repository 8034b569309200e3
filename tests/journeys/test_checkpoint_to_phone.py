"""docs/tutorials/checkpoint-to-phone.md, executed as written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.journeys.page import perform, read_page


def test_the_page_does_what_it_says(tmp_path: Path, call: Callable[..., Any]) -> None:
    results = perform(read_page("tutorials/checkpoint-to-phone.md"), tmp_path, call)
    exported = results[1].stdout
    assert "next: fcrn-mobile validate builtin depth.mlpackage --data sample" in exported
    whole = "".join(result.stdout for result in results)
    assert "depth: budget fidelity=0.01 held" in whole
    assert "tiny: budget fidelity=0.05 BROKEN" in whole
    assert "remedy to try" in whole
    assert "mixed: budget fidelity=0.05 held" in whole
    assert sum("BROKEN" in result.stdout for result in results) == 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1 and 'src="http' not in page
    assert (tmp_path / "Models" / "mixed.mlpackage").is_dir()
