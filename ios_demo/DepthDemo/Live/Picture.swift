import CoreGraphics
import CoreVideo
import DepthCore
import Foundation

/// Why there is no picture of an image.
enum PictureProblem: LocalizedError {
  case photo
  case depth
  case tooHot
  case jpeg
  case nothingInCommon

  var errorDescription: String? {
    switch self {
    case .photo: "The image cannot be shown."
    case .depth: "The depth map cannot be shown."
    case .nothingInCommon: "There is no point of which both models give a depth."
    case .jpeg: "The camera's image cannot be written as JPEG."
    case .tooHot: "The device is too hot: depth goes on when it has cooled down."
    }
  }
}

/// A picture of the colours of a depth map.
func makePicture(rgba: [UInt8], of plane: DepthPlane) throws -> CGImage {
  try makePicture(rgba: rgba, PixelSize(width: plane.width, height: plane.height))
}

/// A picture of bytes of red, green, blue and what is skipped, row by row.
func makePicture(rgba: [UInt8], _ size: PixelSize) throws -> CGImage {
  guard let provider = CGDataProvider(data: NSData(data: Data(rgba)) as CFData),
    let picture = CGImage(
      width: size.width, height: size.height, bitsPerComponent: 8, bitsPerPixel: 32,
      bytesPerRow: size.width * 4, space: CGColorSpaceCreateDeviceRGB(),
      bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.noneSkipLast.rawValue), provider: provider, decode: nil,
      shouldInterpolate: true, intent: .defaultIntent)
  else { throw PictureProblem.depth }
  return picture
}

/// Colours of a BGRA image in the middle of each pixel that is shown of its depth map; RGBA bytes, row by row.
func colours(of image: CVPixelBuffer, _ geometry: CropGeometry) throws -> [UInt8] {
  let status = CVPixelBufferLockBaseAddress(image, .readOnly)
  guard status == kCVReturnSuccess else { throw DepthProblem.noMemory(status) }
  defer { CVPixelBufferUnlockBaseAddress(image, .readOnly) }
  guard let base = CVPixelBufferGetBaseAddress(image) else { throw PictureProblem.photo }
  let (width, height) = (CVPixelBufferGetWidth(image), CVPixelBufferGetHeight(image))
  let bytesPerRow = CVPixelBufferGetBytesPerRow(image)
  let shown = geometry.shown
  var colours: [UInt8] = []
  colours.reserveCapacity(4 * shown.rows.count * shown.columns.count)
  for row in shown.rows {
    for column in shown.columns {
      let point = geometry.imagePoint(fromDepth: CGPoint(x: CGFloat(column) + 0.5, y: CGFloat(row) + 0.5))
      let (x, y) = (min(max(Int(point.x), 0), width - 1), min(max(Int(point.y), 0), height - 1))
      for byte in [2, 1, 0, 3] {
        colours.append(base.load(fromByteOffset: y * bytesPerRow + 4 * x + byte, as: UInt8.self))
      }
    }
  }
  return colours
}

/// Colours from one end to the other, beside which a legend says what they mean.
func colourBar(_ colours: Colormap) -> CGImage? {
  let steps = (0..<256).map { (Float($0) + 0.5) / 256 }
  guard let plane = try? DepthPlane(width: 256, height: 1, values: steps) else { return nil }
  return try? makePicture(rgba: colours.rgba(of: plane, in: DepthRange(near: 0, far: 1)), of: plane)
}
