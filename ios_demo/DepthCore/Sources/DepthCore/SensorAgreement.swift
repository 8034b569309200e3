import Foundation

/// How a model's depth of a picture agrees with that of a sensor, such as LiDAR, which saw the same.
///
/// Counted are the pixels of the sensor's map whose centre the model saw and where both depths are finite and above 0; a sensor's map has no
/// depth where the sensor is not sure of it. There the model's map is interpolated bilinearly between the centres of its pixels, level beyond the
/// outermost: what `fcrn-mobile evaluate` does where the true map is the larger one.
public struct SensorAgreement: Sendable, Equatable, Codable {
  /// That were counted.
  public let pixels: Int
  /// Mean of |model − sensor| / sensor.
  public let absRel: Double
  /// Share of pixels whose ratio of depths, the greater over the smaller, is less than 1.25.
  public let delta1: Double
  /// Median of the sensor's depth over the median of the model's: above 1 the model sees things too near.
  public let scale: Double
  /// Whether the model's depth was multiplied by `scale` before it was compared, as its unit is not known.
  public let isAligned: Bool

  enum CodingKeys: String, CodingKey {
    case pixels, scale
    case absRel = "abs_rel"
    case delta1
    case isAligned = "aligned"
  }

  private init(pixels: Int, absRel: Double, delta1: Double, scale: Double, isAligned: Bool) {
    (self.pixels, self.absRel, self.delta1, self.scale, self.isAligned) = (pixels, absRel, delta1, scale, isAligned)
  }

  /// Compares two maps.
  ///
  /// - Parameters:
  ///   - model: of `region` alone.
  ///   - sensor: in metres, upright as the model's.
  ///   - region: what the model saw, in pixels of the sensor's map; nil for all of it.
  ///   - isAligned: whether only proportions are compared.
  /// - Returns: nil where no pixel counts.
  public init?(model: DepthPlane, sensor: DepthPlane, region: CGRect? = nil, isAligned: Bool = false) {
    let region = region ?? CGRect(x: 0, y: 0, width: CGFloat(sensor.width), height: CGFloat(sensor.height))
    let rows = Neighbours.along(
      sensor.height, start: region.minY, length: region.height, of: model.height)
    let columns = Neighbours.along(sensor.width, start: region.minX, length: region.width, of: model.width)
    var (modelled, measured): ([Double], [Double]) = ([], [])
    for (row, down) in zip(0..., rows) {
      guard let down else { continue }
      for (column, across) in zip(0..., columns) {
        let truth = sensor.values[row * sensor.width + column]
        guard truth.isFinite, truth > 0, let across, let depth = model.between(across, down) else { continue }
        modelled.append(depth)
        measured.append(Double(truth))
      }
    }
    guard !measured.isEmpty else { return nil }
    let scale = median(measured) / median(modelled)
    let factor = isAligned ? scale : 1
    var (error, within) = (0.0, 0)
    for (depth, truth) in zip(modelled, measured) {
      let depth = depth * factor
      error += abs(depth - truth) / truth
      if max(depth / truth, truth / depth) < 1.25 { within += 1 }
    }
    let count = Double(measured.count)
    self.init(
      pixels: measured.count, absRel: error / count, delta1: Double(within) / count, scale: scale,
      isAligned: isAligned)
  }

  /// Over a clip: each figure's mean over its pictures, all their pixels, and the median of their scales; nil without a picture.
  public static func mean(of pictures: [SensorAgreement]) -> SensorAgreement? {
    guard let first = pictures.first else { return nil }
    let count = Double(pictures.count)
    return SensorAgreement(
      pixels: pictures.reduce(0) { $0 + $1.pixels }, absRel: pictures.reduce(0) { $0 + $1.absRel } / count,
      delta1: pictures.reduce(0) { $0 + $1.delta1 } / count, scale: median(pictures.map(\.scale)),
      isAligned: first.isAligned)
  }

  /// Such as `sensor abs_rel 0.123, δ1 85.0 %, scale 0.912`.
  public var text: String {
    let figures = String(format: "abs_rel %.3f, δ1 %.1f %%, scale %.3f", absRel, 100 * delta1, scale)
    return "sensor \(figures)\(isAligned ? ", median-scaled" : "")"
  }
}

/// The two pixels of a side whose centres a place lies between, and the share of the second; beyond the border both are the outermost.
private struct Neighbours {
  let first, second: Int
  let share: Double

  /// Those of a side of `count` pixels around the centres of the pixels of another side; nil outside.
  ///
  /// - Parameters:
  ///   - start: where the side begins on the other one.
  ///   - length: what the side covers of the other one.
  static func along(_ pixels: Int, start: CGFloat, length: CGFloat, of count: Int) -> [Neighbours?] {
    (0..<pixels).map { pixel in
      let place = (CGFloat(pixel) + 0.5 - start) / length * CGFloat(count)
      guard (0..<CGFloat(count)).contains(place) else { return nil }
      let lower = (place - 0.5).rounded(.down)
      return Neighbours(
        first: max(Int(lower), 0), second: min(Int(lower) + 1, count - 1), share: Double(place - 0.5 - lower))
    }
  }
}

extension DepthPlane {
  /// Depth between the centres of pixels; nil where one of those that have a share in it has none.
  fileprivate func between(_ across: Neighbours, _ down: Neighbours) -> Double? {
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

  /// The map after it was turned.
  public func turned(_ rotation: Rotation) -> DepthPlane {
    func value(_ x: Int, _ y: Int) -> Float {
      switch rotation {
      case .none: values[y * width + x]
      case .right: values[(height - 1 - x) * width + y]
      case .half: values[(height - 1 - y) * width + width - 1 - x]
      case .left: values[x * width + width - 1 - y]
      }
    }
    let isTurned = rotation == .right || rotation == .left
    let (columns, rows) = isTurned ? (height, width) : (width, height)
    return DepthPlane(
      width: columns, height: rows, packed: (0..<rows).flatMap { y in (0..<columns).map { value($0, y) } })
  }
}

/// The middle of the sorted values, of an even number the mean of the two.
private func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
