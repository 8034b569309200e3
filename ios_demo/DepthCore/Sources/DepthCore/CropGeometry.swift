import Foundation

/// Width and height in pixels, both positive.
public struct PixelSize: Sendable, Equatable, CustomStringConvertible {
  /// Pixels of a row.
  public let width: Int
  /// Rows.
  public let height: Int

  /// From its parts.
  public init(width: Int, height: Int) {
    precondition(width > 0 && height > 0, "\(width)×\(height) pixels are no picture")
    self.width = width
    self.height = height
  }

  /// Such as `320×224`.
  public var description: String { "\(width)×\(height)" }
}

/// How far an image must be turned clockwise to stand upright.
public enum Rotation: Int, Sendable, CaseIterable {
  case none = 0
  case right = 90
  case half = 180
  case left = 270
}

/// How an image of another shape is brought to the model's input, under the names that metadata use.
public enum Framing: String, Sendable, CaseIterable, Decodable {
  /// All of it, stretched.
  case stretch
  /// The largest centred part of the model's aspect ratio.
  case crop
  /// All of it in its own aspect ratio, between bars.
  case letterbox
}

/// Which point of a camera image a point of the depth map shows, and the other way round.
///
/// Points are in pixels, (0, 0) being the outer corner of the first pixel, x to the right and y down. The image is
/// turned upright, cropped or put between bars, and scaled to the model; the depth map covers exactly what the model saw.
public struct CropGeometry: Sendable, Equatable {
  /// Of the camera's image as it is stored.
  public let image: PixelSize
  /// Of the depth map.
  public let depth: PixelSize
  /// That makes the image upright.
  public let rotation: Rotation
  /// What the model sees, in pixels of the upright image; reaches out of it where there are bars.
  public let crop: CGRect

  /// - Parameters:
  ///   - image: of the camera's image as it is stored.
  ///   - rotation: that makes it upright.
  ///   - model: input of the model.
  ///   - depth: output of the model.
  ///   - framing: that the model asks for.
  public init(image: PixelSize, rotation: Rotation, model: PixelSize, depth: PixelSize, framing: Framing) {
    self.image = image
    self.depth = depth
    self.rotation = rotation
    let upright = Self.uprightSize(of: image, rotation)
    let (across, down) = (upright.width / CGFloat(model.width), upright.height / CGFloat(model.height))
    switch framing {
    case .stretch: crop = CGRect(origin: .zero, size: upright)
    case .crop: crop = Self.centred(in: upright, model, scale: min(across, down))
    case .letterbox: crop = Self.centred(in: upright, model, scale: max(across, down))
    }
  }

  /// The rows and columns of the depth map that lie wholly in the image, at least one of each: not those of bars.
  public var shown: (rows: Range<Int>, columns: Range<Int>) {
    (
      Self.within(depth.height, start: -crop.minY / crop.height, length: uprightSize.height / crop.height),
      Self.within(depth.width, start: -crop.minX / crop.width, length: uprightSize.width / crop.width)
    )
  }

  /// What `shown` covers of another map of the whole upright image, in pixels of that map.
  public func shown(in other: PixelSize) -> CGRect {
    let (across, down) = (CGFloat(other.width) / uprightSize.width, CGFloat(other.height) / uprightSize.height)
    let pixel = CGSize(
      width: crop.width / CGFloat(depth.width) * across, height: crop.height / CGFloat(depth.height) * down)
    return CGRect(
      x: crop.minX * across + CGFloat(shown.columns.lowerBound) * pixel.width,
      y: crop.minY * down + CGFloat(shown.rows.lowerBound) * pixel.height,
      width: CGFloat(shown.columns.count) * pixel.width, height: CGFloat(shown.rows.count) * pixel.height)
  }

  /// The part of the upright image that the model sees.
  public var visible: CGRect { crop.intersection(CGRect(origin: .zero, size: uprightSize)) }

  /// The image after it was turned.
  public var uprightSize: CGSize { Self.uprightSize(of: image, rotation) }

  /// Where the depth map shows a point of the stored image; outside of the map when the model didn't see it.
  public func depthPoint(fromImage point: CGPoint) -> CGPoint {
    let upright = turned(point)
    return CGPoint(
      x: (upright.x - crop.minX) / crop.width * CGFloat(depth.width),
      y: (upright.y - crop.minY) / crop.height * CGFloat(depth.height))
  }

  /// The point of the stored image that a point of the depth map shows; inverse of `depthPoint(fromImage:)`.
  public func imagePoint(fromDepth point: CGPoint) -> CGPoint {
    turnedBack(
      CGPoint(
        x: crop.minX + point.x / CGFloat(depth.width) * crop.width,
        y: crop.minY + point.y / CGFloat(depth.height) * crop.height))
  }

  private func turned(_ point: CGPoint) -> CGPoint {
    let width = CGFloat(image.width)
    let height = CGFloat(image.height)
    return switch rotation {
    case .none: point
    case .right: CGPoint(x: height - point.y, y: point.x)
    case .half: CGPoint(x: width - point.x, y: height - point.y)
    case .left: CGPoint(x: point.y, y: width - point.x)
    }
  }

  private func turnedBack(_ point: CGPoint) -> CGPoint {
    let width = CGFloat(image.width)
    let height = CGFloat(image.height)
    return switch rotation {
    case .none: point
    case .right: CGPoint(x: point.y, y: height - point.x)
    case .half: CGPoint(x: width - point.x, y: height - point.y)
    case .left: CGPoint(x: width - point.y, y: point.x)
    }
  }

  private static func uprightSize(of image: PixelSize, _ rotation: Rotation) -> CGSize {
    switch rotation {
    case .none, .half: CGSize(width: CGFloat(image.width), height: CGFloat(image.height))
    case .right, .left: CGSize(width: CGFloat(image.height), height: CGFloat(image.width))
    }
  }

  /// The model's shape at a scale, in the middle of an image.
  private static func centred(in size: CGSize, _ model: PixelSize, scale: CGFloat) -> CGRect {
    let (width, height) = (CGFloat(model.width) * scale, CGFloat(model.height) * scale)
    return CGRect(x: (size.width - width) / 2, y: (size.height - height) / 2, width: width, height: height)
  }

  /// The pixels of a side that lie between two shares of it.
  private static func within(_ side: Int, start: CGFloat, length: CGFloat) -> Range<Int> {
    // What lies on the border of a pixel but for rounding counts as there.
    let rounding = 1e-6
    let first = min(max(Int((start * CGFloat(side) - rounding).rounded(.up)), 0), side - 1)
    return first..<max(min(Int(((start + length) * CGFloat(side) + rounding).rounded(.down)), side), first + 1)
  }
}
