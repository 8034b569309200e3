/// Lets a video play frame by frame, none left out, none before its time: where frames take longer than the video gives them, it plays slower.
public struct PlaybackPace: Sendable {
  /// Of the last frame: its time in the video, and when it was due.
  private var last: (time: Double, due: Double)?
  /// Between the last two frames: how long the last one of a video stays before it begins again.
  private var interval = 1.0 / 30

  /// From its beginning.
  public init() {}

  /// Takes the next frame into account.
  ///
  /// - Parameters:
  ///   - time: seconds in the video; nothing but their distances counts; where it goes back the video has begun again.
  ///   - now: seconds on any clock that never goes back.
  /// - Returns: seconds until it is due; 0 where it is late.
  public mutating func wait(for time: Double, now: Double) -> Double {
    guard let last else {
      self.last = (time, now)
      return 0
    }
    if time > last.time { interval = time - last.time }
    // What was lost is not made up for: a video that was slow goes on at its own rate.
    let due = max(now, last.due + interval)
    self.last = (time, due)
    return due - now
  }
}
