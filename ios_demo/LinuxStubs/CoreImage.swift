import CoreGraphics
import CoreVideo
import Foundation
import ImageIO

public class CIColor: NSObject {
  let colour: SIMD4<Double>
  public init(red: CGFloat, green: CGFloat, blue: CGFloat) { colour = 255 * SIMD4(Double(red), Double(green), Double(blue), 1) }
}

/// A picture that is computed where it is looked at. Rows count from below, what lies beyond a picture is transparent, and a scaled
/// picture is interpolated between the centres of the pixels of the picture it is made of: a border mixes with nothing unless it is clamped.
public class CIImage: NSObject {
  public let extent: CGRect
  /// Colour at the centre of a pixel of what it is made of.
  private let pixel: (Int, Int) -> SIMD4<Double>
  private let scale: (x: CGFloat, y: CGFloat)
  private let offset: (x: CGFloat, y: CGFloat)
  /// Points averaged along each side of a pixel.
  private let samples: Int

  private init(
    extent: CGRect, scale: (x: CGFloat, y: CGFloat) = (1, 1), offset: (x: CGFloat, y: CGFloat) = (0, 0), samples: Int = 1,
    pixel: @escaping (Int, Int) -> SIMD4<Double>
  ) {
    (self.extent, self.scale, self.offset, self.samples, self.pixel) = (extent, scale, offset, samples, pixel)
  }

  public convenience init(cvPixelBuffer pixelBuffer: CVPixelBuffer) {
    let (width, height) = (CVPixelBufferGetWidth(pixelBuffer), CVPixelBufferGetHeight(pixelBuffer))
    self.init(extent: CGRect(x: 0, y: 0, width: CGFloat(width), height: CGFloat(height))) { x, y in
      guard (0..<width).contains(x), (0..<height).contains(y) else { return .zero }
      return pixelBuffer[colour: x, height - 1 - y]
    }
  }

  public convenience init(cgImage image: CGImage) {
    self.init(extent: CGRect(x: 0, y: 0, width: CGFloat(image.width), height: CGFloat(image.height))) { x, y in
      guard (0..<image.width).contains(x), (0..<image.height).contains(y) else { return .zero }
      let colour = image.colour(x, image.height - 1 - y).map(Double.init)
      return SIMD4(colour[0], colour[1], colour[2], 255)
    }
  }

  public convenience init(color: CIColor) {
    self.init(extent: Self.everywhere) { _, _ in color.colour }
  }

  private static var everywhere: CGRect { CGRect(x: -1e9, y: -1e9, width: 2e9, height: 2e9) }

  public func cropped(to rect: CGRect) -> CIImage {
    CIImage(extent: extent.intersection(rect)) { x, y in
      rect.contains(CGPoint(x: Double(x) + 0.5, y: Double(y) + 0.5)) ? self.colour(Double(x), Double(y)) : .zero
    }
  }

  public func composited(over dest: CIImage) -> CIImage {
    CIImage(extent: extent.union(dest.extent)) { x, y in
      let own = self.colour(Double(x), Double(y))
      return own + dest.colour(Double(x), Double(y)) * (1 - own.w / 255)
    }
  }

  /// Upright, with its lower left corner where it was.
  public func oriented(_ orientation: CGImagePropertyOrientation) -> CIImage {
    precondition(scale == (1, 1) && offset == (0, 0), "the stub turns only what is not transformed yet")
    let (width, height) = (Int(extent.width), Int(extent.height))
    let upright = orientation.rawValue > 4 ? (width: height, height: width) : (width: width, height: height)
    let whole = CGRect(x: 0, y: 0, width: CGFloat(upright.width), height: CGFloat(upright.height))
    return CIImage(extent: whole) { [pixel] x, y in
      let (right, down) = (x, upright.height - 1 - y)
      guard (0..<upright.width).contains(right), (0..<upright.height).contains(down) else { return .zero }
      let column: Int
      let row: Int
      switch orientation {
      case .up: (column, row) = (right, down)
      case .upMirrored: (column, row) = (width - 1 - right, down)
      case .down: (column, row) = (width - 1 - right, height - 1 - down)
      case .downMirrored: (column, row) = (right, height - 1 - down)
      case .leftMirrored: (column, row) = (down, right)
      case .right: (column, row) = (down, height - 1 - right)
      case .rightMirrored: (column, row) = (width - 1 - down, height - 1 - right)
      case .left: (column, row) = (width - 1 - down, right)
      }
      return pixel(column, height - 1 - row)
    }
  }

  public func clampedToExtent() -> CIImage {
    precondition(scale == (1, 1) && offset == (0, 0), "the stub clamps only what is not transformed yet")
    // The pixels whose centres lie within.
    let columns = Int((extent.minX - 0.5).rounded(.up))...Int((extent.maxX - 0.5).rounded(.up)) - 1
    let rows = Int((extent.minY - 0.5).rounded(.up))...Int((extent.maxY - 0.5).rounded(.up)) - 1
    return CIImage(extent: Self.everywhere) { [pixel] x, y in
      pixel(min(max(x, columns.lowerBound), columns.upperBound), min(max(y, rows.lowerBound), rows.upperBound))
    }
  }

