import Foundation

/// A model's depth map, and the part of an image that it shows.
public struct ShownDepth: Sendable, Equatable {
  /// Of that part alone.
  public let plane: DepthPlane
  /// In pixels of the upright image.
  public let region: CGRect
  /// What the map's numbers count.
  public let scale: DepthScale

  /// From its parts.
  public init(plane: DepthPlane, region: CGRect, scale: DepthScale) {
    (self.plane, self.region, self.scale) = (plane, region, scale)
  }

  /// The pixels whose centres lie in a part of the image, in a common unit; nil where there are none.
  fileprivate func clipped(to part: CGRect, times factor: Double) -> DepthPlane? {
    let rows = Self.inside(plane.height, from: region.minY, to: region.maxY, part.minY, part.maxY)
    let columns = Self.inside(plane.width, from: region.minX, to: region.maxX, part.minX, part.maxX)
    return rows.isEmpty || columns.isEmpty ? nil : plane.part(rows: rows, columns: columns, times: factor)
  }

  private static func inside(
    _ count: Int, from start: CGFloat, to end: CGFloat, _ least: CGFloat, _ most: CGFloat
  ) -> Range<Int> {
    let pixel = (end - start) / CGFloat(count)
    let inside = (0..<count).filter { (least..<most).contains(start + (CGFloat($0) + 0.5) * pixel) }
    return (inside.first ?? 0)..<(inside.last.map { $0 + 1 } ?? 0)
  }
}

/// How far two models' depth maps of one image are apart, over the part of it that both show.
///
/// Metres are compared as they are. Where one map has no unit, it is multiplied by the ratio of the medians, over the pixels where both have
/// depth, and counts what the other counts; where neither has one, the second is.
public struct DepthDifference: Sendable, Equatable {
  /// How the maps came to count the same.
  public enum Alignment: Sendable, Equatable {
    /// Both count metres.
    case none
    /// The first map was multiplied.
    case first(times: Double)
    /// The second map was multiplied.
    case second(times: Double)
  }

  /// What is shown of differences: from a quarter nearer to a quarter farther.
  public static let range = DepthRange(near: -0.25, far: 0.25)

  /// The first map, over the part that both show.
  public let first: DepthPlane
  /// The second map, over the part that both show, in the unit of the first.
  public let second: DepthPlane
  /// (second - first) / first at each pixel of the first map; not a number where one of them has no depth.
  public let relative: DepthPlane
  /// Median of the absolute values of `relative`.
  public let medianRelative: Double
  /// How many pixels were compared.
  public let pixels: Int
  /// How they came to count the same.
  public let alignment: Alignment
  /// What both count.
  public let scale: DepthScale

  /// Compares two maps.
  ///
  /// - Returns: nil where no pixel has depth in both.
  public init?(_ first: ShownDepth, _ second: ShownDepth) {
    let pairs = second.plane.pairs(with: first.plane, covering: second.region(inPixelsOf: first))
    guard !pairs.isEmpty else { return nil }
    let ratio = median(pairs.map(\.other)) / median(pairs.map(\.own))
    switch (first.scale, second.scale) {
    case (_, .relative): (alignment, scale) = (.second(times: ratio), first.scale)
    case (.relative, _): (alignment, scale) = (.first(times: 1 / ratio), second.scale)
    case (.uncalibrated, _), (_, .uncalibrated): (alignment, scale) = (.none, .uncalibrated)
    default: (alignment, scale) = (.none, first.scale)
    }
    let factors = alignment.factors
    var differences = [Float](repeating: .nan, count: first.plane.values.count)
    for pair in pairs {
      let reference = pair.other * factors.first
      differences[pair.pixel] = Float((pair.own * factors.second - reference) / reference)
    }
    let whole = DepthPlane(width: first.plane.width, height: first.plane.height, packed: differences)
    let common = first.region.intersection(second.region)
    guard let own = first.clipped(to: common, times: factors.first),
      let other = second.clipped(to: common, times: factors.second),
      let relative = ShownDepth(plane: whole, region: first.region, scale: scale).clipped(to: common, times: 1)
    else { return nil }
    (self.first, self.second, self.relative) = (own, other, relative)
    (pixels, medianRelative) = (pairs.count, median(pairs.map { Double(abs(differences[$0.pixel])) }))
  }

  /// Both depths and their difference at a point, given in shares of width and height.
  public func readings(at share: CGPoint) -> (first: String, second: String, difference: String) {
    func place(_ plane: DepthPlane) -> CGPoint {
      CGPoint(x: share.x * CGFloat(plane.width), y: share.y * CGFloat(plane.height))
    }
    return (
      scale.text(first.depth(at: place(first))), scale.text(second.depth(at: place(second))),
      relative.value(at: place(relative)).map(Self.percent) ?? "no depth"
    )
  }

  /// A relative difference, such as `+3.1 %`.
  public static func percent(_ share: Float) -> String {
    String(format: "%+.1f %%", 100 * Double(share))
  }

  /// Such as `3.1 % apart in the median`, and below it how the maps came to count the same.
  public var lines: [String] {
    [String(format: "%.1f %% apart in the median", 100 * medianRelative), alignment.text(in: scale)]
  }
}

extension DepthDifference.Alignment {
  /// By what each map was multiplied.
  public var factors: (first: Double, second: Double) {
    switch self {
    case .none: (1, 1)
    case .first(let factor): (factor, 1)
    case .second(let factor): (1, factor)
    }
  }

  fileprivate func text(in scale: DepthScale) -> String {
    switch self {
    case .none: scale == .uncalibrated ? "compared in metres, uncalibrated" : "compared in metres"
    case .first(let factor): String(format: "A has no unit: × %.3f by the medians", factor)
    case .second(let factor): String(format: "B has no unit: × %.3f by the medians", factor)
    }
  }
}

extension ShownDepth {
  /// What this map shows, in pixels of another map of the same image.
  fileprivate func region(inPixelsOf other: ShownDepth) -> CGRect {
    let across = CGFloat(other.plane.width) / other.region.width
    let down = CGFloat(other.plane.height) / other.region.height
    return CGRect(
      x: (region.minX - other.region.minX) * across, y: (region.minY - other.region.minY) * down,
      width: region.width * across, height: region.height * down)
  }
}
