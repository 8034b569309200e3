/// Frames per second over a sliding window of time.
public struct FPSMeter: Sendable {
  private let window: Double
  private var times: [Double] = []

  /// - Parameter window: seconds that are looked back on.
  public init(window: Double = 1) {
    precondition(window > 0, "a window of \(window) s holds no frames")
    self.window = window
  }

  /// Counts one frame.
  ///
  /// - Parameter time: seconds on any clock that never goes back; a time before the last one starts over.
  /// - Returns: frames per second, nil until the window holds two frames.
  public mutating func tick(at time: Double) -> Double? {
    if let last = times.last, time < last { times.removeAll() }
    times.append(time)
    times.removeAll { $0 < time - window }
    guard let first = times.first, time > first else { return nil }
    return Double(times.count - 1) / (time - first)
  }
}
