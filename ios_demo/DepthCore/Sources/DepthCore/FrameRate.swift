extension ThermalState {
  /// Frames per second that live depth keeps to: fewer when Apple asks apps to do less, none when it asks them to do next to nothing; nil
  /// where there is no limit.
  public var frameRateLimit: Double? {
    switch self {
    case .nominal, .fair: nil
    case .serious: 10
    case .critical: 0
    }
  }
}

/// Lets frames pass at a limited rate.
public struct FrameRateLimiter: Sendable {
  private var next: Double?

  /// From its parts.
  public init() {}

  /// Whether a frame is worked on now.
  ///
  /// - Parameters:
  ///   - time: seconds on any clock that never goes back.
  ///   - limit: frames per second, above 0; nil lets every frame pass.
  public mutating func admits(at time: Double, limit: Double?) -> Bool {
    guard let limit, limit > 0 else {
      next = nil
      return limit == nil
    }
    // A camera's frames don't come at equal distances: one that is a little early is not left out.
    if let next, time < next - 0.25 / limit { return false }
    // On time, the rate is kept on average; after a pause it begins anew.
    next = max((next ?? time) + 1 / limit, time + 0.75 / limit)
    return true
  }
}
