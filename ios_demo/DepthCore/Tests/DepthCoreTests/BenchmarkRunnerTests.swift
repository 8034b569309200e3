import Foundation
import Testing

@testable import DepthCore

/// A clock and a thermometer that tests turn by hand.
private final class Bench: @unchecked Sendable {
  var time = Duration.seconds(1000)
  var state = ThermalState.nominal
  var loaded: [ComputeUnits] = []
  var predictions = 0

  var sensors: BenchmarkSensors {
    BenchmarkSensors(now: { self.time }, thermalState: { self.state }, peakMemoryBytes: { 1 << 20 })
  }

  func load(_ units: ComputeUnits) -> any DepthPredicting {
    loaded.append(units)
    time += .milliseconds(250)
    return Predictor(bench: self)
  }
}

private struct Predictor: DepthPredicting {
  let bench: Bench
  var failsAt: Int?

  func predict() throws {
    bench.predictions += 1
    if bench.predictions == failsAt { throw CocoaError(.featureUnsupported) }
    bench.time += .milliseconds(10 * bench.predictions)
    if bench.predictions == 4 { bench.state = .fair }
  }
}

struct BenchmarkRunnerTests {
  private let bench = Bench()
  private let subject = BenchmarkSubject(model: "m", backend: "coreml", device: "d", checkpointSHA256: "0a")

  private func runner(warmUp: Int, runs: Int, _ units: [ComputeUnits]) throws -> BenchmarkRunner {
    let plan = try BenchmarkPlan(warmUp: warmUp, runs: runs, computeUnits: units)
    return BenchmarkRunner(plan: plan, subject: subject, sensors: bench.sensors)
  }

  @Test func warmUpAndLoadingAreNotAmongTheSamples() throws {
    let (results, _) = try runner(warmUp: 2, runs: 3, [.cpuOnly, .all]).run(load: bench.load)
    #expect(bench.loaded == [.cpuOnly, .all])
    #expect(results.map(\.samplesMS) == [[30, 40, 50], [80, 90, 100]])
    #expect(results.map(\.loadMS) == [250, 250])
    #expect(results.map(\.startedSeconds) == [0, 0.4])
    #expect(results.map(\.computeUnits) == [.cpuOnly, .all])
    #expect(results[0].checkpointSHA256 == "0a")
    #expect(results[0].peakMemoryBytes == 1 << 20)
  }

  @Test func theThermalSeriesHasItsBeginningItsChangesAndItsEnd() throws {
    let (_, thermal) = try runner(warmUp: 2, runs: 3, [.cpuOnly]).run(load: bench.load)
    #expect(thermal.map(\.state) == [.nominal, .fair, .fair])
    #expect(thermal.map(\.seconds) == [0, 0.35, 0.4])
  }

  @Test func progressCountsWhatIsMeasured() throws {
    var seen: [BenchmarkRunner.Progress] = []
    _ = try runner(warmUp: 5, runs: 2, [.all]).run(load: bench.load) { seen.append($0) }
    #expect(seen.map(\.done) == [1, 2])
    #expect(seen.allSatisfy { $0.runs == 2 && $0.computeUnits == .all })
  }

  @Test func timeSpentOnProgressIsNotMeasured() throws {
    let (results, _) = try runner(warmUp: 0, runs: 3, [.all]).run(load: bench.load) { _ in bench.time += .seconds(9) }
    #expect(results[0].samplesMS == [10, 20, 30])
  }

  @Test func aFailingPredictionEndsTheBenchmark() throws {
    let runner = try runner(warmUp: 0, runs: 5, [.all])
    #expect(throws: CocoaError.self) { try runner.run(load: { _ in Predictor(bench: bench, failsAt: 3) }) }
    #expect(bench.predictions == 3)
  }

  @Test func aClockThatStandsStillGivesNoFigures() throws {
    struct Instant: DepthPredicting { func predict() {} }
    let runner = try runner(warmUp: 0, runs: 2, [.cpuOnly])
    #expect(throws: BenchmarkError.clockStoodStill(.cpuOnly)) { try runner.run(load: { _ in Instant() }) }
  }

  @Test func aCancelledTaskStopsBetweenTwoPredictions() async throws {
    let runner = try runner(warmUp: 0, runs: 1000, [.all])
    let task = Task { [bench] in
      try runner.run(load: bench.load) { progress in
        if progress.done == 3 { withUnsafeCurrentTask { $0?.cancel() } }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(bench.predictions == 3)
  }

  @Test func theRealClockAdvances() {
    let first = BenchmarkSensors.monotonicTime()
    let second = BenchmarkSensors.monotonicTime()
    #expect(first >= .zero && second > first)
  }

  @Test func durationsKeepTheirFractions() {
    #expect(Duration.microseconds(1500).milliseconds == 1.5)
    #expect(Duration.milliseconds(-2500).seconds == -2.5)
  }
}

struct BenchmarkPlanTests {
  @Test func everyComputeUnitIsPlannedUnlessToldOtherwise() throws {
    #expect(Set(try BenchmarkPlan().computeUnits) == Set(ComputeUnits.allCases))
  }

  @Test func valuesThatCannotBeMeasuredAreNamed() {
    #expect(throws: BenchmarkPlanError.warmUp(-1)) { try BenchmarkPlan(warmUp: -1) }
    #expect(throws: BenchmarkPlanError.runs(0)) { try BenchmarkPlan(runs: 0) }
    #expect(throws: BenchmarkPlanError.computeUnits([])) { try BenchmarkPlan(computeUnits: []) }
    #expect(throws: BenchmarkPlanError.computeUnits([.all, .all])) { try BenchmarkPlan(computeUnits: [.all, .all]) }
    #expect("\(BenchmarkPlanError.runs(0))" == "0 runs: choose 1 to 100000")
    let shown: any Error = BenchmarkPlanError.runs(0)
    #expect(shown.localizedDescription == "0 runs: choose 1 to 100000")
  }
}
