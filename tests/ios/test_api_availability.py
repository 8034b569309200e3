import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"


@pytest.fixture(scope="module")
def apis() -> ModuleType:
    return load_script(IOS_DEMO / "scripts/apple_apis.py")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A copy of what the check reads."""
    for folder in ("Config", "LinuxStubs", "DepthDemo", "DepthDemoTests", "DepthCore/Sources"):
        shutil.copytree(IOS_DEMO / folder, tmp_path / folder)
    shutil.copy(IOS_DEMO / "api_availability.toml", tmp_path)
    return tmp_path


def use_in_app(demo: Path, code: str) -> None:
    (demo / "DepthDemo/More.swift").write_text(code)


def list_version(demo: Path, part: str, line: str) -> None:
    table = demo / "api_availability.toml"
    table.write_text(table.read_text().replace(f"[{part}]\n", f"[{part}]\n{line}\n", 1))


def test_every_api_of_the_app_is_in_the_table_and_old_enough(apis: ModuleType) -> None:
    assert apis.faults(IOS_DEMO) == []


def test_every_name_that_a_stub_declares_is_found_by_a_plain_search_too(apis: ModuleType) -> None:
    for framework, symbols in apis.stubbed(IOS_DEMO).items():
        source = (IOS_DEMO / f"LinuxStubs/{framework}.swift").read_text()
        types = re.findall(r"^public (?:final )?(?:class|struct|enum|protocol) (\w+)", source, re.MULTILINE)
        functions = re.findall(r"^public func (\w+)", source, re.MULTILINE)
        assert symbols or framework == "Empty"
        found = {name.partition("(")[0] for name in symbols}
        assert {name for name in (*types, *functions) if not apis.PLUMBING.search(name)} <= found


def test_the_versions_that_decide_the_deployment_target_are_apples(apis: ModuleType) -> None:
    """From the pages of developer.apple.com."""
    table = apis.read_table(IOS_DEMO)
    assert table["AVFoundation"]["AVCaptureDevice.RotationCoordinator"] == (17, 0)
    assert table["AVFoundation"]["AVCaptureConnection.videoRotationAngle"] == (17, 0)
    assert table["AVFoundation"]["AVCaptureSession.synchronizationClock"] == (15, 4)
    assert table["CoreML"]["MLModel.compileModel(at:)"] == (16, 0)
    assert table["CoreML"]["MLPredictionOptions.outputBackings"] == (16, 0)
    assert table["CoreML"]["MLMultiArray.withUnsafeBytes(_:)"] == (15, 4)
    assert table["SwiftUI"]["View.onTapGesture(count:perform:)"] == (17, 0)
    assert apis.deployment_target(IOS_DEMO) == (17, 0)


def test_a_new_symbol_in_a_stub_is_asked_for(apis: ModuleType, demo: Path) -> None:
    stub = demo / "LinuxStubs/CoreML.swift"
    stub.write_text(stub.read_text() + "\npublic class MLTensor: NSObject {}\n")
    assert apis.faults(demo) == ["CoreML: 'MLTensor' has no iOS version: add it to api_availability.toml"]


def test_a_new_name_of_foundation_is_asked_for(apis: ModuleType, demo: Path) -> None:
    use_in_app(demo, "func more() { _ = OrderedThing() }\n")
    assert apis.faults(demo) == ["Foundation, Swift: 'OrderedThing' has no iOS version: add it to api_availability.toml"]


def test_a_symbol_that_nothing_uses_is_taken_out(apis: ModuleType, demo: Path) -> None:
    list_version(demo, "Vision", '"VNGone" = "11.0"')
    assert apis.faults(demo) == ["Vision: 'VNGone' is used nowhere: take it out of api_availability.toml"]


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("func more() { _ = MLTensor() }\n", False),
        ("func more() { if #available(iOS 18, *) { _ = MLTensor() } }\n", True),
        ("func more() { if #available(iOS 18, *) { more() } else { _ = MLTensor() } }\n", False),
        ("func more() { if #available(iOS 17.4, *) { _ = MLTensor() } }\n", False),
        ("func more() { guard #available(iOS 18.0, *) else { return }\n _ = MLTensor() }\n", True),
        ("@available(iOS 18, *) func more() { _ = MLTensor() }\n", True),
        ("@available(iOS 18, *) func guarded() {}\nfunc more() { _ = MLTensor() }\n", False),
    ],
)
def test_what_is_newer_than_the_target_needs_a_guard(apis: ModuleType, demo: Path, code: str, allowed: bool) -> None:
    stub = demo / "LinuxStubs/CoreML.swift"
    stub.write_text(stub.read_text() + "\npublic class MLTensor: NSObject {}\n")
    list_version(demo, "CoreML", '"MLTensor" = "18.0"')
    use_in_app(demo, code)
    found = apis.faults(demo)
    assert (found == []) == allowed, found
    if not allowed:
        assert "'MLTensor' needs iOS 18.0, the app runs on 17.0: guard it by #available" in found[0]


def test_a_lower_deployment_target_is_noticed(apis: ModuleType, demo: Path) -> None:
    settings = demo / "Config/Project.xcconfig"
    settings.write_text(settings.read_text().replace("TARGET = 17.0", "TARGET = 16.0"))
    assert any("'AVCaptureConnection.videoRotationAngle' needs iOS 17.0, the app runs on 16.0" in line for line in apis.faults(demo))
