import Testing

@testable import DepthCore

/// A live benchmark as the app runs it, with a camera of numbers.
@MainActor
struct LiveBenchmarkTests {
  private let sensors = BenchmarkSensors(thermalState: { .fair }, memoryBytes: { nil })

  private func recording(warmUp: Int, runs: Int) throws -> LiveRecording {
    let now = sensors.now()
    return LiveRecording(
      plan: try BenchmarkPlan(warmUp: warmUp, runs: runs), origin: now, time: now, thermalState: .nominal)
  }

  /// Delivers a frame each 2 ms until it is cancelled.
  private func camera(to feed: LatencyFeed) -> Task<Void, Never> {
    Task {
      var latency = 0.0
      while !Task.isCancelled {
        latency += 1
        feed.take(latency)
        try? await Task.sleep(for: .milliseconds(2))
      }
    }
  }

  private func result(of recording: LiveRecording) -> BenchmarkResult? {
    let subject = BenchmarkSubject(model: "m", backend: "vision", device: "d")
    return recording.result(subject: subject, computeUnits: .all, loadMS: 1)?.result
  }

  @Test(.timeLimit(.minutes(1))) func framesOfARunningCameraBecomeAResult() async throws {
    let feed = LatencyFeed(patience: .seconds(20))
    let camera = camera(to: feed)
    defer { camera.cancel() }
    var recording = try recording(warmUp: 3, runs: 5)
    var progress: [Int] = []
    try await recording.fill(from: feed.latencies, sensors: sensors) { progress.append($0) }
    #expect(progress == [0, 0, 0, 1, 2, 3, 4, 5])
    #expect(result(of: recording)?.samplesMS == [4, 5, 6, 7, 8])
    #expect(result(of: recording)?.mode == .live)
  }

  @Test(.timeLimit(.minutes(1))) func aSilentCameraEndsTheWaiting() async throws {
    let feed = LatencyFeed(patience: .milliseconds(20))
    feed.take(7)
    var recording = try recording(warmUp: 0, runs: 5)
    try await recording.fill(from: feed.latencies, sensors: sensors) { _ in }
    #expect(recording.count == 1)
    #expect(result(of: recording) == nil)
  }

  @Test(.timeLimit(.minutes(1))) func everyFrameStartsTheWaitingAnew() async throws {
    let feed = LatencyFeed(patience: .seconds(3))
    var recording = try recording(warmUp: 0, runs: 5)
    let camera = Task {
      for latency in 1...5 {
        try await Task.sleep(for: .milliseconds(800))
        feed.take(Double(latency))
      }
    }
    try await recording.fill(from: feed.latencies, sensors: sensors) { _ in }
    try await camera.value
    #expect(recording.isComplete)
  }

  @Test(.timeLimit(.minutes(1))) func cancellingEndsItWithoutAResult() async throws {
    let feed = LatencyFeed(patience: .seconds(20))
    let camera = camera(to: feed)
    defer { camera.cancel() }
    let started = try recording(warmUp: 0, runs: 100_000)
    let benchmark = Task {
      var recording = started
      try await recording.fill(from: feed.latencies, sensors: sensors) { _ in }
    }
    try await Task.sleep(for: .milliseconds(20))
    benchmark.cancel()
    await #expect(throws: CancellationError.self) { try await benchmark.value }
  }
}
