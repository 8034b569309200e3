import DepthCore
import Foundation

/// The benchmark that a launch argument starts: every model, through Vision and Core ML, on every compute unit. Reports go
/// to standard output; then the app ends, with 0 if all went well and 1 otherwise.
@MainActor
struct LaunchBenchmark {
  nonisolated static let argument = "--benchmark"

  let store: ModelStore
  let benchmark: BenchmarkState

  func run() async -> Never {
    do {
      let models = try await store.find()
      guard !models.isEmpty else { throw BenchmarkProblem.noModel }
      var failures = 0
      for model in models {
        for path in InferencePath.allCases where try await !reported(model, path) { failures += 1 }
      }
      exit(failures == 0 ? 0 : 1)
    } catch {
      say(error.localizedDescription)
      exit(1)
    }
  }

  private func reported(_ model: FoundModel, _ path: InferencePath) async throws -> Bool {
    await benchmark.run(on: model, through: path)
    guard let report = benchmark.report else {
      say("\(model.name), \(path.title): \(benchmark.problem ?? "no report")")
      return false
    }
    FileHandle.standardOutput.write(try report.json() + Data("\n".utf8))
    return true
  }

  private func say(_ reason: String) {
    FileHandle.standardError.write(Data((reason + "\n").utf8))
  }
}
