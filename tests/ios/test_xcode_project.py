import plistlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstep_parser import OpenStepDecoder

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"
PROJECT = IOS_DEMO / "DepthDemo.xcodeproj"
IDENTIFIER = re.compile(r"[0-9A-F]{24}")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (PROJECT / "project.pbxproj").open() as file:
        parsed: dict[str, Any] = OpenStepDecoder.ParseFromFile(file)
    return parsed


def of_kind(project: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item for item in project["objects"].values() if item["isa"] == kind]


def identifiers(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from identifiers(item)
    elif isinstance(value, list):
        for item in value:
            yield from identifiers(item)
    elif IDENTIFIER.fullmatch(str(value)):
        yield str(value)


def test_every_reference_leads_to_an_object_and_every_object_is_reached(project: dict[str, Any]) -> None:
    objects = project["objects"]
    referred = {project["rootObject"], *identifiers(objects)}
    assert referred == set(objects)


def test_folders_and_package_of_the_project_exist(project: dict[str, Any]) -> None:
    folders = [group["path"] for group in of_kind(project, "PBXFileSystemSynchronizedRootGroup")]
    assert sorted(folders) == ["DepthDemo", "Models"]
    assert all((IOS_DEMO / folder).is_dir() for folder in folders)
    (package,) = of_kind(project, "XCLocalSwiftPackageReference")
    (product,) = of_kind(project, "XCSwiftPackageProductDependency")
    manifest = (IOS_DEMO / package["relativePath"] / "Package.swift").read_text()
    assert f'.library(name: "{product["productName"]}"' in manifest


def test_the_app_is_built_by_the_rules_that_are_checked_here(project: dict[str, Any]) -> None:
    settings: dict[str, Any] = {}
    for configuration in of_kind(project, "XCBuildConfiguration"):
        for key, value in configuration["buildSettings"].items():
            assert settings.setdefault(key, value) == value or key in VARYING
    assert settings["SWIFT_VERSION"] == "6.0"
    assert settings["IPHONEOS_DEPLOYMENT_TARGET"] == "17.0"
    # No class is generated for a model: the app builds without one.
    assert settings["COREML_CODEGEN_LANGUAGE"] == "None"
    assert "camera" in settings["INFOPLIST_KEY_NSCameraUsageDescription"].lower()
    assert (IOS_DEMO / settings["INFOPLIST_FILE"]).is_file()


VARYING = {"DEBUG_INFORMATION_FORMAT", "SWIFT_OPTIMIZATION_LEVEL"}


def test_nothing_but_models_is_left_out_of_the_app(project: dict[str, Any]) -> None:
    (exceptions,) = of_kind(project, "PBXFileSystemSynchronizedBuildFileExceptionSet")
    assert exceptions["membershipExceptions"] == ["README.md"]
    assert not list((IOS_DEMO / "DepthDemo").rglob("*.metal"))
    assert {path.suffix for path in (IOS_DEMO / "DepthDemo").rglob("*") if path.is_file()} == {".swift"}


def test_the_files_app_shows_the_folder_of_the_app() -> None:
    information = plistlib.loads((IOS_DEMO / "Info.plist").read_bytes())
    assert information["UIFileSharingEnabled"] is True
    assert information["LSSupportsOpeningDocumentsInPlace"] is True


def test_the_scheme_runs_the_target_as_release(project: dict[str, Any]) -> None:
    scheme = ET.parse(PROJECT / "xcshareddata/xcschemes/DepthDemo.xcscheme").getroot()
    launch = scheme.find("LaunchAction")
    assert launch is not None
    assert launch.attrib["buildConfiguration"] == "Release"
    named = {item.attrib["BlueprintIdentifier"] for item in scheme.iter("BuildableReference")}
    assert named == {key for key, item in project["objects"].items() if item["isa"] == "PBXNativeTarget"}
    (argument,) = scheme.iter("CommandLineArgument")
    source = (IOS_DEMO / "DepthDemo/Benchmark/LaunchBenchmark.swift").read_text()
    assert f'argument = "{argument.attrib["argument"]}"' in source


def test_no_value_from_outside_is_unwrapped_by_force() -> None:
    forced = re.compile(r"(?<![\s!=(&|])!(?![=\w])|\btry!|\bas!")
    for source in (*(IOS_DEMO / "DepthDemo").rglob("*.swift"), *(IOS_DEMO / "DepthCore/Sources").rglob("*.swift")):
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            code = re.sub(r'"(\\.|[^"\\])*"|//.*', "", line)
            assert not forced.search(code), f"{source.name}:{number}: {line.strip()}"
