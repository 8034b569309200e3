import AVFoundation
import CoreML
import DepthCore
import XCTest

@testable import DepthDemo

/// Two models of the live screen on the same images.
final class CompareTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  /// Delivers an image, the same everywhere in red and green.
  private func deliver(_ red: Double, _ green: Double) {
    FakeCamera.shared.deliver(width: 64, height: 36) { _, _ in SIMD3(red, green, 200) }
  }

  /// A live screen that runs one model on the GPU and compares it with another on the CPU.
  @MainActor private func live(
    _ second: Package, beside first: Package = Package(name: "A")
  ) async throws -> LiveState {
    try first.write()
    let other = try second.write()
    let state = LiveState()
    await state.start()
    state.compared.selection = other
    await state.waitUntilOpened()
    XCTAssertEqual([state.opened?.name, state.compared.opened?.name], [first.name, second.name])
    let camera = FakeCamera.shared
    try await eventually {
      camera.deliver(width: 64, height: 36, scene: slope)
      return camera.rotationAngle == camera.levelAngle && state.frame?.comparison != nil
    }
    XCTAssertNil(state.problem)
    return state
  }

  private func second(_ units: String = "metres", computeUnits: String = "cpuOnly", framing: String = "crop") -> Package
  {
    Package(name: "B", units: units, computeUnits: computeUnits, framing: framing)
  }

  /// Delivers the same image each time.
  private static func deliverSlope(_ index: Int) {
    FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
  }

  /// The next compared frames.
  @MainActor private func frames(
    of state: LiveState, count: Int = 4, deliver: @MainActor (Int) -> Void = deliverSlope
  ) async throws -> [LiveFrame] {
    var (frames, delivered): ([LiveFrame], Int) = ([], 0)
    state.observeFrames { if $0.comparison != nil { frames.append($0) } }
    defer { state.observeFrames(nil) }
    try await eventually {
      deliver(delivered)
      delivered += 1
      return frames.count >= count
    }
    return frames
  }

  @MainActor func testBothModelsGetTheSameImage() async throws {
    let state = try await live(second())
    try await eventually { !FakeCamera.shared.isBusy }
    FakeCoreML.shared.reset()
    // Each image is another; a frame of two of them would have a difference.
    let frames = try await frames(of: state, count: 20) { index in
      self.deliver(Double(index * 37 % 256), Double(index * 91 % 256))
    }
    for frame in frames.dropFirst(2) {
      let comparison = try XCTUnwrap(frame.comparison)
      XCTAssertEqual(comparison.difference.medianRelative, 0)
      XCTAssertEqual(comparison.difference.pixels, 16 * 12)
    }
    XCTAssertTrue(Set(frames.map { $0.depth.values[0] }).count > 3)
    await state.pause()
    // As many predictions of one as of the other, in whatever order.
    let predictions = FakeCoreML.shared.predictions
    XCTAssertEqual(predictions.filter { $0 == .cpuOnly }.count, predictions.filter { $0 == .cpuAndGPU }.count)
    XCTAssertEqual(Set(predictions), [.cpuOnly, .cpuAndGPU])
  }

  @MainActor func testOneModelAgainstItselfElsewhere() async throws {
    let state = try await live(second())
    state.compared.selection = state.selection
    state.compared.computeUnits = .all
    await state.waitUntilOpened()
    XCTAssertEqual(state.compared.opened?.name, "A")
    XCTAssertEqual(state.compared.opened?.computeUnits, .all)
    XCTAssertEqual(state.opened?.computeUnits, .cpuAndGPU)
    let last = try await frames(of: state).last
    let comparison = try XCTUnwrap(last?.comparison)
    XCTAssertEqual(comparison.difference.medianRelative, 0)
    XCTAssertTrue(comparison.titles[0].hasPrefix("A, CPU + GPU: ") && comparison.titles[1].hasPrefix("A, All: "))
    await state.pause()
  }

  @MainActor func testThePicturesHaveOneRangeAndTheDifferenceItsOwn() async throws {
    // Twice the focal length of training for one, once for the other: twice as far.
    let first = Package(name: "A", focal: 48.0 / 36 / 2)
    var other = second()
    other.focal = 48.0 / 36
    let state = try await live(other, beside: first)
    let last = try await frames(of: state, count: 40).last
    let frame = try XCTUnwrap(last)
    let comparison = try XCTUnwrap(frame.comparison)
    XCTAssertLessThan(abs(comparison.difference.medianRelative - 0.5), 1e-6)
    XCTAssertEqual(comparison.difference.alignment, .none)
    XCTAssertEqual(frame.figures.range, comparison.range)
    // Near of the one that is nearer, far of the one that is farther.
    var (own, others) = (DepthNormalizer(), DepthNormalizer())
    let expected = (own.range(of: comparison.difference.first), others.range(of: comparison.difference.second))
    XCTAssertLessThan(abs(comparison.range.near - expected.1.near), 0.01)
    XCTAssertLessThan(abs(comparison.range.far - expected.0.far), 0.01)
    XCTAssertLessThan(1, expected.0.near - expected.1.near)
    let pictures = try XCTUnwrap(comparison.pictures)
    let plane = comparison.difference.second
    let colours = Colormap.depth.rgba(of: plane, in: comparison.range)
    XCTAssertEqual(pictures.second.colour(3, 5), Array(colours[4 * (5 * 16 + 3)..<4 * (5 * 16 + 3) + 3]))
    // Half as far is beyond the end of the scale, which is dark blue.
    XCTAssertEqual(pictures.difference.colour(8, 6), Array(Colormap.difference.table.prefix(3)))
    let readings = comparison.difference.readings(at: CGPoint(x: 0.5, y: 0.5))
    XCTAssertEqual(readings.difference, "-50.0 %")
    XCTAssertTrue(readings.first.hasSuffix(" m") && readings.second.hasSuffix(" m"))
    let lines = comparison.lines(beside: frame.figures)
    XCTAssertTrue(lines[0].contains("FPS, end to end"))
    XCTAssertEqual(lines[3], DepthScale.metres(times: 1).text(comparison.range))
    XCTAssertEqual(Array(lines.suffix(2)), ["50.0 % apart in the median", "compared in metres"])
    // It can be locked as that of one model.
    state.toggleRange()
    XCTAssertEqual(state.lockedRange, state.frame?.comparison?.range)
    await state.pause()
  }

  @MainActor func testDepthWithoutAUnitIsAlignedByItsMedian() async throws {
    let first = Package(name: "A", focal: 48.0 / 36 / 2)
    let state = try await live(second("up to scale"), beside: first)
    let last = try await frames(of: state).last
    let comparison = try XCTUnwrap(last?.comparison)
    guard case .second(let factor) = comparison.difference.alignment else { throw NeverHappened() }
    XCTAssertLessThan(abs(factor - 2), 1e-3)
    XCTAssertLessThan(comparison.difference.medianRelative, 1e-3)
    XCTAssertEqual(comparison.difference.lines[1], String(format: "B has no unit: × %.3f by the medians", factor))
    XCTAssertTrue(comparison.difference.readings(at: CGPoint(x: 0.5, y: 0.5)).second.hasSuffix(" m"))
    await state.pause()
  }

  @MainActor func testOnlyThePartThatBothSeeIsCompared() async throws {
    // Upright 36×64: A sees 36×27 of it; B all of it between bars, of which 6 columns, each 16 / 3 wide, show no bar at all.
    let state = try await live(second(framing: "letterbox"))
    let last = try await frames(of: state).last
    let frame = try XCTUnwrap(last)
    let difference = try XCTUnwrap(frame.comparison?.difference)
    XCTAssertEqual([difference.first.width, difference.first.height], [14, 12])
    XCTAssertEqual([difference.second.width, difference.second.height], [6, 6])
    XCTAssertLessThan(difference.medianRelative, 0.03)
    XCTAssertEqual([frame.photo?.width, frame.photo?.height], [32, 27])
    XCTAssertLessThan(abs(frame.aspect - 32.0 / 27), 1e-9)
    await state.pause()
  }

  @MainActor func testTheNextImageComesWhenTheSlowerModelIsDone() async throws {
    let state = try await live(second())
    let gate = try await holdPredictions(2) { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
    for _ in 0..<5 { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
    XCTAssertEqual(Set(FakeCoreML.shared.predictions), [.cpuOnly, .cpuAndGPU])
    gate.open()
    await state.pause()
    XCTAssertEqual(FakeCoreML.shared.predictions.count, 2)
  }

  @MainActor func testLateResultsOfEitherModelAreDropped() async throws {
    for change in [
      { $0.selection = nil }, { $0.compared.selection = nil }, { $0.compared.computeUnits = .all },
      { $0.computeUnits = .all },
    ] as [@MainActor (LiveState) -> Void] {
      try startOver()
      let state = try await live(second())
      _ = try await frames(of: state)
      let gate = try await holdPredictions(2) { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
      change(state)
      XCTAssertTrue(state.frame == nil)
      gate.open()
      await state.waitUntilOpened()
      // What the pipeline still gives has come by then.
      for _ in 0..<60 { try await Task.sleep(for: .milliseconds(5)) }
      XCTAssertTrue(state.frame == nil)
      XCTAssertNil(state.problem)
      await state.pause()
    }
  }

  @MainActor func testChangingTheSecondLeavesTheFirstOpen() async throws {
    let state = try await live(second())
    let first = state.opened?.id
    state.compared.computeUnits = .all
    await state.waitUntilOpened()
    XCTAssertTrue(state.opened?.id == first && first != nil)
    state.compared.selection = nil
    await state.waitUntilOpened()
    XCTAssertTrue(state.opened?.id == first && state.compared.opened == nil)
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return state.frame?.depthPicture != nil && state.frame?.comparison == nil
    }
    await state.pause()
  }

  @MainActor func testASecondModelThatCannotBeOpenedIsSaidWhileTheFirstRuns() async throws {
    let state = try await live(second())
    state.compared.selection = try Package(name: "C", units: "feet", precision: "feet").write()
    await state.waitUntilOpened()
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return state.frame != nil
    }
    XCTAssertTrue(state.problem?.hasPrefix("C doesn't fit") == true && state.frame?.comparison == nil)
    await state.pause()
  }

  @MainActor func testALiveBenchmarkRunsOneModelAlone() async throws {
    let state = try await live(second())
    let benchmark = BenchmarkState(live: state)
    (benchmark.kind, benchmark.warmUp, benchmark.runs, benchmark.coolDown) = (.live, 1, 3, 0)
    for units in ComputeUnits.allCases { benchmark[isPlanned: units] = units == .cpuAndGPU }
    benchmark.start()
    try await eventually { state.isMeasured }
    await state.waitUntilOpened()
    try await eventually { !FakeCamera.shared.isBusy }
    FakeCoreML.shared.reset()
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return !benchmark.isRunning
    }
    XCTAssertNil(benchmark.problem)
    let measured = try XCTUnwrap(benchmark.report?.results.first?.samplesMS.count)
    XCTAssertEqual(measured, 3)
    XCTAssertTrue(!FakeCoreML.shared.predictions.prefix(4).contains(.cpuOnly))
    // Afterwards both run again.
    _ = try await frames(of: state)
    await state.pause()
  }
}
