import Foundation

/// A loaded model that can be timed.
public protocol DepthPredicting {
  var spans: BenchmarkResult.Span { get }
  /// Whether this model was loaded on these units before; nil where it isn't known.
  var loadKind: BenchmarkResult.LoadKind? { get }
  /// Brings the image into the model's input, where `predict` doesn't.
  func prepare() throws
  /// One prediction of one frame; returns when the depth map is there.
  func predict() throws
}

extension DepthPredicting {
  /// The model alone.
  public var spans: BenchmarkResult.Span { .prediction }
  /// Not known.
  public var loadKind: BenchmarkResult.LoadKind? { nil }
  /// Nothing is to be prepared.
  public func prepare() throws {}
}

/// Readings that a benchmark takes beside the predictions; tests put their own in.
public struct BenchmarkSensors: Sendable {
  /// Time since any fixed moment, on a clock that never goes back.
  public let now: @Sendable () -> Duration
  /// How hot the device is.
  public let thermalState: @Sendable () -> ThermalState
  /// Memory that the system charges the process with now; nil where it doesn't say.
  public let memoryBytes: @Sendable () -> Int?
  /// Lets time pass.
  public let sleep: @Sendable (Duration) -> Void

  /// From its parts.
  public init(
    now: @escaping @Sendable () -> Duration = monotonicTime,
    thermalState: @escaping @Sendable () -> ThermalState,
    memoryBytes: @escaping @Sendable () -> Int?,
    sleep: @escaping @Sendable (Duration) -> Void = { Thread.sleep(forTimeInterval: $0.milliseconds / 1000) }
  ) {
    self.now = now
    self.thermalState = thermalState
    self.memoryBytes = memoryBytes
    self.sleep = sleep
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
  ///   - onProgress: called before each turn of a compute unit: what it does doesn't run beside a prediction.
  /// - Returns: one result for each compute unit, and the thermal state at the beginning, at each change and at the end.
  /// - Throws: `CancellationError` when the task is cancelled between two predictions; whatever `load` and `predict`
  ///   throw; `BenchmarkError` when the clock stands still.
  public func run(
    load: (ComputeUnits) throws -> any DepthPredicting,
    onProgress: (Progress) -> Void = { _ in }
  ) throws -> (results: [BenchmarkResult], thermal: [ThermalSample]) {
    let origin = sensors.now()
    var thermal = ThermalSeries(origin: origin, state: sensors.thermalState(), time: origin)
    var series = plan.computeUnits.map { Series(units: $0) }
    for round in 0..<plan.rounds {
      for index in series.indices {
        onProgress(Progress(computeUnits: series[index].units, done: series[index].samples.count, runs: plan.runs))
        if round + index > 0 { try pause() }
        try measure(round, origin, load, &series[index], &thermal)
      }
    }
    thermal.close(with: sensors.thermalState(), at: sensors.now())
    return (try series.map(result), thermal.samples)
  }

  /// What was measured on one choice of compute units so far.
  private struct Series {
    let units: ComputeUnits
    var samples: [Double] = []
    var times: [Double] = []
    var preparations: [Double] = []
    var loads: [Double] = []
    var started: Double?
    var memory: Int?
    var spans = BenchmarkResult.Span.prediction
    var loadKind: BenchmarkResult.LoadKind?
  }

  /// One turn: loading, warm-up, predictions.
  private func measure(
    _ round: Int, _ origin: Duration, _ load: (ComputeUnits) throws -> any DepthPredicting, _ series: inout Series,
    _ thermal: inout ThermalSeries
  ) throws {
    let started = sensors.now()
    let predictor = try load(series.units)
    series.loads.append((sensors.now() - started).milliseconds)
    if series.started == nil {
      series.started = (started - origin).seconds
      (series.spans, series.loadKind) = (predictor.spans, predictor.loadKind)
    }
    var (warmUp, counted) = (plan.warmUp, 0)
    let begun = sensors.now()
    while !isOver(round, counted, since: begun) {
      try Task.checkCancellation()
      let asked = sensors.now()
      try predictor.prepare()
      let begin = sensors.now()
      try predictor.predict()
      let end = sensors.now()
      thermal.record(sensors.thermalState(), at: end)
      series.memory = [series.memory, sensors.memoryBytes()].compactMap { $0 }.max()
      if warmUp > 0 {
        warmUp -= 1
        continue
      }
      counted += 1
      series.samples.append((end - begin).milliseconds)
      series.times.append((end - origin).seconds)
      series.preparations.append((begin - asked).milliseconds)
    }
  }

  /// Whether a turn has all its samples.
  private func isOver(_ round: Int, _ counted: Int, since begun: Duration) -> Bool {
    guard let soak = plan.soak else {
      return counted >= plan.runs / plan.rounds + (round < plan.runs % plan.rounds ? 1 : 0)
    }
    let isSpent = (sensors.now() - begun).seconds >= soak || sensors.thermalState() == .critical
    return counted > 0 && isSpent || counted >= Self.mostSamples
  }

  private static let mostSamples = 1_000_000

  /// Lets the device cool down; in small parts, so that cancelling doesn't wait.
  private func pause() throws {
    let end = sensors.now() + .seconds(plan.coolDown)
    while sensors.now() < end {
      try Task.checkCancellation()
      sensors.sleep(min(end - sensors.now(), .milliseconds(100)))
    }
  }

  private func result(_ series: Series) throws -> BenchmarkResult {
    let later = LatencyStats(samplesMS: Array(series.loads.dropFirst()))
    let details = BenchmarkResult.Details(
      spans: series.spans,
      preprocessMS: series.spans == .prediction ? quantile(0.5, ofSorted: series.preparations.sorted()) : nil,
      sampleTimes: series.times, loadKind: series.loadKind, reloadMS: later?.median)
    guard
      let result = BenchmarkResult(
        subject: subject, computeUnits: series.units, mode: plan.soak == nil ? .isolated : .soak,
        samplesMS: series.samples,
        loadMS: series.loads[0], peakMemoryBytes: series.memory, startedSeconds: series.started ?? 0, details: details)
    else { throw BenchmarkError.clockStoodStill(series.units) }
    return result
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
