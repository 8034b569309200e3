"""Plant one fault at a time into a copy of the demo and see whether the checks that run on Linux notice it.

    .venv/bin/python ios_demo/scripts/plant_faults.py [--only WORD]

Prints a table and exits with 1 where a fault went unseen. Needs Swift as ``make ios-check`` installs it; half an hour.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["FAULTS", "Fault", "main", "planted"]

IOS_DEMO = Path(__file__).resolve().parents[1]
#: Below tests/ios: those that read the project and the sources, not the figures of Python.
PROJECT_TESTS = ("test_xcode_project.py", "test_api_availability.py")
#: Characters of what a check said, in the table.
LONGEST = 160


@dataclass(frozen=True)
class Fault:
    """A change of one place in one file, and the check that has to fail."""

    name: str
    file: str
    right: str
    wrong: str
    check: Literal["app", "project"] = "app"


FAULTS = (
    Fault("cpuAndGPU runs on cpuOnly", "DepthDemo/Models/OpenedModel.swift", "case .cpuAndGPU: .cpuAndGPU", "case .cpuAndGPU: .cpuOnly"),
    Fault(
        "images turned by 90° too much", "DepthDemo/Camera/Camera.swift",
        "rotation?.videoRotationAngleForHorizonLevelCapture,", "(rotation?.videoRotationAngleForHorizonLevelCapture).map({ $0 + 90 }),",
    ),
    Fault(
        "bytesPerRow ignored", "DepthDemo/Depth/DepthReading.swift",
        "bytesPerRow: CVPixelBufferGetBytesPerRow(pixels)", "bytesPerRow: CVPixelBufferGetWidth(pixels) * scalar.size",
    ),
    Fault("Vision stretches, does not crop", "DepthDemo/Depth/VisionDepthModel.swift", "case .crop: .centerCrop", "case .crop: .scaleFill"),
    Fault(
        "Vision crops, does not stretch", "DepthDemo/Depth/VisionDepthModel.swift",
        "case .stretch: .scaleFill", "case .stretch: .centerCrop",
    ),
    Fault(
        "Core ML stretches, does not crop", "DepthDemo/Depth/DirectDepthModel.swift",
        "let crop = contract.geometry(of: size).crop",
        "let crop = CGRect(x: 0, y: 0, width: CGFloat(size.width), height: CGFloat(size.height))",
    ),
    Fault(
        "red and blue of the host's pictures exchanged", "DepthDemo/Fidelity/DeviceFidelity.swift",
        "[blue, green, red, 255]", "[red, green, blue, 255]",
    ),
    Fault(
        "host's outputs of another package", "DepthDemo/Models/ModelStore.swift",
        "try contentHash(of: hashed) != outputs.packageSHA256", "outputs.packageSHA256.isEmpty",
    ),
    Fault("bars show the last picture", "DepthDemo/Depth/DirectDepthModel.swift", "image.composited(over: black)", "image"),
    Fault(
        "focal lengths not asked for", "DepthDemo/Camera/Camera.swift",
        "connection.isCameraIntrinsicMatrixDeliveryEnabled = true", "connection.isCameraIntrinsicMatrixDeliveryEnabled = false",
    ),
    Fault("depth not scaled", "DepthDemo/Live/LivePipeline.swift", ", times: scale.factor)", ")"),
    Fault(
        "pixel buffer not unlocked", "DepthDemo/Depth/DepthReading.swift",
        "defer { CVPixelBufferUnlockBaseAddress(pixels, .readOnly) }\n", "",
    ),
    Fault(
        "late frames queued", "DepthDemo/Camera/Camera.swift",
        "output.alwaysDiscardsLateVideoFrames = true", "output.alwaysDiscardsLateVideoFrames = false",
    ),
    Fault(
        "output backing of another format", "DepthDemo/Depth/DirectDepthModel.swift",
        "makePixelBuffer(contract.depthSize, format: kCVPixelFormatType_OneComponent16Half)",
        "makePixelBuffer(contract.depthSize, format: kCVPixelFormatType_OneComponent32Float)",
    ),
    Fault(
        "output backing not used", "DepthDemo/Depth/DirectDepthModel.swift",
        "    options.outputBackings = [contract.outputName: try Self.backing(for: opened)]\n", "    _ = try Self.backing(for: opened)\n",
    ),
    Fault(
        "camera in ARGB", "DepthDemo/Camera/Camera.swift",
        "kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA",
        "kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32ARGB",
    ),
    Fault(
        "model's input in ARGB", "DepthDemo/Depth/DirectDepthModel.swift",
        "makePixelBuffer(contract.inputSize, format: kCVPixelFormatType_32BGRA)",
        "makePixelBuffer(contract.inputSize, format: kCVPixelFormatType_32ARGB)",
    ),
    Fault(
        "colours begin with the skipped byte", "DepthDemo/Live/Picture.swift",
        "CGImageAlphaInfo.noneSkipLast", "CGImageAlphaInfo.noneSkipFirst",
    ),
    Fault(
        "holes of the scanner filled", "DepthDemo/Camera/DepthSensor.swift",
        "output.isFilteringEnabled = false", "output.isFilteringEnabled = true",
    ),
    Fault(
        "scanner's depth not turned", "DepthDemo/Camera/DepthSensor.swift",
        "Rotation(rawValue: angle).map(plane.turned)", "angle >= 0 ? plane : nil",
    ),
    Fault(
        "scanner's depth of the whole image", "DepthDemo/Live/LivePipeline.swift",
        "region: seen.view.geometry.shown(in: sensorSize)", "region: sensorSize.width > 0 ? nil : .zero",
    ),
    Fault(
        "chosen lens not applied", "DepthDemo/Camera/Camera.swift",
        "next.isMeasuring ? DepthSensor.device : next.lens.device", "next.isMeasuring ? DepthSensor.device : Lens.wide.device",
    ),
    Fault(
        "a lens that is gone is asked for", "DepthDemo/Live/LiveSource.swift",
        "get { lenses.contains(chosenLens) ? chosenLens : .wide }", "get { chosenLens }",
    ),
    Fault(
        "orientation of a photo ignored", "DepthDemo/Library/LibraryPhoto.swift",
        "number.flatMap(ImageOrientation.init(exif:)) ?? .up", "number == nil ? ImageOrientation.up : ImageOrientation.up",
    ),
    Fault(
        "a photo's matrix not turned", "DepthDemo/Library/LibraryPhoto.swift",
        ".upright(orientation, of: image).resized(from: orientation.upright(image), to: size)", ".resized(from: image, to: size)",
    ),
    Fault(
        "focal length of EXIF not used", "DepthDemo/Library/LibraryPhoto.swift",
        "?? equivalent.flatMap { CameraIntrinsics(equivalentFocalLength: $0, of: size) }",
        "?? equivalent.flatMap { _ in nil }",
    ),
    Fault(
        "transform of a video's track ignored", "DepthDemo/Library/LibraryPlayer.swift",
        "self.orientation = orientation\n", "self.orientation = orientation == .up ? orientation : .up\n",
    ),
    Fault(
        "a video plays as fast as it can", "DepthDemo/Library/LibraryPlayer.swift",
        "try await Task.sleep(for: .seconds(pace.wait(for: next.seconds, now: now)))", "_ = pace.wait(for: next.seconds, now: now)",
    ),
    Fault(
        "the camera runs on beside a photo", "DepthDemo/Live/LiveSource.swift",
        "    await stopPlaying()\n    await camera.stop()\n", "    await stopPlaying()\n",
    ),
    Fault(
        "range and rate of the camera go on with a photo", "DepthDemo/Live/LiveSource.swift",
        "    pipeline.startOver()\n    player.show(photo)\n", "    player.show(photo)\n",
    ),
    Fault(
        "a photo does not come again for another model", "DepthDemo/Live/LiveState.swift",
        "    if !Task.isCancelled, opened != nil { source.repeatPhoto() }\n", "",
    ),
    Fault(
        "cx and cy swapped", "DepthCore/Sources/DepthCore/PointCloud.swift",
        "SIMD3((u - cx) / fx * z, (v - cy) / fy * z, z)", "SIMD3((u - cy) / fx * z, (v - cx) / fy * z, z)",
    ),
    Fault(
        "a point cloud of the whole image", "DepthCore/Sources/DepthCore/PointCloud.swift",
        "cy: Double((axis.y - crop.minY) * down - CGFloat(shown.rows.lowerBound))", "cy: Double(axis.y * down)",
    ),
    Fault("points in red for blue", "DepthDemo/Live/Picture.swift", "for byte in [2, 1, 0, 3]", "for byte in [0, 1, 2, 3]"),
    Fault("always metres", "DepthDemo/Live/LivePipeline.swift", "scale: scale,", "scale: .metres(times: 1),"),
    Fault(
        "a frame of a closed model is shown", "DepthDemo/Live/LiveState.swift",
        "guard result.model == opened?.id, result", "guard result",
    ),
    Fault(
        "a frame of a closed second model is shown", "DepthDemo/Live/LiveState.swift",
        ", result.compared == compared.opened?.id", "",
    ),
    Fault(
        "the second model gets the image before", "DepthDemo/Live/LivePipeline.swift",
        "    view = Result { try model.look(at: frame) }\n",
        "    view = Result { try model.look(at: Last.frame ?? frame) }\n    Last.frame = frame\n  }\n\n"
        "  private enum Last {\n    nonisolated(unsafe) static var frame: CameraFrame?\n",
    ),
    Fault(
        "the models run one after the other", "DepthDemo/Live/LivePipeline.swift",
        "beside.async(group: group) { work.run() }", "work.run()",
    ),
    Fault(
        "the next image comes before the second model is done", "DepthDemo/Live/LivePipeline.swift",
        "    group.wait()\n", "",
    ),
    Fault(
        "metres aligned, too", "DepthCore/Sources/DepthCore/DepthDifference.swift",
        "default: (alignment, scale) = (.none, first.scale)", "default: (alignment, scale) = (.second(times: ratio), first.scale)",
    ),
    Fault(
        "depth without a unit not aligned", "DepthCore/Sources/DepthCore/DepthDifference.swift",
        "case (_, .relative): (alignment, scale) = (.second(times: ratio), first.scale)",
        "case (_, .relative): (alignment, scale) = (.second(times: 1), first.scale)",
    ),
    Fault(
        "each depth picture in a range of its own", "DepthDemo/Compare/ComparedFrame.swift",
        "draw(difference.second, .depth, range)", "draw(difference.second, .depth, DepthRange(near: 0, far: 1))",
    ),
    Fault(
        "differences in the colours of depth", "DepthDemo/Compare/ComparedFrame.swift",
        "draw(difference.relative, .difference,", "draw(difference.relative, .depth,",
    ),
    Fault(
        "a second model runs beside a benchmark", "DepthDemo/Live/LiveState.swift",
        "for choice in isMeasured ? [main] : choices where", "for choice in choices where",
    ),
    Fault(
        "a change of the second model opens the first anew", "DepthDemo/Live/LiveState.swift",
        "for choice in changed ?? choices", "for choice in choices",
    ),
    Fault(
        "a damaged report ends the list", "DepthCore/Sources/DepthCore/BenchmarkHistory.swift",
        "(report, problem) = (nil, error.localizedDescription)", "fatalError(error.localizedDescription)",
    ),
    Fault(
        "samples stay when a report is deleted", "DepthCore/Sources/DepthCore/BenchmarkHistory.swift",
        "{ try FileManager.default.removeItem(at: samples) }", "{ return }",
    ),
    Fault(
        "the live view runs beside a measurement", "DepthDemo/Measuring/MeasuringRun.swift",
        "if !needsCamera { await live.pause() }", "if needsCamera { await live.pause() }",
    ),
    Fault(
        "border not clamped", "DepthDemo/Depth/DirectDepthModel.swift",
        "CIImage(cvPixelBuffer: pixels).clampedToExtent()", "CIImage(cvPixelBuffer: pixels)",
    ),
    Fault(
        "target without its folder", "DepthDemo.xcodeproj/project.pbxproj",
        "\t\t\t\tF0C400000000000000000007 /* DepthDemo */,\n\t\t\t\tF0C400000000000000000008 /* Models */,\n\t\t\t);\n\t\t\tname",
        "\t\t\t\tF0C400000000000000000008 /* Models */,\n\t\t\t);\n\t\t\tname", "project",
    ),
    Fault(
        "no Info.plist is generated", "Config/Project.xcconfig",
        "GENERATE_INFOPLIST_FILE = YES", "GENERATE_INFOPLIST_FILE = NO", "project",
    ),
    Fault(
        "deployment target lowered", "Config/Project.xcconfig",
        "IPHONEOS_DEPLOYMENT_TARGET = 17.0", "IPHONEOS_DEPLOYMENT_TARGET = 16.0", "project",
    ),
)  # fmt: skip


def planted(fault: Fault, source: str) -> str:
    """The source with the fault; ``ValueError`` where the place that it changes is not there exactly once."""
    if source.count(fault.right) != 1:
        raise ValueError(f"{fault.file}: {fault.right.strip()!r} is there {source.count(fault.right)} times, not once: mend '{fault.name}'")
    return source.replace(fault.right, fault.wrong)


def check(demo: Path, kind: str, build: Path) -> "subprocess.CompletedProcess[str]":
    """What the check of that kind says to a demo; tests of the project lie beside it."""
    environment = {**os.environ, "FCRN_PYTHON": sys.executable, "FCRN_SWIFT_BUILD": str(build), "FCRN_FIRST_FAILURE": "yes"}
    command = [str(demo / "scripts/check_linux.sh"), "bash", "-c", 'bash "$DEMO/scripts/test_app.sh" "$DEMO" "$BUILD"']
    if kind == "project":
        tests = [str(demo.parent / "tests/ios" / name) for name in PROJECT_TESTS]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(demo.parent), *tests]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def copy(folder: Path) -> Path:
    """The demo and the tests of its project."""
    demo = folder / "ios_demo"
    shutil.copytree(IOS_DEMO, demo)
    (folder / "tests/ios").mkdir(parents=True)
    for name in PROJECT_TESTS:
        shutil.copy2(IOS_DEMO.parent / "tests/ios" / name, folder / "tests/ios")
    return demo


def reason(result: "subprocess.CompletedProcess[str]") -> str:
    """The line that says what failed: of a test, or of the compiler."""
    lines = (result.stdout + result.stderr).splitlines()
    said = [line for line in lines if line.startswith(("failed: ", "FAILED ")) or ": error: " in line or "Fatal error: " in line]
    line = (said or lines or ["nothing said"])[0].removeprefix("failed: ").removeprefix("FAILED ")
    line = re.sub(r"/\S*/", "", line) if said and said[0].startswith("failed: ") else line
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant the faults; 0 if all were noticed, 2 if the check fails without any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", metavar="WORD", help="faults whose name has this word")
    word = parser.parse_args(arguments).only
    faults = [fault for fault in FAULTS if word in fault.name]
    unseen = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = copy(folder)
        for kind in sorted({fault.check for fault in faults}):
            if (result := check(demo, kind, folder / "build")).returncode != 0:
                print(f"the check fails without any fault: {reason(result)}", file=sys.stderr)
                return 2
        print("| fault | where | noticed by |\n|-|-|-|", flush=True)
        for fault in faults:
            file = demo / fault.file
            right = file.read_text()
            file.write_text(planted(fault, right))
            result = check(demo, fault.check, folder / "build")
            file.write_text(right)
            unseen += result.returncode == 0
            print(f"| {fault.name} | {Path(fault.file).name} | {reason(result) if result.returncode else '**nothing**'} |", flush=True)
    print(f"{len(faults) - unseen} of {len(faults)} noticed")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
