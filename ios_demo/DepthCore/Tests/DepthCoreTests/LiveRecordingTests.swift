import Testing

@testable import DepthCore

struct LiveRecordingTests {
  private let subject = BenchmarkSubject(model: "m", backend: "vision", device: "d")

  private func recording(_ latencies: [Double], warmUp: Int, runs: Int) throws -> LiveRecording {
    let plan = try BenchmarkPlan(warmUp: warmUp, runs: runs)
    var recording = LiveRecording(plan: plan, origin: .seconds(1), time: .seconds(5), thermalState: .nominal)
    for (index, latency) in latencies.enumerated() {
      recording.add(
        latencyMS: latency, time: .seconds(6 + index), thermalState: index < 2 ? .nominal : .serious,
        memoryBytes: 100 - index)
    }
    return recording
  }

  private func finish(_ recording: LiveRecording) -> (result: BenchmarkResult, thermal: [ThermalSample])? {
    recording.result(subject: subject, computeUnits: .cpuAndGPU, loadMS: 3)
  }

  @Test func warmUpAndFramesAfterTheLastDoNotCount() throws {
    let (result, thermal) = try #require(finish(recording([90, 10, 20, 30, 99], warmUp: 1, runs: 3)))
    #expect(result.samplesMS == [10, 20, 30])
    #expect(result.mode == .live)
    #expect(result.startedSeconds == 4)
    #expect(result.sampleTimes == [6, 7, 8])
    #expect(result.peakMemoryBytes == 100)
    #expect(result.computeUnits == .cpuAndGPU)
    #expect(thermal.map(\.seconds) == [4, 7, 8])
    #expect(thermal.map(\.state) == [.nominal, .serious, .serious])
  }

  @Test func anUnfinishedRecordingHasNoResult() throws {
    let unfinished = try recording([10, 20], warmUp: 0, runs: 3)
    #expect(unfinished.count == 2 && !unfinished.isComplete)
    #expect(finish(unfinished) == nil)
  }

  @Test func aLatencyThatIsNoneSpoilsTheResult() throws {
    #expect(finish(try recording([10, -1], warmUp: 0, runs: 2)) == nil)
  }
}
