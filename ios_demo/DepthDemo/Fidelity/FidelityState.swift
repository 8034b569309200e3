import DepthCore
import Foundation
import Observation

/// Progress and results of the fidelity screen.
@MainActor @Observable
final class FidelityState {
  private(set) var progress: String?
  private(set) var report: FidelityReport?
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

  /// Measures the chosen model, with the live view out of the way.
  func start() {
    guard task == nil, !live.isPaused, !live.isMeasured else { return }
    task = Task {
      await live.pause()
      await run(on: live.selection, through: live.path)
      await live.start()
      task = nil
    }
  }

  func cancel() {
    task?.cancel()
  }

  private func run(on found: FoundModel?, through path: InferencePath) async {
    (report, file, problem) = (nil, nil, nil)
    progress = "Preparing the model"
    defer { progress = nil }
    do {
      guard let found else { throw BenchmarkProblem.noModel }
      let finished = try await DeviceFidelity(found: found, path: path, store: live.store).run { units in
        Task { @MainActor [weak self] in self?.show(units) }
      }
      let place = try resultFile(in: "fidelity", named: "\(found.name)-\(path.rawValue)", at: finished.created)
      try finished.json().write(to: place, options: .atomic)
      (report, file) = (finished, place)
    } catch is CancellationError {
      problem = "Cancelled: nothing was saved."
    } catch {
      problem = error.localizedDescription
    }
  }

  private func show(_ units: ComputeUnits) {
    if progress != nil { progress = units.title }
  }
}
