import Foundation
import Testing

@testable import DepthCore

struct LatencyStatsTests {
  private struct Expected: Decodable {
    let samplesMs: [Double]
    let meanMs, medianMs, p90Ms, p95Ms, p99Ms, minMs, maxMs, fps: Double
  }

  @Test func quantilesAreNumPysToTheLastBit() throws {
    let cases = try Fixture.decode([Expected].self, "statistics.json")
    #expect(cases.count == 9)
    for expected in cases {
      let stats = try #require(LatencyStats(samplesMS: expected.samplesMs))
      #expect(stats.median == expected.medianMs)
      #expect(stats.p90 == expected.p90Ms)
      #expect(stats.p95 == expected.p95Ms)
      #expect(stats.p99 == expected.p99Ms)
      #expect(stats.min == expected.minMs)
      #expect(stats.max == expected.maxMs)
      #expect(stats.fps == expected.fps)
      // NumPy adds in pairs.
      #expect(abs(stats.mean / expected.meanMs - 1) < 1e-13)
    }
  }

  @Test func theOrderOfSamplesDoesNotMatter() throws {
    let samples = [9.0, 1, 5, 3, 7]
    #expect(LatencyStats(samplesMS: samples)?.median == 5)
    #expect(LatencyStats(samplesMS: samples)?.p90 == LatencyStats(samplesMS: samples.sorted())?.p90)
  }

  @Test(arguments: [[], [1, .nan], [1, .infinity], [1, 0], [1, -2]])
  func whatIsNoLatencyHasNoStatistics(samples: [Double]) {
    #expect(LatencyStats(samplesMS: samples) == nil)
  }
}

struct FPSMeterTests {
  /// The rate after the last of some frames.
  private func rate(_ times: [Double], window: Double = 1) -> Double? {
    var meter = FPSMeter(window: window)
    return times.map { meter.tick(at: $0) }.last ?? nil
  }

  private func near(_ rate: Double?, _ expected: Double) -> Bool {
    rate.map { abs($0 - expected) < 1e-9 } ?? false
  }

  @Test func steadyFramesHaveTheirRate() {
    #expect(near(rate((0..<100).map { Double($0) / 25 }), 25))
  }

  @Test func oneFrameHasNoRate() {
    #expect(rate([7]) == nil)
  }

  @Test func framesOutsideTheWindowAreForgotten() {
    let fast = (0..<50).map { Double($0) / 50 }
    #expect(rate(fast + [10]) == nil)
    #expect(near(rate(fast + [10, 10.5]), 2))
    #expect(near(rate(fast + [10, 10.5], window: 100), 51 / 10.5))
  }

  @Test func aClockThatGoesBackStartsOver() {
    #expect(rate([5, 1]) == nil)
    #expect(near(rate([5, 1, 1.25]), 4))
  }
}
