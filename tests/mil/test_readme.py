from pathlib import Path

from fcrn_mobile.mil import ops
from fcrn_mobile.quiet import quiet_coremltools

#: Not operators: constants.
_NO_OPERATORS = {"const", "_const_symbolic"}


def coverage() -> str:
    """The operator section of the folder's README, from the code and from coremltools' registry."""
    with quiet_coremltools():
        from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
    known = set(SSAOpRegistry.core_ops) - _NO_OPERATORS
    rows = [
        f"| `{family.__name__.rsplit('.', 1)[-1]}` | {', '.join(f'`{kind}`' for kind in sorted(family.OPERATORS))} |"
        for family in ops.FAMILIES
    ]
    lines = [f"All {len(known)} operators that coremltools 9.0 knows, in every version from iOS 15 to iOS 18 (held by a test).", ""]
    lines += ["| family | operators |", "|---|---|", *rows]
    return "\n".join(lines)


def test_the_readme_lists_the_operators_that_exist() -> None:
    readme = (Path(ops.__file__).parents[1] / "README.md").read_text()
    assert coverage() in readme, f"paste this:\n{coverage()}"
