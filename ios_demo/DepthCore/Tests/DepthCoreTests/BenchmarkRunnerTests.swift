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
    BenchmarkSensors(
      now: { self.time }, thermalState: { self.state }, memoryBytes: { 1000 + self.predictions },
      sleep: { self.time += $0 })
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

  func prepare() { bench.time += .milliseconds(3) }

  func predict() throws {
    bench.predictions += 1
    if bench.predictions == failsAt { throw CocoaError(.featureUnsupported) }
    bench.time += .milliseconds(10 * bench.predictions)
    if bench.predictions == 4 { bench.state = .fair }
  }
}

/// Cancels its own task with the third prediction.
private struct Cancelling: DepthPredicting {
  let bench: Bench

  func predict() {
    bench.predictions += 1
    bench.time += .milliseconds(10)
    if bench.predictions == 3 { withUnsafeCurrentTask { $0?.cancel() } }
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
    #expect(results.map(\.startedSeconds) == [0, 0.415])
    #expect(results.map(\.computeUnits) == [.cpuOnly, .all])
    #expect(results[0].checkpointSHA256 == "0a")
    #expect(results.map(\.peakMemoryBytes) == [1005, 1010])
    #expect(results[0].sampleTimes == [0.319, 0.362, 0.415])
    #expect(results[0].preprocessMS == 3)
    #expect(results[0].spans == .prediction)
    #expect(results[0].reloadMS == nil)
  }

  @Test func theThermalSeriesHasItsBeginningItsChangesAndItsEnd() throws {
    let (_, thermal) = try runner(warmUp: 2, runs: 3, [.cpuOnly]).run(load: bench.load)
    #expect(thermal.map(\.state) == [.nominal, .fair, .fair])
    #expect(thermal.map(\.seconds) == [0, 0.362, 0.415])
  }

  @Test func progressIsToldBeforeEachTurn() throws {
    var seen: [BenchmarkRunner.Progress] = []
    let plan = try BenchmarkPlan(warmUp: 5, runs: 5, computeUnits: [.all, .cpuOnly], rounds: 2)
    _ = try BenchmarkRunner(plan: plan, subject: subject, sensors: bench.sensors).run(load: bench.load) {
      seen.append($0)
    }
    #expect(seen.map(\.done) == [0, 0, 3, 3])
    #expect(seen.map(\.computeUnits) == [.all, .cpuOnly, .all, .cpuOnly])
    #expect(seen.allSatisfy { $0.runs == 5 })
  }

  @Test func roundsTakeTurnsWithPausesBetween() throws {
    let plan = try BenchmarkPlan(warmUp: 0, runs: 3, computeUnits: [.all, .cpuOnly], rounds: 2, coolDown: 7)
    let (results, _) = try BenchmarkRunner(plan: plan, subject: subject, sensors: bench.sensors).run(load: bench.load)
    #expect(bench.loaded == [.all, .cpuOnly, .all, .cpuOnly])
    #expect(results.map(\.samplesMS) == [[10, 20, 50], [30, 40, 60]])
    #expect(results.map(\.loadMS) == [250, 250])
    #expect(results.map(\.reloadMS) == [250, 250])
    // Three pauses, four loadings and six predictions before the last sample ends.
    let last: Double? = results[1].sampleTimes?.last
    #expect(last == 22.228)
  }

  @Test func aSoakLastsAsLongAsItIsAskedTo() throws {
    let plan = try BenchmarkPlan(warmUp: 2, runs: 1, computeUnits: [.all], soak: 10)
    let (results, _) = try BenchmarkRunner(plan: plan, subject: subject, sensors: bench.sensors).run(load: bench.load)
    #expect(results[0].mode == .soak)
    // Predictions of 10, 20, 30, … ms, 3 ms between them: the 44th begins before ten seconds are over and ends after.
    #expect(results[0].samplesMS.count == 42)
    let last: Double? = results[0].sampleTimes?.last
    #expect(last == 10.282)
  }

  @Test func aSoakEndsWhenTheDeviceIsCriticallyHot() throws {
    let plan = try BenchmarkPlan(warmUp: 0, runs: 1, computeUnits: [.all], soak: 3600)
    let sensors = BenchmarkSensors(
      now: { [bench] in bench.time }, thermalState: { [bench] in bench.predictions < 5 ? .serious : .critical },
      memoryBytes: { nil })
    let (results, _) = try BenchmarkRunner(plan: plan, subject: subject, sensors: sensors).run(load: bench.load)
    #expect(results[0].samplesMS.count == 5)
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
      try runner.run(load: { _ in Cancelling(bench: bench) })
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
    #expect(throws: BenchmarkPlanError.rounds(11)) { try BenchmarkPlan(runs: 10, rounds: 11) }
    #expect(throws: BenchmarkPlanError.rounds(2)) { try BenchmarkPlan(rounds: 2, soak: 60) }
    #expect(throws: BenchmarkPlanError.seconds(5, least: 10, most: 3600)) { try BenchmarkPlan(soak: 5) }
    #expect(throws: BenchmarkPlanError.seconds(-1, least: 0, most: 600)) { try BenchmarkPlan(coolDown: -1) }
    #expect("\(BenchmarkPlanError.runs(0))" == "0 runs: choose 1 to 100000")
    let shown: any Error = BenchmarkPlanError.runs(0)
    #expect(shown.localizedDescription == "0 runs: choose 1 to 100000")
  }
}
