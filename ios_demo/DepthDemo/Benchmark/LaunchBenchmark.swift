import DepthCore
import Foundation

/// The benchmark that launch arguments ask for: every model, through Vision and Core ML, on every compute unit. Reports go
/// to standard output; then the app ends, with 0 if all went well and 1 otherwise.
@MainActor
struct LaunchBenchmark {
  let launch: BenchmarkLaunch
  let live: LiveState
  let benchmark: BenchmarkState

  func run() async -> Never {
    do {
      benchmark.set(launch)
      if launch.isLive {
        await live.start()
        if let problem = live.cameraProblem { throw MeasuringProblem.noFrames(problem.localizedDescription) }
      }
      let models = try await live.store.find()
      guard !models.isEmpty else { throw MeasuringProblem.noModel }
      var failures = 0
      for model in models {
        for path in InferencePath.allCases where try await !reported(model, path) { failures += 1 }
      }
      exit(failures == 0 ? 0 : 1)
    } catch {
      Self.end(1, error.localizedDescription)
    }
  }

  /// In the background nothing can be measured.
  static func giveUp() -> Never {
    end(1, "The app left the screen: the benchmark was given up.")
  }

  /// Ends the app and says why.
  static func end(_ code: Int32, _ reason: String) -> Never {
    say(reason)
    exit(code)
  }

  private func reported(_ model: FoundModel, _ path: InferencePath) async throws -> Bool {
    await benchmark.measure(model, through: path)
    guard let report = benchmark.report else {
      Self.say("\(model.name), \(path.title): \(benchmark.problem ?? "no report")")
      return false
    }
    FileHandle.standardOutput.write(try report.json() + Data("\n".utf8))
    return true
  }

  private static func say(_ reason: String) {
    FileHandle.standardError.write(Data((reason + "\n").utf8))
  }
}
