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
    (benchmark.warmUp, benchmark.runs, benchmark.rounds, benchmark.coolDown) = (2, 3, 2, 0)
    FakeCoreML.shared.reset()
    ProcessInfo.savesPower = true
    defer { ProcessInfo.savesPower = false }
    benchmark.start()
    try await eventually { !benchmark.isRunning }
    XCTAssertNil(benchmark.problem)
    let report = try XCTUnwrap(benchmark.report)
    XCTAssertEqual(report.results.map(\.computeUnits), ComputeUnits.allCases)
    XCTAssertEqual(report.results.map(\.samplesMS.count), [3, 3, 3, 3])
    let run: [MLComputeUnits] = [.cpuAndNeuralEngine, .all, .cpuAndGPU, .cpuOnly]
    // Two turns of each, the first with two of the three samples, after two that warm up.
    let predicted = [4, 3].flatMap { count in run.flatMap { [MLComputeUnits](repeating: $0, count: count) } }
    // The first is opened for what its metadata say.
    XCTAssertEqual(Array(FakeCoreML.shared.loads.prefix(9)), [.cpuOnly] + run + run)
    XCTAssertEqual(FakeCoreML.shared.predictions(untilLoad: 9), predicted)
    XCTAssertEqual(report.results.map(\.peakMemoryBytes), [1 << 26, 1 << 26, 1 << 26, 1 << 26])
    let planned = report.results.map { $0.operators?.map(\.unit.rawValue).joined(separator: " ") }
    XCTAssertEqual(planned, ["neuralEngine cpu", "neuralEngine cpu", "cpu cpu", "cpu cpu"])
    XCTAssertEqual(report.power?.map(\.isLowPowerMode), [true, true])
    XCTAssertEqual(report.power?.map(\.level), [0.75, 0.75])
    XCTAssertEqual(report.plan?.rounds, 2)
    let file = try Data(contentsOf: XCTUnwrap(benchmark.file))
    XCTAssertEqual(try BenchmarkReport(json: file).results, report.results)
    let spreadsheet = try XCTUnwrap(benchmark.file).deletingPathExtension().appendingPathExtension("csv")
    let table = try String(contentsOf: spreadsheet, encoding: .utf8)
    XCTAssertEqual(table.split(separator: "\r\n").count, 13)
    XCTAssertTrue(!live.isPaused)
  }

  @MainActor func testTheModelAloneIsTimedWhereItsInputCanBeMadeReady() async throws {
    let (live, benchmark) = try await states()
    (benchmark.warmUp, benchmark.runs, benchmark.rounds) = (0, 1, 1)
    benchmark.coolDown = 0
    for (path, spans) in [(InferencePath.vision, BenchmarkResult.Span.request), (.coreml, .prediction)] {
      live.path = path
      benchmark.start()
      try await eventually { !benchmark.isRunning }
      let results = try XCTUnwrap(benchmark.report).results
      XCTAssertEqual(results.map(\.spans), [spans, spans, spans, spans])
      XCTAssertEqual(results.map { $0.preprocessMS != nil }, [Bool](repeating: spans == .prediction, count: 4))
    }
  }

  func testTheFirstLoadingIsColdAndLaterOnesAreWarm() async throws {
    let package = Package(precision: "\(UUID())")
    var kinds: [BenchmarkResult.LoadKind] = []
    for units in [ComputeUnits.all, .all, .cpuOnly] { kinds.append(try await package.open(on: units).loadKind) }
    XCTAssertEqual(kinds, [.cold, .warm, .cold])
  }

  @MainActor func testALiveBenchmarkMeasuresTheCamera() async throws {
    let (live, benchmark) = try await states()
    (benchmark.kind, benchmark.warmUp, benchmark.runs) = (.live, 1, 3)
    benchmark[isPlanned: .cpuAndGPU] = false
    benchmark.coolDown = 0
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
    XCTAssertEqual(results.map { $0.sampleTimes?.count }, [3, 3, 3])
    await live.pause()
  }

  @MainActor func testACancelledBenchmarkSavesNothing() async throws {
    let (_, benchmark) = try await states()
    let gate = try await holdPredictions { benchmark.start() }
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
