import DepthCore
import Foundation
import Observation

/// Progress, end and result of what a screen measures; one at a time has the device to itself.
@MainActor @Observable
final class MeasuringRun<Report> {
  private(set) var progress: String?
  private(set) var report: Report?
  /// Where the report was saved.
  private(set) var file: URL?
  private(set) var problem: String?

  let live: LiveState
  private var task: Task<Void, Never>?

  init(live: LiveState) {
    self.live = live
  }

  var isRunning: Bool { task != nil }

  /// Runs `body`, with the live view out of the way unless it is what is measured; nothing while something else is measured.
  func start(needsCamera: Bool = false, _ body: @escaping @MainActor () async -> Void) {
    guard task == nil, !live.isPaused, !live.isMeasured else { return }
    task = Task {
      if !needsCamera { await live.pause() }
      await body()
      if !needsCamera { await live.start() }
      task = nil
    }
  }

  func cancel() {
    task?.cancel()
  }

  /// Measures a model, keeps the report and where it was saved, or says what went wrong.
  func measure(
    _ found: FoundModel?, _ body: @MainActor (FoundModel) async throws -> (report: Report, file: URL)
  ) async {
    (report, file, problem) = (nil, nil, nil)
    progress = "Preparing the model"
    defer { progress = nil }
    do {
      guard let found else { throw MeasuringProblem.noModel }
      let result = try await body(found)
      (report, file) = (result.report, result.file)
    } catch is CancellationError {
      problem = "Cancelled: nothing was saved."
    } catch {
      problem = error.localizedDescription
    }
  }

  /// Says how far it is, unless it has ended meanwhile.
  func show(_ text: String) {
    if progress != nil { progress = text }
  }
}

/// What a screen that measures shows of its run.
@MainActor protocol MeasuringState: AnyObject {
  associatedtype Report
  var run: MeasuringRun<Report> { get }
  /// Measures what the live screen is set to.
  func start()
}

extension MeasuringState {
  var progress: String? { run.progress }
  var report: Report? { run.report }
  var file: URL? { run.file }
  var problem: String? { run.problem }
  var isRunning: Bool { run.isRunning }

  /// What `start` measures: the choice of the live screen.
  var subject: String { run.live.selection.map { "\($0.name), \(run.live.path.title)" } ?? "none" }

  func cancel() {
    run.cancel()
  }
}

/// Why nothing was measured.
enum MeasuringProblem: LocalizedError {
  case noModel
  case noFrames(String)

  var errorDescription: String? {
    switch self {
    case .noModel: "There is no model to measure: put one into this app's folder in Files."
    case .noFrames(let reason): "No frames to measure: \(reason)"
    }
  }
}
