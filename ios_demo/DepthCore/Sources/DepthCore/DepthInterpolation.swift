import Foundation

/// The two pixels of a side whose centres a place lies between, and the share of the second; beyond the border both are the outermost.
struct Neighbours {
  let first, second: Int
  let share: Double

  /// What is less than this off the centre of a pixel is off it by rounding.
  private static let rounding: CGFloat = 1e-6

  /// Those of a side of `count` pixels around the centres of the pixels of another side; nil outside.
  ///
  /// - Parameters:
  ///   - start: where the side begins on the other one.
  ///   - length: what the side covers of the other one.
  static func along(_ pixels: Int, start: CGFloat, length: CGFloat, of count: Int) -> [Neighbours?] {
    (0..<pixels).map { pixel in
      let place = (CGFloat(pixel) + 0.5 - start) / length * CGFloat(count) - 0.5
      guard (-0.5..<CGFloat(count) - 0.5).contains(place) else { return nil }
      let centre = place.rounded()
      if abs(place - centre) < rounding { return Neighbours(first: Int(centre), second: Int(centre), share: 0) }
      let lower = place.rounded(.down)
      return Neighbours(
        first: max(Int(lower), 0), second: min(Int(lower) + 1, count - 1), share: Double(place - lower))
    }
  }
}

/// Two maps' depths of the same point.
struct DepthPair {
  /// Place of the point in the values of the other map.
  let pixel: Int
  let own, other: Double
}

extension DepthPlane {
  /// Depths of this map, interpolated at the centres of another map's pixels, beside that map's; of the pixels where both have depth.
  ///
  /// - Parameter region: what this map covers of the other one, in the other's pixels.
  func pairs(with other: DepthPlane, covering region: CGRect) -> [DepthPair] {
    let rows = Neighbours.along(other.height, start: region.minY, length: region.height, of: height)
    let columns = Neighbours.along(other.width, start: region.minX, length: region.width, of: width)
    var pairs: [DepthPair] = []
    for (row, down) in rows.enumerated() {
      guard let down else { continue }
      for (column, across) in columns.enumerated() {
        let pixel = row * other.width + column
        let depth = other.values[pixel]
        guard depth.isFinite, depth > 0, let across, let own = between(across, down) else { continue }
        pairs.append(DepthPair(pixel: pixel, own: own, other: Double(depth)))
      }
    }
    return pairs
  }

  /// Depth between the centres of pixels; nil where one of those that have a share in it has none.
  private func between(_ across: Neighbours, _ down: Neighbours) -> Double? {
    guard let upper = between(across, row: down.first) else { return nil }
    if down.share == 0 { return upper }
    guard let lower = between(across, row: down.second) else { return nil }
    return upper + (lower - upper) * down.share
  }

  private func between(_ across: Neighbours, row: Int) -> Double? {
    let (left, right) = (values[row * width + across.first], values[row * width + across.second])
    guard left.isFinite, left > 0 else { return nil }
    if across.share == 0 { return Double(left) }
    guard right.isFinite, right > 0 else { return nil }
    return Double(left) + (Double(right) - Double(left)) * across.share
  }
}

/// The middle of the sorted values, of an even number the mean of the two.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
