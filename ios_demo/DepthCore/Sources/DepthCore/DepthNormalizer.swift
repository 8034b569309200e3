/// The range of depth that the colours of a picture span.
public struct DepthRange: Sendable, Equatable {
  /// In the unit of the depth map.
  public let near: Float
  /// In the same unit, not below `near`.
  public let far: Float

  /// From its parts.
  public init(near: Float, far: Float) {
    self.near = near
    self.far = max(near, far)
  }

  /// The least range that has both in it.
  public func union(_ other: DepthRange) -> DepthRange {
    DepthRange(near: min(near, other.near), far: max(far, other.far))
  }
}

/// Finds the range of each frame from percentiles of its finite depths, and lets it follow the frames smoothly so that
/// a live picture doesn't flicker.
public struct DepthNormalizer: Sendable {
  /// Shares of the pixels that lie below the near and the far end, as in `fcrn-mobile predict`.
  public static let percentiles = (near: 0.02, far: 0.98)

  private let weight: Float
  private let sampleLimit: Int
  private var smoothed: DepthRange?

  /// - Parameters:
  ///   - weight: share of a new frame in the range, above 0 to 1; 1 does not smooth.
  ///   - sampleLimit: most pixels that are sorted for a frame; a larger frame is sampled at equal distances.
  public init(weight: Float = 0.2, sampleLimit: Int = 20_000) {
    precondition(weight > 0 && weight <= 1, "a weight of \(weight) is not above 0 and at most 1")
    precondition(sampleLimit > 0, "\(sampleLimit) samples have no percentile")
    self.weight = weight
    self.sampleLimit = sampleLimit
  }

  /// Takes a frame into account.
  ///
  /// - Returns: the range to show it with; the previous one where nothing in it is finite, 0 to 1 if there is none.
  public mutating func range(of plane: DepthPlane) -> DepthRange {
    guard let current = measure(plane) else { return smoothed ?? DepthRange(near: 0, far: 1) }
    guard let previous = smoothed else {
      smoothed = current
      return current
    }
    let next = DepthRange(
      near: previous.near + weight * (current.near - previous.near),
      far: previous.far + weight * (current.far - previous.far))
    smoothed = next
    return next
  }

  private func measure(_ plane: DepthPlane) -> DepthRange? {
    let step = (plane.values.count + sampleLimit - 1) / sampleLimit
    var finite: [Double] = []
    finite.reserveCapacity(plane.values.count / step + 1)
    for index in stride(from: 0, to: plane.values.count, by: step) where plane.values[index].isFinite {
      finite.append(Double(plane.values[index]))
    }
    guard !finite.isEmpty else { return nil }
    finite.sort()
    return DepthRange(
      near: Float(quantile(Self.percentiles.near, ofSorted: finite)),
      far: Float(quantile(Self.percentiles.far, ofSorted: finite)))
  }
}
