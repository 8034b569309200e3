import json
import os
import plistlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstep_parser import OpenStepDecoder
from PIL import Image

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
    assert sorted(folders) == ["DepthDemo", "DepthDemoTests", "Models"]
    assert all((IOS_DEMO / folder).is_dir() for folder in folders)
    (package,) = of_kind(project, "XCLocalSwiftPackageReference")
    (product, _) = of_kind(project, "XCSwiftPackageProductDependency")
    manifest = (IOS_DEMO / package["relativePath"] / "Package.swift").read_text()
    assert f'.library(name: "{product["productName"]}"' in manifest


def test_each_target_builds_the_sources_of_its_folders(project: dict[str, Any]) -> None:
    objects = project["objects"]
    built = {
        target["name"]: [objects[key]["path"] for key in target.get("fileSystemSynchronizedGroups", [])]
        for target in of_kind(project, "PBXNativeTarget")
    }
    assert built == {"DepthDemo": ["DepthDemo", "Models"], "DepthDemoTests": ["DepthDemoTests"]}


def test_every_path_of_the_project_is_there(project: dict[str, Any]) -> None:
    objects = project["objects"]
    groups = {child: group for group in of_kind(project, "PBXGroup") for child in group["children"]}
    found = 0
    for key, item in objects.items():
        if item["isa"] != "PBXFileReference" or item["sourceTree"] == "BUILT_PRODUCTS_DIR":
            continue
        assert (IOS_DEMO / groups[key].get("path", "") / item["path"]).is_file(), item["path"]
        found += 1
    assert found == 6


def xcconfig(name: str) -> dict[str, str]:
    """Settings of a file and of those it includes; a later one wins."""
    settings: dict[str, str] = {}
    for line in (IOS_DEMO / "Config" / name).read_text().splitlines():
        if match := re.fullmatch(r'#include(\??) "([^"]+)"', line):
            if match[1]:
                assert match[2] == "Local.xcconfig"
            else:
                settings |= xcconfig(match[2])
        elif line and not line.startswith("//"):
            match = re.fullmatch(r"(\w+) =(?: (.*))?", line)
            assert match, line
            settings[match[1]] = match[2] or ""
    return settings


def test_settings_stand_in_the_configuration_files_only(project: dict[str, Any]) -> None:
    objects = project["objects"]
    for configuration in of_kind(project, "XCBuildConfiguration"):
        assert configuration["buildSettings"] == {}
    used = {objects[item["baseConfigurationReference"]]["path"] for item in of_kind(project, "XCBuildConfiguration")}
    assert used == {"Debug.xcconfig", "Release.xcconfig", "App.xcconfig", "Tests.xcconfig"}
    for settings in of_kind(project, "XCConfigurationList"):
        assert [objects[key]["name"] for key in settings["buildConfigurations"]] == ["Debug", "Release"]


def test_the_app_is_built_by_the_rules_that_are_checked_here() -> None:
    debug, release, app = xcconfig("Debug.xcconfig"), xcconfig("Release.xcconfig"), xcconfig("App.xcconfig")
    for settings in (debug, release):
        assert settings["SWIFT_VERSION"] == "6.0"
        assert settings["IPHONEOS_DEPLOYMENT_TARGET"] == "17.0"
        assert settings["DEVELOPMENT_TEAM"] == ""
        # Info.plist holds only what no INFOPLIST_KEY_ can say: without the rest an app has no identifier, version or launch screen.
        assert settings["GENERATE_INFOPLIST_FILE"] == "YES"
    assert release["SWIFT_OPTIMIZATION_LEVEL"] == "-O"
    # No class is generated for a model: the app builds without one.
    assert app["COREML_CODEGEN_LANGUAGE"] == "None"
    assert (IOS_DEMO / app["INFOPLIST_FILE"]).is_file()
    assert "camera" in plistlib.loads((IOS_DEMO / "Info.plist").read_bytes())["NSCameraUsageDescription"]


def test_settings_of_a_user_are_not_committed() -> None:
    assert "Config/Local.xcconfig" in (IOS_DEMO / ".gitignore").read_text().splitlines()
    assert not (IOS_DEMO / "Config/Local.xcconfig").exists() or not os.environ.get("CI")


def test_nothing_but_models_is_left_out_of_the_app(project: dict[str, Any]) -> None:
    (exceptions,) = of_kind(project, "PBXFileSystemSynchronizedBuildFileExceptionSet")
    assert exceptions["membershipExceptions"] == ["README.md"]
    files = [path for path in (IOS_DEMO / "DepthDemo").rglob("*") if path.is_file()]
    others = {str(path.relative_to(IOS_DEMO / "DepthDemo")) for path in files if path.suffix != ".swift"}
    assert {name for name in others if not name.startswith("Assets.xcassets/")} == {"PrivacyInfo.xcprivacy"}


def test_unit_tests_run_inside_the_app_and_measure_with_a_clock(project: dict[str, Any]) -> None:
    (tests,) = (item for item in of_kind(project, "PBXNativeTarget") if "unit-test" in item["productType"])
    (dependency,) = tests["dependencies"]
    app = project["objects"][dependency]["target"]
    assert project["objects"][app]["name"] == "DepthDemo"
    attributes = project["objects"][project["rootObject"]]["attributes"]["TargetAttributes"]
    (tested,) = attributes.values()
    assert tested["TestTargetID"] == app
    assert xcconfig("Tests.xcconfig")["TEST_HOST"] == "$(BUILT_PRODUCTS_DIR)/DepthDemo.app/DepthDemo"
    assert "XCTClockMetric()" in (IOS_DEMO / "DepthDemoTests/LatencyTests.swift").read_text()


