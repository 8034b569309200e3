from pathlib import Path

from fcrn_mobile.mil import ops
from fcrn_mobile.mil.traits import SOURCES, TRAITS
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


def traits() -> str:
    """Its table of the Neural Engine's traits."""
    rows = []
    for trait in TRAITS.values():
        links = ", ".join(f"[{SOURCES[key].name}]({SOURCES[key].url})" for key in trait.sources)
        rows.append(f"| `{trait.name}` | {trait.text} | {trait.chips} | {links} |")
    return "\n".join(["| trait | what happens | seen on | source |", "|---|---|---|---|", *rows])


def test_the_readme_lists_the_traits_that_are_followed() -> None:
    readme = (Path(ops.__file__).parents[1] / "README.md").read_text()
    assert f"{traits()}\n\n" in readme, f"paste this:\n{traits()}"


def test_the_readme_lists_the_operators_that_exist() -> None:
    readme = (Path(ops.__file__).parents[1] / "README.md").read_text()
    assert coverage() in readme, f"paste this:\n{coverage()}"
