import Foundation

/// Latency statistics of raw samples, in milliseconds.
///
/// Quantiles interpolate linearly between order statistics, with the arithmetic of NumPy's default method, so that a
/// report written on a phone and one written by `fcrn-mobile bench` carry the same figures for the same samples.
public struct LatencyStats: Sendable, Equatable {
  /// Sum over count.
  public let mean: Double
  /// 50th percentile.
  public let median: Double
  /// 90th percentile.
  public let p90: Double
  /// 95th percentile.
  public let p95: Double
  /// 99th percentile.
  public let p99: Double
  /// Least.
  public let min: Double
  /// Greatest.
  public let max: Double

  /// Frames per second: 1000 / median.
  public var fps: Double { 1000 / median }

  /// Returns nil without samples, and when one of them is not finite and positive: such a sample is no latency.
  public init?(samplesMS samples: [Double]) {
    guard !samples.isEmpty, samples.allSatisfy({ $0.isFinite && $0 > 0 }) else { return nil }
    let sorted = samples.sorted()
    mean = samples.reduce(0, +) / Double(samples.count)
    median = quantile(0.5, ofSorted: sorted)
    p90 = quantile(0.9, ofSorted: sorted)
    p95 = quantile(0.95, ofSorted: sorted)
    p99 = quantile(0.99, ofSorted: sorted)
    min = sorted[0]
    max = sorted[sorted.count - 1]
  }
}

/// The quantile of ascending values, interpolated linearly at the position `fraction · (count - 1)`.
///
/// - Parameters:
///   - fraction: 0 to 1.
///   - values: ascending, at least one.
func quantile(_ fraction: Double, ofSorted values: [Double]) -> Double {
  let position = fraction * Double(values.count - 1)
  let below = Int(position.rounded(.down))
  let share = position - Double(below)
  let low = values[below]
  let high = values[Swift.min(below + 1, values.count - 1)]
  // NumPy interpolates from the nearer end: the result never leaves low...high by rounding.
  return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1 - share)
}
