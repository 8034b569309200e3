"""The package at the repository's root, by which other apps take DepthCore and DepthVision."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = (ROOT / "Package.swift").read_text()
CORE = ROOT / "ios_demo/DepthCore/Sources/DepthCore"


def vision() -> list[Path]:
    """Sources of DepthVision, as the manifest lists them."""
    (listed,) = re.findall(r'path: "ios_demo/DepthDemo",.*?sources: \[(.*?)\]', MANIFEST, re.DOTALL)
    return [ROOT / "ios_demo/DepthDemo" / name for name in re.findall(r'"(.*?)"', listed)]


def undocumented(source: str) -> list[str]:
    """Public declarations without a comment for documentation, but for extensions, which declare nothing."""
    lines = source.splitlines()
    missing = []
    for index, line in enumerate(lines):
        if re.match(r"\s*public (?!extension\b)", line):
            before = [earlier.strip() for earlier in lines[:index] if not earlier.strip().startswith("@")]
            missing += [] if before and before[-1].startswith("///") else [line.strip()]
    return missing


def test_the_package_has_two_libraries_for_stated_systems_and_nothing_to_run() -> None:
    assert re.findall(r'\.library\(name: "(\w+)"', MANIFEST) == ["DepthCore", "DepthVision"]
    assert ".iOS(.v17), .macOS(.v14)" in MANIFEST
    assert "executable" not in MANIFEST
    deployment = (ROOT / "ios_demo/Config/Project.xcconfig").read_text()
    assert "IPHONEOS_DEPLOYMENT_TARGET = 17.0" in deployment


def test_its_sources_are_there_and_what_the_checks_compile() -> None:
    assert CORE.is_dir() and f'path: "{CORE.relative_to(ROOT)}"' in MANIFEST
    assert len(vision()) == 4
    compiled = (ROOT / "ios_demo/scripts/test_app.sh").read_text()
    for source in vision():
        assert source.is_file()
        assert source.stem in compiled
        # It stands alone: nothing of the demo is imported, and what others call is public.
        assert set(re.findall(r"^import (\w+)", source.read_text(), re.MULTILINE)) <= {
            "CoreML",
            "CoreVideo",
            "DepthCore",
            "Foundation",
            "Vision",
        }


@pytest.mark.parametrize("source", [*sorted(CORE.glob("*.swift")), *vision()], ids=lambda path: path.name)
def test_every_public_declaration_says_what_it_is(source: Path) -> None:
    assert undocumented(source.read_text()) == []


def test_the_search_finds_what_has_no_comment() -> None:
    source = "public struct A {\n  /// Of a row.\n  public let width: Int\n  // No documentation.\n  public func g() {}\n}\n"
    assert undocumented(source) == ["public struct A {", "public func g() {}"]
    assert undocumented("/// Said.\n@frozen\npublic struct A {}\nextension A {}\n") == []


def test_the_catalogue_names_what_there_is() -> None:
    catalogue = (CORE / "DepthCore.docc/DepthCore.md").read_text()
    sources = "\n".join(path.read_text() for path in CORE.glob("*.swift"))
    names = re.findall(r"^- ``(\w+)``", catalogue, re.MULTILINE)
    assert len(names) > 15
    for name in names:
        assert re.search(rf"public (final )?(struct|enum|class|protocol) {name}\b", sources), name
