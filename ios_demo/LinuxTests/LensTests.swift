import AVFoundation
import DepthCore
import XCTest

@testable import DepthDemo

/// A phone with three lenses.
final class LensTests: XCTestCase {
  override func setUp() async throws {
    try startOver()
    FakeCamera.shared.lenses = threeLenses
  }

  private let threeLenses: [AVCaptureDevice.DeviceType: Float] = [
    .builtInWideAngleCamera: 1, .builtInUltraWideCamera: 0.5, .builtInTelephotoCamera: 3,
  ]

  @MainActor private func live() async throws -> LiveState {
    // 36 of 36 pixels across are seen of a camera of 48 pixels: by the wide lens 1.5 times the focal length of training.
    try Package(focal: 48.0 / 36 / 1.5).write()
    let state = LiveState()
    await state.start()
    await state.waitUntilOpened()
    return state
  }

  /// By what depth is multiplied, once upright images of a lens come.
  @MainActor private func factor(_ state: LiveState, becomes expected: Double) async throws {
    var last: DepthScale?
    state.observeFrames { last = $0.figures.scale }
    defer { state.observeFrames(nil) }
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return last.map { abs($0.factor - expected) < 1e-6 } == true
    }
    XCTAssertNil(state.problem)
  }

  @MainActor func testMetresFollowTheLens() async throws {
    let state = try await live()
    XCTAssertEqual(state.source.lenses, [.ultraWide, .wide, .tele])
    XCTAssertEqual(state.source.lens, .wide)
    try await factor(state, becomes: 1.5)
    for (lens, expected) in [(Lens.ultraWide, 0.75), (.tele, 4.5), (.wide, 1.5)] {
      state.source.lens = lens
      try await factor(state, becomes: expected)
    }
    await state.pause()
  }

  @MainActor func testTheChoiceIsKeptAndFallsBackWhereTheLensIsGone() async throws {
    let first = try await live()
    first.source.lens = .tele
    try await factor(first, becomes: 4.5)
    await first.pause()
    let second = try await live()
    XCTAssertEqual(second.source.lens, .tele)
    try await factor(second, becomes: 4.5)
    await second.pause()
    FakeCamera.shared.lenses = [.builtInWideAngleCamera: 1]
    await second.start()
    XCTAssertEqual(second.source.lens, .wide)
    XCTAssertEqual(second.source.lenses, [.wide])
    await second.waitUntilOpened()
    try await factor(second, becomes: 1.5)
    await second.pause()
    // It comes back with its lens.
    FakeCamera.shared.lenses = threeLenses
    XCTAssertEqual(LiveState().source.lens, .tele)
  }

  @MainActor func testTheScannersCameraHasALensOfItsOwn() async throws {
    FakeCamera.shared.hasScanner = true
    let state = try await live()
    state.source.lens = .tele
    try await factor(state, becomes: 4.5)
    state.source.usesSensor = true
    try await factor(state, becomes: 1.5)
    state.source.usesSensor = false
    try await factor(state, becomes: 4.5)
    await state.pause()
  }
}
