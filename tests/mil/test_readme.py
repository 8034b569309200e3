from pathlib import Path

from fcrn_mobile.mil import ops


def operator_table() -> str:
    """The coverage table of the folder's README, from the code."""
    families: dict[str, list[str]] = {}
    for kind, function in ops.OPERATORS.items():
        families.setdefault(function.__module__.rsplit(".", 1)[-1], []).append(kind)
    rows = [f"| {family} | {', '.join(f'`{kind}`' for kind in sorted(kinds))} |" for family, kinds in sorted(families.items())]
    return "\n".join(["| family | operators |", "|---|---|", *rows])


def test_the_readme_lists_the_operators_that_exist() -> None:
    readme = (Path(ops.__file__).parents[1] / "README.md").read_text()
    assert operator_table() in readme, f"paste this:\n{operator_table()}"
