import Foundation

/// What the numbers of a depth map count, under the names that metadata use. The only place that puts a unit behind a depth.
public enum DepthUnit: String, Sendable, CaseIterable {
  case metres
  /// Of a network that learned from a video alone: depths have right proportions to each other, their unit is unknown.
  case relative = "up to scale"

  /// A depth at a point, such as `1.70 m` or `1.70 (relative)`; nil where there is none.
  public func text(_ depth: Float?) -> String {
    depth.map { String(format: "%.2f ", Double($0)) + suffix } ?? "no depth"
  }

  /// A range of depth, such as `0.4 to 6.1 m`.
  public func text(_ range: DepthRange) -> String {
    String(format: "%.1f to %.1f ", Double(range.near), Double(range.far)) + suffix
  }

  private var suffix: String {
    switch self {
    case .metres: "m"
    case .relative: "(relative)"
    }
  }
}