def test_the_privacy_manifest_has_the_four_keys_that_apple_asks_for() -> None:
    manifest = plistlib.loads((IOS_DEMO / "DepthDemo/PrivacyInfo.xcprivacy").read_bytes())
    assert manifest == {
        "NSPrivacyTracking": False,
        "NSPrivacyTrackingDomains": [],
        "NSPrivacyCollectedDataTypes": [],
        "NSPrivacyAccessedAPITypes": [
            {"NSPrivacyAccessedAPIType": "NSPrivacyAccessedAPICategoryUserDefaults", "NSPrivacyAccessedAPITypeReasons": ["CA92.1"]}
        ],
    }


#: Names of APIs that need a reason in the manifest (Apple, "Describing use of required reason API"); it gives one for user defaults.
REASON_NEEDED = re.compile(
    r"\b(creationDate|modificationDate|contentModificationDateKey|creationDateKey|systemUptime|mach_absolute_time|volumeAvailableCapacity\w*|"
    r"volumeTotalCapacityKey|systemFreeSize|systemSize|statfs|activeInputModes|UserDefaults|AppStorage|f?stat|getattrlist)\b"
)


def test_no_other_api_is_called_that_needs_a_reason_in_the_privacy_manifest() -> None:
    sources = (*(IOS_DEMO / "DepthDemo").rglob("*.swift"), *(IOS_DEMO / "DepthCore/Sources/DepthCore").rglob("*.swift"))
    found = {(source.name, match[0]) for source in sources for match in REASON_NEEDED.finditer(source.read_text())}
    assert found == {("Lens.swift", "UserDefaults")}


def test_the_picker_of_photos_needs_no_permission() -> None:
    """It runs in a process of its own (Apple, "Bringing Photos picker to your SwiftUI app"); whoever asks PhotoKit itself needs one."""
    assert "NSPhotoLibraryUsageDescription" not in plistlib.loads((IOS_DEMO / "Info.plist").read_bytes())
    imports = {line for source in (IOS_DEMO / "DepthDemo").rglob("*.swift") for line in source.read_text().splitlines()}
    assert "import PhotosUI" in imports
    assert "import Photos" not in imports


def test_the_asset_catalog_has_what_the_settings_name() -> None:
    catalog = IOS_DEMO / "DepthDemo/Assets.xcassets"
    app = xcconfig("App.xcconfig")
    for contents in catalog.rglob("Contents.json"):
        assert json.loads(contents.read_text())["info"]["version"] == 1
    icon = catalog / f"{app['ASSETCATALOG_COMPILER_APPICON_NAME']}.appiconset"
    (image,) = json.loads((icon / "Contents.json").read_text())["images"]
    with Image.open(icon / image["filename"]) as picture:
        assert picture.size == (1024, 1024)
        assert picture.mode == "RGB"  # the store refuses transparency
    accent = catalog / f"{app['ASSETCATALOG_COMPILER_GLOBAL_ACCENT_COLOR_NAME']}.colorset"
    colours = json.loads((accent / "Contents.json").read_text())["colors"]
    assert ["appearances" in colour for colour in colours] == [False, True]
    assert {path.parent.name for path in catalog.rglob("Contents.json")} == {catalog.name, icon.name, accent.name}


def test_the_files_app_shows_the_folder_of_the_app() -> None:
    information = plistlib.loads((IOS_DEMO / "Info.plist").read_bytes())
    assert information["UIFileSharingEnabled"] is True
    assert information["LSSupportsOpeningDocumentsInPlace"] is True


def test_models_of_other_apps_are_opened() -> None:
    information = plistlib.loads((IOS_DEMO / "Info.plist").read_bytes())
    (document,) = information["CFBundleDocumentTypes"]
    types = {declared["UTTypeIdentifier"]: declared["UTTypeTagSpecification"] for declared in information["UTImportedTypeDeclarations"]}
    assert sorted(types) == sorted(document["LSItemContentTypes"])
    extensions = {tag for tags in types.values() for tag in tags["public.filename-extension"]}
    store = (IOS_DEMO / "DepthDemo/Models/ModelStore.swift").read_text()
    assert extensions == {"mlpackage", "mlmodel"}
    assert all(f'"{extension}"' in store for extension in extensions)


def test_the_scheme_runs_the_target_as_release(project: dict[str, Any]) -> None:
    scheme = ET.parse(PROJECT / "xcshareddata/xcschemes/DepthDemo.xcscheme").getroot()
    launch = scheme.find("LaunchAction")
    assert launch is not None
    assert launch.attrib["buildConfiguration"] == "Release"
    tests = scheme.find("TestAction")
    assert tests is not None
    assert tests.attrib["buildConfiguration"] == "Release"
    assert xcconfig("Release.xcconfig")["ENABLE_TESTABILITY"] == "YES"
    named = {item.attrib["BlueprintIdentifier"] for item in scheme.iter("BuildableReference")}
    assert named == {key for key, item in project["objects"].items() if item["isa"] == "PBXNativeTarget"}
    (argument,) = scheme.iter("CommandLineArgument")
    source = (IOS_DEMO / "DepthCore/Sources/DepthCore/BenchmarkLaunch.swift").read_text()
    assert f'contains("{argument.attrib["argument"]}")' in source


def test_no_value_from_outside_is_unwrapped_by_force() -> None:
    forced = re.compile(r"(?<![\s!=(&|])!(?![=\w])|\btry!|\bas!")
    for source in (*(IOS_DEMO / "DepthDemo").rglob("*.swift"), *(IOS_DEMO / "DepthCore/Sources").rglob("*.swift")):
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            code = re.sub(r'"(\\.|[^"\\])*"|//.*', "", line)
            assert not forced.search(code), f"{source.name}:{number}: {line.strip()}"