  public func transformed(by matrix: CGAffineTransform) -> CIImage {
    transformed(by: matrix, highQualityDownsample: false)
  }

  public func transformed(by matrix: CGAffineTransform, highQualityDownsample: Bool) -> CIImage {
    let (sx, sy) = matrix.scale
    let moved = CGRect(
      x: extent.minX * sx + matrix.offset.x, y: extent.minY * sy + matrix.offset.y, width: extent.width * sx,
      height: extent.height * sy)
    let whole = (x: scale.x * sx, y: scale.y * sy)
    return CIImage(
      extent: moved, scale: whole, offset: (offset.x * sx + matrix.offset.x, offset.y * sy + matrix.offset.y),
      samples: highQualityDownsample ? max(1, Int((1 / min(whole.x, whole.y)).rounded(.up))) : samples, pixel: pixel)
  }

  /// The pixel whose lower left corner is (x, y).
  func colour(_ x: Double, _ y: Double) -> SIMD4<Double> {
    var sum = SIMD4<Double>.zero
    for row in 0..<samples {
      for column in 0..<samples {
        let (dx, dy) = ((Double(column) + 0.5) / Double(samples), (Double(row) + 0.5) / Double(samples))
        sum += interpolated((x + dx - offset.x) / scale.x - 0.5, (y + dy - offset.y) / scale.y - 0.5)
      }
    }
    return sum / Double(samples * samples)
  }

  private func interpolated(_ x: Double, _ y: Double) -> SIMD4<Double> {
    let (left, low) = (x.rounded(.down), y.rounded(.down))
    let (right, up) = (x - left, y - low)
    let (column, row) = (Int(left), Int(low))
    if right == 0, up == 0 { return pixel(column, row) }
    let below = pixel(column, row) * (1 - right) + pixel(column + 1, row) * right
    return below * (1 - up) + (pixel(column, row + 1) * (1 - right) + pixel(column + 1, row + 1) * right) * up
  }
}

public struct CIImageRepresentationOption: Hashable, Sendable {}

public struct CIContextOption: Hashable, Sendable {
  let name: String
  public static let cacheIntermediates = CIContextOption(name: "cacheIntermediates")
  public static let workingColorSpace = CIContextOption(name: "workingColorSpace")
}

public class CIContext: NSObject {
  public init(options: [CIContextOption: Any]? = nil) {}

  /// What the image leaves open stays as it was.
  public func render(_ image: CIImage, to buffer: CVPixelBuffer) {
    let (width, height) = (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
    render(image, to: buffer, bounds: CGRect(x: 0, y: 0, width: CGFloat(width), height: CGFloat(height)), colorSpace: nil)
  }

  /// Into a part of the buffer.
  public func render(_ image: CIImage, to buffer: CVPixelBuffer, bounds: CGRect, colorSpace: CGColorSpace?) {
    let height = CVPixelBufferGetHeight(buffer)
    for y in 0..<height {
      for x in 0..<CVPixelBufferGetWidth(buffer) {
        guard bounds.contains(CGPoint(x: CGFloat(x) + 0.5, y: CGFloat(height - 1 - y) + 0.5)) else { continue }
        let colour = image.colour(Double(x), Double(height - 1 - y))
        buffer[colour: x, y] = colour + buffer[colour: x, y] * (1 - colour.w / 255)
      }
    }
  }

  /// Width and height, big-endian in 16 bits, and red, green and blue of each pixel, in place of JPEG's bytes.
  public func jpegRepresentation(
    of image: CIImage, colorSpace: CGColorSpace, options: [CIImageRepresentationOption: Any] = [:]
  ) -> Data? {
    guard let picture = createCGImage(image, from: image.extent), picture.width < 1 << 16, picture.height < 1 << 16
    else { return nil }
    let pixels = (0..<picture.height).flatMap { y in (0..<picture.width).flatMap { picture.colour($0, y) } }
    let sides = [picture.width, picture.height].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    return Data(sides + pixels)
  }

  public func createCGImage(_ image: CIImage, from fromRect: CGRect) -> CGImage? {
    let part = image.extent.intersection(fromRect)
    let (width, height) = (Int(part.width.rounded()), Int(part.height.rounded()))
    guard width > 0, height > 0 else { return nil }
    var bytes: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        let colour = image.colour(Double(part.minX) + Double(x), Double(part.maxY) - Double(y + 1))
        bytes += (0..<4).map { UInt8(min(max(colour[$0].rounded(), 0), 255)) }
      }
    }
    return CGImage.ofRows(bytes, width: width, height: height)
  }
}
