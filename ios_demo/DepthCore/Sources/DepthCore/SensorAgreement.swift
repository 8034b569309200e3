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
    let pairs = model.pairs(with: sensor, covering: region)
    guard !pairs.isEmpty else { return nil }
    let scale = median(pairs.map(\.other)) / median(pairs.map(\.own))
    let factor = isAligned ? scale : 1
    var (error, within) = (0.0, 0)
    for pair in pairs {
      let (depth, truth) = (pair.own * factor, pair.other)
      error += abs(depth - truth) / truth
      if max(depth / truth, truth / depth) < 1.25 { within += 1 }
    }
    let count = Double(pairs.count)
    self.init(
      pixels: pairs.count, absRel: error / count, delta1: Double(within) / count, scale: scale,
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

extension DepthPlane {
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
