import AVFoundation
import CoreML
import DepthCore
import XCTest

@testable import DepthDemo

final class BenchmarkStateTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  @MainActor private func states() async throws -> (live: LiveState, benchmark: BenchmarkState) {
    try Package().write()
    let live = LiveState()
    await live.start()
    await live.waitUntilOpened()
    return (live, BenchmarkState(live: live))
  }

  @MainActor func testAStillBenchmarkMeasuresWhatItWasSetTo() async throws {
    let (live, benchmark) = try await states()
    (benchmark.warmUp, benchmark.runs) = (2, 3)
    FakeCoreML.shared.reset()
    benchmark.start()
    try await eventually { !benchmark.isRunning }
    XCTAssertNil(benchmark.problem)
    let report = try XCTUnwrap(benchmark.report)
    XCTAssertEqual(report.results.map(\.computeUnits), ComputeUnits.allCases)
    XCTAssertEqual(report.results.map(\.samplesMS.count), [3, 3, 3, 3])
    let run: [MLComputeUnits] = [.cpuAndNeuralEngine, .all, .cpuAndGPU, .cpuOnly]
    XCTAssertEqual(FakeCoreML.shared.predictions, run.flatMap { [MLComputeUnits](repeating: $0, count: 5) })
    let file = try Data(contentsOf: XCTUnwrap(benchmark.file))
    XCTAssertEqual(try BenchmarkReport(json: file).results, report.results)
    XCTAssertTrue(!live.isPaused)
  }

  @MainActor func testALiveBenchmarkMeasuresTheCamera() async throws {
    let (live, benchmark) = try await states()
    (benchmark.kind, benchmark.warmUp, benchmark.runs) = (.live, 1, 3)
    benchmark[isPlanned: .cpuAndGPU] = false
    benchmark.start()
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return !benchmark.isRunning
    }
    XCTAssertNil(benchmark.problem)
    let results = try XCTUnwrap(benchmark.report).results
    XCTAssertEqual(results.map(\.computeUnits), [.cpuAndNeuralEngine, .all, .cpuOnly])
    XCTAssertEqual(results.map(\.mode), [.live, .live, .live])
    XCTAssertTrue(!live.isMeasured)
  }

  @MainActor func testACancelledBenchmarkSavesNothing() async throws {
    let (_, benchmark) = try await states()
    let gate = Gate()
    FakeCoreML.shared.reset { gate.wait() }
    benchmark.start()
    try await eventually { gate.waiters == 1 }
    benchmark.cancel()
    gate.open()
    try await eventually { !benchmark.isRunning }
    XCTAssertEqual(benchmark.problem, "Cancelled: nothing was saved.")
    XCTAssertTrue(benchmark.report == nil && benchmark.file == nil)
  }

  @MainActor func testAModelThatFailsIsSaid() async throws {
    let (_, benchmark) = try await states()
    FakeCoreML.shared.reset { throw FakeProblem("the processor is on strike") }
    benchmark.start()
    try await eventually { !benchmark.isRunning }
    XCTAssertEqual(benchmark.problem, "the processor is on strike")
  }
}
