/// A loaded model that can be timed.
public protocol DepthPredicting {
  /// One prediction of one frame; returns when the depth map is there.
  func predict() throws
}

/// Readings that a benchmark takes beside the predictions; tests put their own in.
public struct BenchmarkSensors: Sendable {
  /// Time since any fixed moment, on a clock that never goes back.
  public let now: @Sendable () -> Duration
  /// How hot the device is.
  public let thermalState: @Sendable () -> ThermalState
  /// The most memory so far; nil where the system doesn't tell.
  public let peakMemoryBytes: @Sendable () -> Int?

  /// From its parts.
  public init(
    now: @escaping @Sendable () -> Duration = monotonicTime,
    thermalState: @escaping @Sendable () -> ThermalState,
    peakMemoryBytes: @escaping @Sendable () -> Int?
  ) {
    self.now = now
    self.thermalState = thermalState
    self.peakMemoryBytes = peakMemoryBytes
  }

  /// Time since the first reading in this process.
  public static let monotonicTime: @Sendable () -> Duration = {
    let origin = ContinuousClock.now
    return { ContinuousClock.now - origin }
  }()
}

/// Times a model on each compute unit of a plan, and records the thermal state along the way.
///
/// Runs on the caller's thread: a hop between predictions would be timed with them.
public struct BenchmarkRunner {
  /// How far a benchmark is.
  public struct Progress: Sendable, Equatable {
    /// Where the model ran.
    public let computeUnits: ComputeUnits
    /// Counted predictions so far, of this compute unit.
    public let done: Int
    /// Calls that count.
    public let runs: Int
  }

  private let plan: BenchmarkPlan
  private let subject: BenchmarkSubject
  private let sensors: BenchmarkSensors

  /// What is measured.
  public init(plan: BenchmarkPlan, subject: BenchmarkSubject, sensors: BenchmarkSensors) {
    self.plan = plan
    self.subject = subject
    self.sensors = sensors
  }

  /// Carries out the plan.
  ///
  /// - Parameters:
  ///   - load: loads the model for compute units; its time is recorded apart from the predictions.
  ///   - onProgress: called after each counted prediction, outside the time that is measured.
  /// - Returns: one result for each compute unit, and the thermal state at the beginning, at each change and at the end.
  /// - Throws: `CancellationError` when the task is cancelled between two predictions; whatever `load` and `predict`
  ///   throw; `BenchmarkError` when the clock stands still.
  public func run(
    load: (ComputeUnits) throws -> any DepthPredicting,
    onProgress: (Progress) -> Void = { _ in }
  ) throws -> (results: [BenchmarkResult], thermal: [ThermalSample]) {
    let origin = sensors.now()
    var thermal = ThermalSeries(origin: origin, state: sensors.thermalState(), time: origin)
    var results: [BenchmarkResult] = []
    for units in plan.computeUnits {
      let started = sensors.now()
      let predictor = try load(units)
      let loadMS = (sensors.now() - started).milliseconds
      var samples: [Double] = []
      samples.reserveCapacity(plan.runs)
      for run in 0..<(plan.warmUp + plan.runs) {
        try Task.checkCancellation()
        let begin = sensors.now()
        try predictor.predict()
        let end = sensors.now()
        thermal.record(sensors.thermalState(), at: end)
        guard run >= plan.warmUp else { continue }
        samples.append((end - begin).milliseconds)
        onProgress(Progress(computeUnits: units, done: samples.count, runs: plan.runs))
      }
      guard
        let result = BenchmarkResult(
          subject: subject, computeUnits: units, mode: .isolated, samplesMS: samples, loadMS: loadMS,
          peakMemoryBytes: sensors.peakMemoryBytes(), startedSeconds: (started - origin).seconds)
      else { throw BenchmarkError.clockStoodStill(units) }
      results.append(result)
    }
    thermal.close(with: sensors.thermalState(), at: sensors.now())
    return (results, thermal.samples)
  }
}

/// A benchmark whose figures would mean nothing.
public enum BenchmarkError: ExplainedError, Equatable {
  case clockStoodStill(ComputeUnits)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .clockStoodStill(let units):
      "the clock did not advance during a prediction on \(units.rawValue): nothing was measured"
    }
  }
}

/// The thermal state over time: its first reading, each change, its last reading.
struct ThermalSeries: Sendable {
  private let origin: Duration
  private(set) var samples: [ThermalSample] = []

  /// - Parameters:
  ///   - origin: what the seconds of the samples count from.
  ///   - state: the first reading.
  init(origin: Duration, state: ThermalState, time: Duration) {
    self.origin = origin
    close(with: state, at: time)
  }

  /// Takes a reading; kept if the state changed.
  mutating func record(_ state: ThermalState, at time: Duration) {
    if state != samples.last?.state { close(with: state, at: time) }
  }

  /// Takes the last reading; kept in any case.
  mutating func close(with state: ThermalState, at time: Duration) {
    samples.append(ThermalSample(seconds: (time - origin).seconds, state: state))
  }
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }

  /// The duration in milliseconds.
  public var milliseconds: Double {
    Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15
  }
}
