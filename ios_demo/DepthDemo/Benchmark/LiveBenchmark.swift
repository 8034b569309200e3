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

  /// - Throws: `CancellationError`; `BenchmarkProblem.noFrames` when the model or the camera fails.
  func run(
    on units: ComputeUnits, onProgress: (Int) -> Void
  ) async throws -> (result: BenchmarkResult, thermal: [ThermalSample]) {
    live.computeUnits = units
    await live.waitUntilOpened()
    guard let opened = live.opened else { throw BenchmarkProblem.noFrames(live.problem ?? "no model is open") }
    let sensors = Device.sensors
    var recording = LiveRecording(
      plan: plan, origin: origin, time: sensors.now(), thermalState: sensors.thermalState())
    for await frame in frames() where frame.computeUnits == units {
      recording.add(latencyMS: frame.endToEndMS, time: sensors.now(), thermalState: sensors.thermalState())
      onProgress(recording.count)
      if recording.isComplete { break }
    }
    try Task.checkCancellation()
    let finished = recording.result(
      subject: benchmarkSubject(opened.name, opened.contract, live.path), computeUnits: units,
      loadMS: opened.loadMS, peakMemoryBytes: sensors.peakMemoryBytes())
    guard let finished else { throw BenchmarkProblem.noFrames(live.problem ?? "the camera gives none") }
    return finished
  }

  /// The frames of the live view, until nobody asks for more or none comes for too long.
  private func frames() -> AsyncStream<LiveFrame> {
    let (frames, feed) = AsyncStream<LiveFrame>.makeStream()
    let patience = Self.patience
    func deadline() -> Task<Void, Never> {
      Task {
        if (try? await Task.sleep(for: patience)) != nil { feed.finish() }
      }
    }
    var waiting = deadline()
    live.observeFrames { frame in
      waiting.cancel()
      waiting = deadline()
      feed.yield(frame)
    }
    feed.onTermination = { [live] _ in
      Task { @MainActor in live.observeFrames(nil) }
    }
    return frames
  }
}
