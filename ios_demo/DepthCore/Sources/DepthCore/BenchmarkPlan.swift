/// What a benchmark measures: every compute unit in turn, each after its own loading and warm-up.
public struct BenchmarkPlan: Sendable, Equatable {
  /// Calls before those that count, where nobody says.
  public static let usualWarmUp = 10
  /// Calls that count, where nobody says.
  public static let usualRuns = 100

  /// Calls before those that count.
  public let warmUp: Int
  /// Calls that count.
  public let runs: Int
  /// Measured one after the other.
  public let computeUnits: [ComputeUnits]

  /// - Parameters:
  ///   - warmUp: predictions that are not counted, 0 or more.
  ///   - runs: counted predictions for each compute unit, 1 or more.
  ///   - computeUnits: at least one, none twice.
  /// - Throws: `BenchmarkPlanError`, naming the value.
  public init(
    warmUp: Int = usualWarmUp,
    runs: Int = usualRuns,
    computeUnits: [ComputeUnits] = ComputeUnits.allCases
  ) throws(BenchmarkPlanError) {
    guard (0...10_000).contains(warmUp) else { throw .warmUp(warmUp) }
    guard (1...100_000).contains(runs) else { throw .runs(runs) }
    guard !computeUnits.isEmpty, Set(computeUnits).count == computeUnits.count else {
      throw .computeUnits(computeUnits)
    }
    self.warmUp = warmUp
    self.runs = runs
    self.computeUnits = computeUnits
  }
}

/// A plan that cannot be carried out.
public enum BenchmarkPlanError: ExplainedError, Equatable {
  case warmUp(Int)
  case runs(Int)
  case computeUnits([ComputeUnits])

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .warmUp(let count): "\(count) warm-up predictions: choose 0 to 10000"
    case .runs(let count): "\(count) runs: choose 1 to 100000"
    case .computeUnits(let units):
      "compute units are [\(units.map(\.rawValue).joined(separator: ", "))]: choose at least one, none twice"
    }
  }
}
