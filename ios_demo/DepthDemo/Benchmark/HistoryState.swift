import DepthCore
import Foundation
import Observation

/// The benchmarks of before, as they lie in the app's folder.
@MainActor @Observable
final class HistoryState {
  /// Below the app's folder.
  nonisolated static let folder = "benchmarks"

  private(set) var entries: [BenchmarkEntry] = []
  private(set) var problem: String?

  /// Reads the folder, away from the main thread.
  func refresh() async {
    do {
      let history = try Self.history()
      entries = try await Task.detached { try history.entries() }.value
      problem = nil
    } catch {
      problem = error.localizedDescription
    }
  }

  /// Deletes those at some places of the list, with their samples.
  func delete(at places: IndexSet) async {
    var failure: String?
    for place in places where entries.indices.contains(place) {
      do {
        try Self.history().delete(entries[place])
      } catch {
        failure = error.localizedDescription
      }
    }
    await refresh()
    if let failure { problem = failure }
  }

  private static func history() throws -> BenchmarkHistory {
    BenchmarkHistory(folder: try documentsFolder().appendingPathComponent(folder, isDirectory: true))
  }
}

extension BenchmarkEntry {
  /// For people: when, or the name of a file that doesn't say.
  var title: String { report?.created?.formatted() ?? file.lastPathComponent }

  /// For people: device, what each model took, how hot it became, or why it cannot be read.
  var lines: [String] {
    guard let report else { return ["unreadable: \(problem ?? "no reason given")"] }
    let results = report.results.map { result in
      let mode = result.mode.map { $0 == .isolated ? "" : ", \($0.rawValue)" } ?? ""
      let median = String(format: "%.2f ms", result.medianMS)
      return "\(result.model), \(result.backend), \(result.computeUnits.title)\(mode): median \(median)"
    }
    return [report.measuredOn] + results + ["thermal \(report.hottest.map { "\($0.rawValue) at most" } ?? "not told")"]
  }
}
