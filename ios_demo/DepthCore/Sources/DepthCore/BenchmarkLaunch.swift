/// What an app is asked to measure by the arguments it is launched with:
///
///     --benchmark [--live] [--warm-up=N] [--runs=N] [--rounds=N] [--cool-down=SECONDS] [--soak=SECONDS]
public struct BenchmarkLaunch: Sendable, Equatable {
  /// Whether the running camera is measured, not a still image.
  public let isLive: Bool
  /// What is measured.
  public let plan: BenchmarkPlan

  /// Returns nil without `--benchmark`: then the app was not launched to measure.
  ///
  /// - Parameter arguments: of the process. Words that don't begin with two dashes are the system's or Xcode's.
  /// - Throws: `BenchmarkLaunchError` or `BenchmarkPlanError`, naming the argument.
  public init?(arguments: [String]) throws {
    guard arguments.contains("--benchmark") else { return nil }
    var (isLive, warmUp, runs) = (false, BenchmarkPlan.usualWarmUp, BenchmarkPlan.usualRuns)
    var (rounds, coolDown, soak) = (1, 0.0, Double?.none)
    for argument in arguments where argument.hasPrefix("--") {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      switch (parts.first, parts.dropFirst().first) {
      case ("--benchmark", nil): break
      case ("--live", nil): isLive = true
      case ("--warm-up", let count?): warmUp = try Self.number(count, in: argument)
      case ("--runs", let count?): runs = try Self.number(count, in: argument)
      case ("--rounds", let count?): rounds = try Self.number(count, in: argument)
      case ("--cool-down", let seconds?): coolDown = Double(try Self.number(seconds, in: argument))
      case ("--soak", let seconds?): soak = Double(try Self.number(seconds, in: argument))
      default: throw BenchmarkLaunchError.unknown(argument)
      }
    }
    self.isLive = isLive
    plan = try BenchmarkPlan(warmUp: warmUp, runs: runs, rounds: rounds, coolDown: coolDown, soak: soak)
  }

  private static func number(_ text: String, in argument: String) throws -> Int {
    guard let number = Int(text) else { throw BenchmarkLaunchError.unknown(argument) }
    return number
  }
}

/// An argument that says nothing to the benchmark.
public enum BenchmarkLaunchError: ExplainedError, Equatable {
  case unknown(String)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .unknown(let argument):
      "'\(argument)' is not understood: --benchmark takes --live, --warm-up=N, --runs=N, --rounds=N, --cool-down=S, --soak=S"
    }
  }
}
