import DepthCore
import Foundation
import Observation

/// What the benchmark measures.
enum BenchmarkKind: String, CaseIterable, Identifiable {
  case still = "Still image"
  case live = "Live camera"

  var id: Self { self }
}

/// Settings, progress and results of the benchmark screen.
@MainActor @Observable
final class BenchmarkState {
  var kind = BenchmarkKind.still
  private var units = Set(ComputeUnits.allCases)
  var warmUp = BenchmarkPlan.usualWarmUp
  var runs = BenchmarkPlan.usualRuns

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
    guard task == nil else { return }
    task = Task {
      if kind == .still { await live.pause() }
      await run(on: live.selection, through: live.path)
      if kind == .still { await live.start() }
      task = nil
    }
  }

  /// Sets everything as a launch of the app asks.
  func set(_ launch: BenchmarkLaunch) {
    kind = launch.isLive ? .live : .still
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
        warmUp: warmUp, runs: runs, computeUnits: ComputeUnits.allCases.filter(units.contains))
      let finished = kind == .still ? try await runStill(found, path, plan) : try await runLive(found, path, plan)
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
    let before = live.computeUnits
    defer { live.computeUnits = before }
    var results: [BenchmarkResult] = []
    var thermal: [ThermalSample] = []
    for units in plan.computeUnits {
      let one = try await LiveBenchmark(live: live, plan: plan, origin: origin).run(on: units) { [weak self] count in
        self?.show(units, count, of: plan.runs)
      }
      results.append(one.result)
      thermal += one.thermal
    }
    return BenchmarkReport(created: created, machine: Device.machine, results: results, thermal: thermal)
  }

  private func show(_ units: ComputeUnits, _ done: Int, of runs: Int) {
    if progress != nil { progress = "\(units.title): \(done) of \(runs)" }
  }

  /// Into a folder that the Files app shows.
  private func save(_ report: BenchmarkReport, named name: String) throws -> URL {
    let folder = try documentsFolder().appendingPathComponent("benchmarks", isDirectory: true)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let stamp = (report.created ?? Date()).ISO8601Format().replacingOccurrences(of: ":", with: "-")
    let file = folder.appendingPathComponent("\(name)-\(stamp).json")
    try report.json().write(to: file, options: .atomic)
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
