import AVFoundation
import CoreGraphics
import CoreML
import CoreMedia
import DepthCore
import XCTest

@testable import DepthDemo

/// The live screen with a camera and a model that are not there.
final class LiveStateTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  /// A live screen whose model is open and whose camera runs upright.
  @MainActor private func live(_ package: Package = Package()) async throws -> LiveState {
    let state = try await openedLive(package)
    XCTAssertNil(state.problem)
    // The first image says how the camera is held, the next ones are upright.
    let turned = FakeCamera.shared
    try await eventually {
      turned.deliver(width: 64, height: 36, scene: slope)
      return turned.rotationAngle == turned.levelAngle
    }
    return state
  }

  /// The next frame that shows upright images.
  @MainActor private func frame(of state: LiveState, seconds: Double = 0) async throws -> LiveFrame {
    // One may be with the model and one with the screen since before.
    var frames: [LiveFrame] = []
    state.observeFrames { frames.append($0) }
    defer { state.observeFrames(nil) }
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, seconds: seconds, scene: slope)
      return frames.count > 3
    }
    return try XCTUnwrap(frames.last)
  }

  @MainActor func testAFrameShowsWhatTheCameraSees() async throws {
    for angle in [90, 0, 180] as [CGFloat] {
      FakeCamera.shared.levelAngle = angle
      let state = try await live()
      let frame = try await frame(of: state)
      XCTAssertEqual(FakeCamera.shared.rotationAngle, angle)
      let fault = error(of: frame.depth, aspect: angle == 90 ? 36.0 / 64 : 64.0 / 36)
      XCTAssertLessThan(fault, rounding)
      XCTAssertEqual(frame.depthPicture?.width, 16)
      // Near is at the upper left of the scene, and near is bright.
      let picture = try XCTUnwrap(frame.depthPicture)
      let (near, far) = (picture.colour(0, 0), picture.colour(15, 11))
      XCTAssertTrue(near.map(Int.init).reduce(0, +) > 500 && far.map(Int.init).reduce(0, +) < 100)
      await state.pause()
    }
  }

  @MainActor func testThePhotoIsThePartThatTheModelSaw() async throws {
    let state = try await live()
    let frame = try await frame(of: state)
    let photo = try XCTUnwrap(frame.photo)
    XCTAssertEqual([photo.width, photo.height], [36, 27])
    let corner = photo.colour(0, 0)
    XCTAssertTrue(corner[0] < 8 && abs(Int(corner[1]) - 255 * 37 / 128) < 8 && corner[2] == 200)
  }

  @MainActor func testTheUnitIsTheModels() async throws {
    for (words, scale) in [("metres", DepthScale.uncalibrated), ("up to scale", .relative)] {
      let state = try await live(Package(units: words))
      let frame = try await frame(of: state)
      XCTAssertEqual(frame.figures.scale, scale)
      await state.pause()
    }
  }

  @MainActor func testMetresAreThoseOfTheCamera() async throws {
    // Upright, 36 of 64 pixels across are seen of a camera of 48 pixels: 1.5 times the focal length of training.
    let state = try await live(Package(focal: 48.0 / 36 / 1.5))
    let frame = try await frame(of: state)
    XCTAssertLessThan(abs(frame.figures.scale.factor - 1.5), 1e-6)
    XCTAssertLessThan(error(of: frame.depth.part(times: 1 / 1.5), aspect: 36.0 / 64), rounding)
  }

  @MainActor func testACameraThatDoesNotTellIsNotCalibrated() async throws {
    FakeCamera.shared.intrinsics = nil
    let state = try await live(Package(focal: 1))
    let frame = try await frame(of: state)
    XCTAssertEqual(frame.figures.scale, .uncalibrated)
  }

  @MainActor func testBarsAreNotShown() async throws {
    let state = try await live(Package(framing: "letterbox"))
    let frame = try await frame(of: state)
    let photo = try XCTUnwrap(frame.photo)
    XCTAssertEqual([photo.width, photo.height], [36, 64])
    XCTAssertEqual(frame.aspect, 36.0 / 64)
    // 36/64 of 12 rows are 6.75 columns, 6 of them wholly.
    XCTAssertEqual([frame.depth.width, frame.depth.height], [6, 12])
    XCTAssertTrue(frame.depth.values.allSatisfy { $0 > 0 })
  }

  @MainActor func testTheAgeOfAnImageCounts() async throws {
    CMClock.seconds = 100
    let frame = try await frame(of: live(), seconds: 99)
    XCTAssertTrue(frame.endToEndMS >= 1000 && frame.endToEndMS < 20_000)
  }

  @MainActor func testAModelRunsWhereItsRecipeSays() async throws {
    let state = try await live(Package(computeUnits: "cpuOnly"))
    XCTAssertEqual(state.computeUnits, .cpuOnly)
    XCTAssertEqual(state.opened?.computeUnits, .cpuOnly)
    XCTAssertEqual(FakeCoreML.shared.loads, [.cpuOnly])
    // Set otherwise, it stays so until another model is chosen.
    state.computeUnits = .all
    await state.waitUntilOpened()
    XCTAssertEqual(FakeCoreML.shared.loads, [.cpuOnly, .all])
    state.selection = try Package(name: "Other", computeUnits: "cpuAndGPU").write()
    await state.waitUntilOpened()
    XCTAssertEqual(FakeCoreML.shared.loads, [.cpuOnly, .all, .cpuAndGPU])
  }

  @MainActor func testAModelForANewerSystemIsNotEvenCompiled() async throws {
    let state = try await live()
    FakeCoreML.shared.reset()
    state.selection = try Package(name: "Newer", precision: "newer", target: "iOS18").write()
    await state.waitUntilOpened()
    let problem = "Newer needs iOS 18, this is iOS 17: export it with an older target in its recipe."
    XCTAssertEqual(state.problem, problem)
    XCTAssertEqual(FakeCoreML.shared.compileCount, 0)
  }

  @MainActor func testOtherComputeUnitsOpenItAgain() async throws {
    let state = try await live()
    let first = state.opened?.id
    state.computeUnits = .all
    await state.waitUntilOpened()
    XCTAssertEqual(FakeCoreML.shared.loads.last, .all)
    XCTAssertTrue(state.opened?.id != first && state.opened != nil)
  }

  @MainActor func testImagesThatComeMeanwhileAreDropped() async throws {
    let state = try await live()
    _ = try await frame(of: state)
    let gate = try await holdPredictions { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
    for _ in 0..<5 { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
    gate.open()
    await state.pause()
    XCTAssertEqual(FakeCoreML.shared.predictions.count, 1)
  }

  @MainActor func testAFrameOfAClosedModelIsNotShown() async throws {
    let state = try await live()
    _ = try await frame(of: state)
    let gate = try await holdPredictions { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
    state.selection = nil
    await state.waitUntilOpened()
    XCTAssertTrue(state.frame == nil)
    gate.open()
    // What the pipeline still gives has come by then.
    for _ in 0..<100 { try await Task.sleep(for: .milliseconds(5)) }
    XCTAssertTrue(state.frame == nil)
  }

  @MainActor func testADeviceThatIsTooHotShowsNoDepth() async throws {
    let state = try await live()
    ProcessInfo.heat = .critical
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return state.problem == PictureProblem.tooHot.localizedDescription
    }
    ProcessInfo.heat = .nominal
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return state.problem == nil
    }
  }

  @MainActor func testSeriousHeatLeavesFramesOutAndSaysSo() async throws {
    let state = try await live()
    ProcessInfo.heat = .serious
    let frame = try await frame(of: state)
    XCTAssertEqual(frame.figures.lines[4], "thermal serious: 10 FPS at most")
    FakeCoreML.shared.reset()
    let start = ContinuousClock.now
    var seconds = 0.0
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      seconds = (ContinuousClock.now - start).milliseconds / 1000
      return seconds > 1
    }
    XCTAssertLessThan(Double(FakeCoreML.shared.predictions.count), 10 * seconds + 2)
    XCTAssertLessThan(0, FakeCoreML.shared.predictions.count)
  }

  @MainActor func testALockedRangeStaysWhateverIsSeen() async throws {
    let state = try await live()
    _ = try await frame(of: state)
    try await eventually { state.frame != nil }
    state.toggleRange()
    let kept = try XCTUnwrap(state.lockedRange)
    var ranges: [DepthRange] = []
    state.observeFrames { ranges.append($0.figures.range) }
    defer { state.observeFrames(nil) }
    func see(_ count: Int) async throws -> DepthRange? {
      ranges = []
      try await eventually {
        FakeCamera.shared.deliver(width: 64, height: 36) { _, _ in SIMD3(255, 255, 0) }
        return ranges.count > count
      }
      return ranges.last
    }
    var last = try await see(5)
    XCTAssertEqual(last, kept)
    state.toggleRange()
    last = try await see(5)
    XCTAssertTrue(last.map { $0.near > kept.near } == true && state.lockedRange == nil)
    state.toggleRange()
    state.computeUnits = .all
    await state.waitUntilOpened()
    XCTAssertTrue(state.lockedRange == nil)
  }

  @MainActor func testOnlyWhatIsShownIsDrawn() async throws {
    let state = try await live()
    for (layout, drawn) in [(LiveLayout.photo, [true, false]), (.depth, [false, true]), (.split, [true, true])] {
      state.layout = layout
      let frame = try await frame(of: state)
      XCTAssertEqual([frame.photo != nil, frame.depthPicture != nil], drawn)
    }
    state.isMeasured = true
    let frame = try await frame(of: state)
    XCTAssertTrue(frame.photo == nil && frame.depthPicture == nil && state.frame == nil)
    state.isMeasured = false
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return state.frame?.photo != nil
    }
  }

  @MainActor func testTheCameraGoesOnAfterAResetOfMediaServices() async throws {
    let state = try await live()
    XCTAssertEqual(FakeCamera.shared.startCount, 1)
    FakeCamera.shared.halt()
    let reset = AVError(.mediaServicesWereReset)
    FakeCamera.shared.post(AVCaptureSession.runtimeErrorNotification, [AVCaptureSessionErrorKey: reset])
    try await eventually { FakeCamera.shared.startCount == 2 }
    XCTAssertNil(state.problem)
    await state.pause()
    FakeCamera.shared.post(AVCaptureSession.runtimeErrorNotification, [AVCaptureSessionErrorKey: reset])
    for _ in 0..<20 { try await Task.sleep(for: .milliseconds(5)) }
    XCTAssertEqual(FakeCamera.shared.startCount, 2)
    FakeCamera.shared.post(AVCaptureSession.runtimeErrorNotification, [AVCaptureSessionErrorKey: FakeProblem("broken")])
    try await eventually { state.problem?.hasPrefix("The camera stopped: broken") == true }
  }

  @MainActor func testADeniedCameraIsSaid() async throws {
    FakeCamera.shared.isAllowed = false
    let state = LiveState()
    await state.start()
    XCTAssertTrue(state.cameraProblem?.isDenied == true && state.problem?.contains("Settings") == true)
    FakeCamera.shared.isAllowed = true
    FakeCamera.shared.exists = false
    await state.start()
    XCTAssertEqual(state.problem, CameraProblem.missing.localizedDescription)
    XCTAssertTrue(state.cameraProblem?.isDenied == false)
  }

  @MainActor func testAnInterruptionIsSaidUntilItEnds() async throws {
    let state = try await live()
    FakeCamera.shared.post(AVCaptureSession.wasInterruptedNotification, [AVCaptureSessionInterruptionReasonKey: 5])
    try await eventually { state.problem == CameraProblem.pressure.localizedDescription }
    FakeCamera.shared.post(AVCaptureSession.wasInterruptedNotification)
    try await eventually { state.problem == CameraProblem.interrupted.localizedDescription }
    FakeCamera.shared.post(AVCaptureSession.interruptionEndedNotification)
    try await eventually { state.cameraProblem == nil }
  }

  @MainActor func testAReplacedPackageIsOpenedWhenTheAppComesBack() async throws {
    let state = try await live(Package(precision: "fp16"))
    try Package(precision: "int8").write()
    await state.start()
    await state.waitUntilOpened()
    let frame = try await frame(of: state)
    XCTAssertEqual(frame.figures.precision, "int8")
  }
}
