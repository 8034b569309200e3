import Testing

@testable import DepthCore

struct FrameRateTests {
  @Test func heatLowersTheRateAndThenEndsIt() {
    #expect(ThermalState.allCases.map(\.frameRateLimit) == [nil, nil, 10, 0])
  }

  /// Frames of a camera at this rate, with a jitter of 4 ms, that pass in ten seconds.
  private func passed(of rate: Double, limit: Double?) -> Int {
    var limiter = FrameRateLimiter()
    return (0..<Int(rate * 10)).filter {
      limiter.admits(at: Double($0) / rate + Double($0 % 3 - 1) * 0.004, limit: limit)
    }
    .count
  }

  @Test func theRateIsKeptOnAverage() {
    #expect((98...102).contains(passed(of: 30, limit: 10)))
    #expect((98...102).contains(passed(of: 24, limit: 10)))
    #expect(passed(of: 8, limit: 10) == 80)
    #expect(passed(of: 30, limit: nil) == 300)
    #expect(passed(of: 30, limit: 0) == 0)
  }

  @Test func afterAPauseNothingIsMadeUpFor() {
    var limiter = FrameRateLimiter()
    let passed = [0, 5.0, 5.03, 5.06, 5.09].filter { limiter.admits(at: $0, limit: 10) }
    #expect(passed == [0, 5.0, 5.06])
  }
}
