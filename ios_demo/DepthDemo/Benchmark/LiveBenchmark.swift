import DepthCore
import Foundation

/// Times the running camera on one choice of compute units.
@MainActor
struct LiveBenchmark {
  /// Without a frame for this long, waiting is given up.
  private static let patience = Duration.seconds(10)

  let live: LiveState
  let plan: BenchmarkPlan
  /// When the whole benchmark began, on the clock of `Device.sensors`.
  let origin: Duration

  /// - Throws: `CancellationError`; `MeasuringProblem.noFrames` when the model or the camera fails.
  func run(
    on units: ComputeUnits, onProgress: (Int) -> Void
  ) async throws -> (result: BenchmarkResult, thermal: [ThermalSample]) {
    live.computeUnits = units
    await live.waitUntilOpened()
    guard let opened = live.opened else { throw MeasuringProblem.noFrames(live.problem ?? "no model is open") }
    let feed = LatencyFeed(patience: Self.patience)
    // Frames that an earlier model is still working on are none of this one's.
    live.observeFrames { if $0.model == opened.id { feed.take($0.endToEndMS) } }
    defer { live.observeFrames(nil) }
    let sensors = Device.sensors
    var recording = LiveRecording(
      plan: plan, origin: origin, time: sensors.now(), thermalState: sensors.thermalState())
    try await recording.fill(from: feed.latencies, sensors: sensors, onProgress: onProgress)
    let finished = recording.result(
      subject: benchmarkSubject(opened.name, opened.contract, live.path), computeUnits: units,
      loadMS: opened.loadMS)
    guard let finished else { throw MeasuringProblem.noFrames(live.problem ?? "the camera gives none") }
    return finished
  }
}
