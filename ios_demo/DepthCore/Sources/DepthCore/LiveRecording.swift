/// Collects latencies of a running camera into a benchmark result.
public struct LiveRecording: Sendable {
  private let plan: BenchmarkPlan
  private let startedSeconds: Double
  private var seen = 0
  private var samples: [Double] = []
  private var series: ThermalSeries
  private var times: [Double] = []
  private var memory: Int?
  private let origin: Duration

  /// - Parameters:
  ///   - plan: how many frames; its compute units are not looked at.
  ///   - origin: when the whole benchmark began.
  ///   - time: now, on the clock of `origin` and `add`.
  public init(plan: BenchmarkPlan, origin: Duration, time: Duration, thermalState: ThermalState) {
    self.plan = plan
    startedSeconds = (time - origin).seconds
    self.origin = origin
    series = ThermalSeries(origin: origin, state: thermalState, time: time)
    samples.reserveCapacity(plan.runs)
  }

  /// Counted frames so far.
  public var count: Int { samples.count }

  /// Whether there are as many samples as planned.
  public var isComplete: Bool { samples.count >= plan.runs }

  /// Takes a frame; the first ones are warm-up, those after the last one are ignored.
  ///
  /// - Parameter memoryBytes: of the process now, nil where the system doesn't say.
  public mutating func add(latencyMS: Double, time: Duration, thermalState: ThermalState, memoryBytes: Int? = nil) {
    guard !isComplete else { return }
    seen += 1
    memory = [memory, memoryBytes].compactMap { $0 }.max()
    if seen > plan.warmUp {
      samples.append(latencyMS)
      times.append((time - origin).seconds)
    }
    if isComplete {
      series.close(with: thermalState, at: time)
    } else {
      series.record(thermalState, at: time)
    }
  }

  /// Takes frames as they come, until the recording is complete or no more come.
  ///
  /// - Parameter onProgress: called after each frame with the number of those that count.
  /// - Throws: `CancellationError`.
  @MainActor public mutating func fill(
    from latencies: AsyncStream<Double>, sensors: BenchmarkSensors, onProgress: (Int) -> Void
  ) async throws {
    for await latency in latencies {
      add(
        latencyMS: latency, time: sensors.now(), thermalState: sensors.thermalState(),
        memoryBytes: sensors.memoryBytes())
      onProgress(count)
      if isComplete { break }
    }
    try Task.checkCancellation()
  }

  /// The result, nil until it is complete, and when a latency was not finite and positive.
  public func result(
    subject: BenchmarkSubject, computeUnits: ComputeUnits, loadMS: Double
  ) -> (result: BenchmarkResult, thermal: [ThermalSample])? {
    guard isComplete else { return nil }
    let result = BenchmarkResult(
      subject: subject, computeUnits: computeUnits, mode: .live, samplesMS: samples, loadMS: loadMS,
      peakMemoryBytes: memory, startedSeconds: startedSeconds, details: .init(sampleTimes: times))
    return result.map { ($0, series.samples) }
  }
}
