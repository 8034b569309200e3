import Testing

@testable import DepthCore

struct PlaybackPaceTests {
  /// When each frame is shown, if working on it takes so long.
  private func shown(_ times: [Double], taking seconds: [Double]) -> [Double] {
    var (pace, now, shown) = (PlaybackPace(), 7.0, [Double]())
    for (time, taken) in zip(times, seconds) {
      now += pace.wait(for: time, now: now)
      shown.append(now - 7)
      now += taken
    }
    return shown
  }

  @Test func noFrameComesBeforeItsTime() {
    let times = [0.5, 0.75, 1.25, 1.5]
    #expect(shown(times, taking: [0, 0, 0, 0]) == [0, 0.25, 0.75, 1])
    #expect(shown(times, taking: [0.125, 0.25, 0.25, 0]) == [0, 0.25, 0.75, 1])
  }

  @Test func whatTakesLongerPlaysSlowerAndIsNotMadeUpFor() {
    #expect(shown([0, 0.25, 0.5, 0.75], taking: [1, 0, 0, 0]) == [0, 1, 1.25, 1.5])
    #expect(shown([0, 0.25, 0.5], taking: [0.5, 0.5, 0.5]) == [0, 0.5, 1])
  }

  @Test func theLastFrameStaysAsLongAsTheOneBeforeIt() {
    #expect(shown([1, 1.25, 1.75, 1, 1.25], taking: [0, 0, 0, 0, 0]) == [0, 0.25, 0.75, 1.25, 1.5])
    // One frame is no reason to hurry.
    #expect(abs(shown([0, 0], taking: [0, 0])[1] - 1.0 / 30) < 1e-9)
  }
}
