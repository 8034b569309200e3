import AVFoundation
import CoreML
import DepthCore
import XCTest

@testable import DepthDemo

/// The live screen of a phone with a LiDAR scanner that is not there: it measures twice what the fake model gives, and nothing in the left
/// quarter of the scene.
final class DepthSensorTests: XCTestCase {
  override func setUp() async throws {
    try startOver()
    FakeCamera.shared.hasScanner = true
  }

  private func scan(_ x: Double, _ y: Double) -> Float {
    x < 0.25 ? .nan : 2 * FakeModel.depth(of: SIMD4(slope(x, y), 255))
  }

  @MainActor private func live(_ package: Package = Package()) async throws -> LiveState {
    try package.write()
    let state = LiveState()
    await state.start()
    await state.waitUntilOpened()
    let starts = FakeCamera.shared.startCount
    state.source.usesSensor = true
    try await eventually { FakeCamera.shared.startCount == starts + 1 }
    return state
  }

  /// The next frame of an upright image, once one is as it should be.
  @MainActor private func frame(
    of state: LiveState, until isRight: @escaping (LiveFrame) -> Bool = { $0.figures.agreement != nil }
  ) async throws -> LiveFrame {
    var frames: [LiveFrame] = []
    state.observeFrames { if isRight($0) { frames.append($0) } }
    defer { state.observeFrames(nil) }
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, depth: scan, scene: slope)
      return frames.count > 4
    }
    XCTAssertNil(state.problem)
    return try XCTUnwrap(frames.last)
  }

  @MainActor func testDepthIsComparedWhereTheScannerIsSure() async throws {
    // Of 9×16 pixels upright, 6 rows have their centres in the crop, and 7 columns beyond the left quarter; of 16×9, 9 rows and 10 columns
    // beyond that quarter, of 12 in the crop.
    for (angle, pixels) in [(90, 6 * 7), (0, 9 * 10), (180, 9 * 10)] as [(CGFloat, Int)] {
      FakeCamera.shared.levelAngle = angle
      let state = try await live()
      XCTAssertTrue(state.source.hasSensor)
      let frame = try await frame(of: state)
      let agreement = try XCTUnwrap(frame.figures.agreement)
      XCTAssertEqual(agreement.pixels, pixels)
      XCTAssertLessThan(abs(agreement.scale - 2), 0.05)
      XCTAssertLessThan(abs(agreement.absRel - 0.5), 0.01)
      XCTAssertEqual(agreement.delta1, 0)
      await state.pause()
    }
  }

  @MainActor func testDepthWithoutAUnitIsComparedInProportion() async throws {
    let frame = try await frame(of: live(Package(units: "up to scale")))
    let agreement = try XCTUnwrap(frame.figures.agreement)
    XCTAssertTrue(agreement.isAligned)
    XCTAssertLessThan(agreement.absRel, 0.02)
    XCTAssertEqual(agreement.delta1, 1)
  }

  @MainActor func testWhatTheScannerIsNotSureOfIsNoTruth() async throws {
    FakeCamera.shared.isSure = false
    let state = try await live()
    var count = 0
    state.observeFrames { _ in count += 1 }
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, depth: scan, scene: slope)
      return count > 5
    }
    XCTAssertNil(state.frame?.figures.agreement)
    state.observeFrames(nil)
  }

  @MainActor func testThePlainCameraComesBack() async throws {
    let state = try await live(Package(focal: 48.0 / 36 / 1.5))
    _ = try await frame(of: state)
    state.source.usesSensor = false
    let frame = try await frame(of: state) { $0.figures.agreement == nil }
    XCTAssertLessThan(abs(frame.figures.scale.factor - 1.5), 1e-6)
    XCTAssertLessThan(error(of: frame.depth.part(times: 1 / 1.5), aspect: 36.0 / 64), rounding)
  }

  @MainActor func testADeviceWithoutAScannerOffersNone() async throws {
    FakeCamera.shared.hasScanner = false
    XCTAssertTrue(!LiveState().source.hasSensor)
  }

  @MainActor func testARecordingIsAFolderOfPairs() async throws {
    let state = try await live()
    _ = try await frame(of: state)
    state.startRecording()
    XCTAssertTrue(state.isRecording)
    let folder = try documentsFolder()
    func files() throws -> [String] {
      try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("clip-") }
    }
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, depth: scan, scene: slope)
      return try files().contains { $0.hasSuffix("depth/0001.png") }
    }
    await state.endRecording()
    let clip = try XCTUnwrap(state.clip)
    XCTAssertTrue(clip.count >= 2 && !state.isRecording)
    let agreement = try XCTUnwrap(clip.agreement)
    XCTAssertLessThan(abs(agreement.scale - 2), 0.05)
    let depth = try Data(contentsOf: clip.folder.appendingPathComponent("depth/0000.png"))
    // Upright 9×16 pixels, each a square of 40: width 256 + 104 and height 512 + 128 in the head of the PNG.
    XCTAssertEqual(Array(depth[16..<24]), [0, 0, 1, 104, 0, 0, 2, 128])
    let picture = try Data(contentsOf: clip.folder.appendingPathComponent("rgb/0000.jpg"))
    XCTAssertEqual(Array(picture.prefix(4)), [1, 104, 2, 128])
    // All of the image: the upper left corner is neither red nor green.
    XCTAssertTrue(picture[4] < 8 && picture[5] < 8 && picture[6] == 200)
    let notes = try String(contentsOf: clip.folder.appendingPathComponent("clip.json"), encoding: .utf8)
    // 48 pixels of 36 across are 480 of 360.
    XCTAssertTrue(notes.contains(#""spec" : "folder:\#(clip.folder.lastPathComponent)?fx=480.0""#))
  }

  @MainActor func testARecordingEndsWithItsModel() async throws {
    let state = try await live()
    _ = try await frame(of: state)
    state.startRecording()
    state.computeUnits = .cpuOnly
    await state.waitUntilOpened()
    XCTAssertTrue(!state.isRecording && state.clip != nil)
  }
}
