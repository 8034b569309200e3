import DepthCore
import Foundation
import Observation

/// What the benchmark measures.
enum BenchmarkKind: String, CaseIterable, Identifiable {
  case still = "Still image"
  case live = "Live camera"
  case soak = "Soak"

  var id: Self { self }
}

/// Settings, progress and results of the benchmark screen.
@MainActor @Observable
final class BenchmarkState: MeasuringState {
  var kind = BenchmarkKind.still
  private var units = Set(ComputeUnits.allCases)
  var warmUp = BenchmarkPlan.usualWarmUp
  var runs = BenchmarkPlan.usualRuns
  /// Turns of the compute units, with a pause in seconds before each.
  var rounds = 3
  var coolDown = 5.0
  /// Minutes of a soak.
  var soak = 10

  let run: MeasuringRun<BenchmarkReport>
  private let live: LiveState

  init(live: LiveState) {
    self.live = live
    run = MeasuringRun(live: live)
  }

  /// Whether compute units are measured.
  subscript(isPlanned computeUnits: ComputeUnits) -> Bool {
    get { units.contains(computeUnits) }
    set {
      if newValue { units.insert(computeUnits) } else { units.remove(computeUnits) }
    }
  }

  func start() {
    run.start(needsCamera: kind == .live) { [self] in await measure(live.selection, through: live.path) }
  }

  /// Sets everything as a launch of the app asks.
  func set(_ launch: BenchmarkLaunch) {
    kind = launch.isLive ? .live : launch.plan.soak == nil ? .still : .soak
    (rounds, coolDown) = (launch.plan.rounds, launch.plan.coolDown)
    soak = launch.plan.soak.map { Int(($0 / 60).rounded(.up)) } ?? soak
    (warmUp, runs, units) = (launch.plan.warmUp, launch.plan.runs, Set(launch.plan.computeUnits))
  }

  /// Measures a model as it is set, and saves the report.
  func measure(_ found: FoundModel?, through path: InferencePath) async {
    await run.measure(found) { found in
      let plan = try BenchmarkPlan(
        warmUp: warmUp, runs: runs, computeUnits: ComputeUnits.allCases.filter(units.contains),
        rounds: kind == .still ? min(rounds, runs) : 1, coolDown: coolDown,
        soak: kind == .soak ? Double(60 * soak) : nil)
      let report = kind == .live ? try await runLive(found, path, plan) : try await runStill(found, path, plan)
      return (report, try save(report, named: "\(found.name)-\(path.rawValue)"))
    }
  }

  private func runStill(
    _ found: FoundModel, _ path: InferencePath, _ plan: BenchmarkPlan
  ) async throws -> BenchmarkReport {
    let benchmark = DeviceBenchmark(found: found, path: path, plan: plan, store: live.store)
    return try await benchmark.run { [run] step in
      Task { @MainActor in run.show(Self.text(step.computeUnits, step.done, of: step.runs)) }
    }
  }

  private func runLive(
    _ found: FoundModel, _ path: InferencePath, _ plan: BenchmarkPlan
  ) async throws -> BenchmarkReport {
    live.isMeasured = true
    defer { live.isMeasured = false }
    (live.selection, live.path) = (found, path)
    let created = Date()
    let origin = Device.sensors.now()
    let power = Device.power(at: 0)
    let before = live.computeUnits
    defer { live.computeUnits = before }
    var results: [BenchmarkResult] = []
    var thermal: [ThermalSample] = []
    for units in plan.computeUnits {
      if !results.isEmpty { try await Task.sleep(for: .seconds(plan.coolDown)) }
      let one = try await LiveBenchmark(live: live, plan: plan, origin: origin).run(on: units) { count in
        run.show(Self.text(units, count, of: plan.runs))
      }
      results.append(one.result)
      thermal += one.thermal
    }
    let seconds = (Device.sensors.now() - origin).milliseconds / 1000
    return BenchmarkReport(
      created: created, machine: Device.machine, results: results, thermal: thermal, plan: PlanRecord(plan),
      power: [power, Device.power(at: seconds)])
  }

  private static func text(_ units: ComputeUnits, _ done: Int, of runs: Int) -> String {
    "\(units.title): \(done) of \(runs)"
  }

  /// Into a folder that the Files app shows.
  private func save(_ report: BenchmarkReport, named name: String) throws -> URL {
    let file = try resultFile(in: HistoryState.folder, named: name, at: report.created ?? Date())
    try report.json().write(to: file, options: .atomic)
    try Data(report.csv().utf8).write(to: file.deletingPathExtension().appendingPathExtension("csv"), options: .atomic)
    return file
  }
}
