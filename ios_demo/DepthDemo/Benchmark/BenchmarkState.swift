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
final class BenchmarkState {
  var kind = BenchmarkKind.still
  private var units = Set(ComputeUnits.allCases)
  var warmUp = BenchmarkPlan.usualWarmUp
  var runs = BenchmarkPlan.usualRuns
  /// Turns of the compute units, with a pause in seconds before each.
  var rounds = 3
  var coolDown = 5.0
  /// Minutes of a soak.
  var soak = 10

  private(set) var progress: String?
  private(set) var report: BenchmarkReport?
  /// Where the report was saved.
  private(set) var file: URL?
  private(set) var problem: String?

  private let live: LiveState
  private var task: Task<Void, Never>?

  init(live: LiveState) {
    self.live = live
  }

  var isRunning: Bool { task != nil }

  /// What `start` measures: the choice of the live screen.
  var subject: String { live.selection.map { "\($0.name), \(live.path.title)" } ?? "none" }

  /// Whether compute units are measured.
  subscript(isPlanned computeUnits: ComputeUnits) -> Bool {
    get { units.contains(computeUnits) }
    set {
      if newValue { units.insert(computeUnits) } else { units.remove(computeUnits) }
    }
  }

  /// Measures the chosen model, with the live view out of the way unless it is what is measured.
  func start() {
    guard task == nil, !live.isPaused else { return }
    task = Task {
      let needsCamera = kind == .live
      if !needsCamera { await live.pause() }
      await run(on: live.selection, through: live.path)
      if !needsCamera { await live.start() }
      task = nil
    }
  }

  /// Sets everything as a launch of the app asks.
  func set(_ launch: BenchmarkLaunch) {
    kind = launch.isLive ? .live : launch.plan.soak == nil ? .still : .soak
    (rounds, coolDown) = (launch.plan.rounds, launch.plan.coolDown)
    soak = launch.plan.soak.map { Int(($0 / 60).rounded(.up)) } ?? soak
    (warmUp, runs, units) = (launch.plan.warmUp, launch.plan.runs, Set(launch.plan.computeUnits))
  }

  func cancel() {
    task?.cancel()
  }

  /// Measures, saves the report, and says what went wrong if it did.
  func run(on found: FoundModel?, through path: InferencePath) async {
    (report, file, problem) = (nil, nil, nil)
    progress = "Preparing the model"
    defer { progress = nil }
    do {
      guard let found else { throw BenchmarkProblem.noModel }
      let plan = try BenchmarkPlan(
        warmUp: warmUp, runs: runs, computeUnits: ComputeUnits.allCases.filter(units.contains),
        rounds: kind == .still ? min(rounds, runs) : 1, coolDown: coolDown,
        soak: kind == .soak ? Double(60 * soak) : nil)
      let finished = kind == .live ? try await runLive(found, path, plan) : try await runStill(found, path, plan)
      file = try save(finished, named: "\(found.name)-\(path.rawValue)")
      report = finished
    } catch is CancellationError {
      problem = "Cancelled: nothing was saved."
    } catch {
      problem = error.localizedDescription
    }
  }

  private func runStill(
    _ found: FoundModel, _ path: InferencePath, _ plan: BenchmarkPlan
  ) async throws -> BenchmarkReport {
    let benchmark = DeviceBenchmark(found: found, path: path, plan: plan, store: live.store)
    return try await benchmark.run { step in
      Task { @MainActor [weak self] in self?.show(step.computeUnits, step.done, of: step.runs) }
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
      let one = try await LiveBenchmark(live: live, plan: plan, origin: origin).run(on: units) { [weak self] count in
        self?.show(units, count, of: plan.runs)
      }
      results.append(one.result)
      thermal += one.thermal
    }
    let seconds = (Device.sensors.now() - origin).milliseconds / 1000
    return BenchmarkReport(
      created: created, machine: Device.machine, results: results, thermal: thermal, plan: PlanRecord(plan),
      power: [power, Device.power(at: seconds)])
  }

  private func show(_ units: ComputeUnits, _ done: Int, of runs: Int) {
    if progress != nil { progress = "\(units.title): \(done) of \(runs)" }
  }

  /// Into a folder that the Files app shows.
  private func save(_ report: BenchmarkReport, named name: String) throws -> URL {
    let file = try resultFile(in: "benchmarks", named: name, at: report.created ?? Date())
    try report.json().write(to: file, options: .atomic)
    try Data(report.csv().utf8).write(to: file.deletingPathExtension().appendingPathExtension("csv"), options: .atomic)
    return file
  }
}

/// Why nothing was measured.
enum BenchmarkProblem: LocalizedError {
  case noModel
  case noFrames(String)

  var errorDescription: String? {
    switch self {
    case .noModel: "There is no model to measure: put one into this app's folder in Files."
    case .noFrames(let reason): "No frames to measure: \(reason)"
    }
  }
}
