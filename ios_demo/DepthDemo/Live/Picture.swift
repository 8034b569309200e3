import CoreGraphics
import DepthCore
import Foundation

/// Why there is no picture of a camera image.
enum PictureProblem: LocalizedError {
  case photo
  case depth
  case tooHot
  case jpeg

  var errorDescription: String? {
    switch self {
    case .photo: "The camera's image cannot be shown."
    case .depth: "The depth map cannot be shown."
    case .jpeg: "The camera's image cannot be written as JPEG."
    case .tooHot: "The device is too hot: depth goes on when it has cooled down."
    }
  }
}

/// A picture of the colours of a depth map.
func makePicture(rgba: [UInt8], of plane: DepthPlane) throws -> CGImage {
  guard let provider = CGDataProvider(data: NSData(data: Data(rgba)) as CFData),
    let picture = CGImage(
      width: plane.width, height: plane.height, bitsPerComponent: 8, bitsPerPixel: 32,
      bytesPerRow: plane.width * 4, space: CGColorSpaceCreateDeviceRGB(),
      bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.noneSkipLast.rawValue), provider: provider, decode: nil,
      shouldInterpolate: true, intent: .defaultIntent)
  else { throw PictureProblem.depth }
  return picture
}
