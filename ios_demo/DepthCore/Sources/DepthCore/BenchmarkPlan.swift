/// What a benchmark measures: every compute unit in turn, each after its own loading and warm-up. In several rounds, heat and whatever else
/// changes over time meets all compute units alike.
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
  /// Turns of the compute units, among which `runs` are shared out.
  public let rounds: Int
  /// Pause before each turn of a compute unit but the first, in seconds.
  public let coolDown: Double
  /// In place of `runs`: predict for so many seconds without a pause, or until the device is critically hot; nil counts.
  public let soak: Double?

  /// - Parameters:
  ///   - warmUp: predictions that are not counted, 0 or more.
  ///   - runs: counted predictions for each compute unit, 1 or more.
  ///   - computeUnits: at least one, none twice.
  ///   - rounds: 1 to `runs`; a soak has one.
  ///   - coolDown: 0 to 600 seconds.
  ///   - soak: 10 to 3600 seconds.
  /// - Throws: `BenchmarkPlanError`, naming the value.
  public init(
    warmUp: Int = usualWarmUp,
    runs: Int = usualRuns,
    computeUnits: [ComputeUnits] = ComputeUnits.allCases,
    rounds: Int = 1,
    coolDown: Double = 0,
    soak: Double? = nil
  ) throws(BenchmarkPlanError) {
    guard (0...10_000).contains(warmUp) else { throw .warmUp(warmUp) }
    guard (1...100_000).contains(runs) else { throw .runs(runs) }
    guard !computeUnits.isEmpty, Set(computeUnits).count == computeUnits.count else {
      throw .computeUnits(computeUnits)
    }
    guard (1...runs).contains(rounds), soak == nil || rounds == 1 else { throw .rounds(rounds) }
    guard (0...600).contains(coolDown) else { throw .seconds(coolDown, least: 0, most: 600) }
    if let soak, !(10...3600).contains(soak) { throw .seconds(soak, least: 10, most: 3600) }
    self.rounds = rounds
    self.coolDown = coolDown
    self.soak = soak
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
  case rounds(Int)
  case seconds(Double, least: Double, most: Double)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .warmUp(let count): "\(count) warm-up predictions: choose 0 to 10000"
    case .runs(let count): "\(count) runs: choose 1 to 100000"
    case .computeUnits(let units):
      "compute units are [\(units.map(\.rawValue).joined(separator: ", "))]: choose at least one, none twice"
    case .rounds(let count): "\(count) rounds: choose 1, or up to as many as runs where no soak is asked for"
    case .seconds(let seconds, let least, let most): "\(seconds) seconds: choose \(Int(least)) to \(Int(most))"
    }
  }
}
