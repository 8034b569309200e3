import AVFoundation
import CoreImage
import CoreVideo
import DepthCore
import Foundation
import ImageIO

extension CameraFrame {
  /// Reads a photo: upright as EXIF says, no larger than the camera's images, with the focal length that the file tells.
  ///
  /// - Parameter data: of a file in any format that ImageIO reads.
  /// - Throws: `LibraryProblem.unreadable`.
  init(photo data: Data) throws {
    guard let source = CGImageSourceCreateWithData(NSData(data: data) as CFData, nil),
      let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [String: Any],
      let stored = CGImageSourceCreateThumbnailAtIndex(source, 0, Self.options as CFDictionary)
    else { throw LibraryProblem.unreadable }
    let number = properties[kCGImagePropertyOrientation as String] as? Int
    let orientation = number.flatMap(ImageOrientation.init(exif:)) ?? .up
    let pixels = try UprightImages.shared.make(CIImage(cgImage: stored), orientation)
    let size = PixelSize(width: CVPixelBufferGetWidth(pixels), height: CVPixelBufferGetHeight(pixels))
    let exif = properties[kCGImagePropertyExifDictionary as String] as? [String: Any]
    let equivalent = exif?[kCGImagePropertyExifFocalLenIn35mmFilm as String] as? Double
    let intrinsics =
      Self.calibration(of: source, orientation, as: size)
      ?? equivalent.flatMap { CameraIntrinsics(equivalentFocalLength: $0, of: size) }
    self.init(pixels: pixels, intrinsics: intrinsics, age: .zero, measured: nil)
  }

  /// From the image itself: what a camera stores as its thumbnail may be of another shape. Not turned: this is done to photos and videos alike.
  private static var options: NSDictionary {
    NSDictionary(dictionary: [
      kCGImageSourceCreateThumbnailFromImageAlways as String: true,
      kCGImageSourceCreateThumbnailWithTransform as String: false,
      kCGImageSourceThumbnailMaxPixelSize as String: UprightImages.longestSide,
    ])
  }

  /// The camera's own matrix, which photos with depth have.
  private static func calibration(
    of source: CGImageSource, _ orientation: ImageOrientation, as size: PixelSize
  ) -> CameraIntrinsics? {
    let calibrations = [kCGImageAuxiliaryDataTypeDisparity, kCGImageAuxiliaryDataTypeDepth].lazy.compactMap { type in
      let stored = CGImageSourceCopyAuxiliaryDataInfoAtIndex(source, 0, type) as? [AnyHashable: Any]
      return stored.flatMap { try? AVDepthData(fromDictionaryRepresentation: $0) }?.cameraCalibrationData
    }
    guard let calibration = calibrations.first else { return nil }
    let reference = calibration.intrinsicMatrixReferenceDimensions
    guard reference.width >= 1, reference.height >= 1 else { return nil }
    let image = PixelSize(width: Int(reference.width), height: Int(reference.height))
    let matrix = withUnsafeBytes(of: calibration.intrinsicMatrix) { Data($0) }
    return CameraIntrinsics(matrix: matrix)?
      .upright(orientation, of: image).resized(from: orientation.upright(image), to: size)
  }
}

/// Turns images of the library upright, and makes those smaller that are larger than the camera's; in sRGB.
final class UprightImages: @unchecked Sendable {
  static let shared = UprightImages()

  /// Of the result, in pixels: that of the camera's images.
  static let longestSide = 1280

  private let context = CIContext(options: [.cacheIntermediates: false])
  private let colours = CGColorSpace(name: CGColorSpace.sRGB)

  /// - Throws: `LibraryProblem.unreadable`, `DepthProblem.noMemory`.
  func make(_ stored: CIImage, _ orientation: ImageOrientation) throws -> CVPixelBuffer {
    // The numbers are those of EXIF.
    let turned = stored.oriented(CGImagePropertyOrientation(rawValue: UInt32(orientation.exif)) ?? .up)
    let scale = min(1, CGFloat(Self.longestSide) / max(turned.extent.width, turned.extent.height))
    let (width, height) = (turned.extent.width * scale, turned.extent.height * scale)
    guard width >= 1, height >= 1 else { throw LibraryProblem.unreadable }
    let size = PixelSize(width: Int(width.rounded()), height: Int(height.rounded()))
    let pixels = try makePixelBuffer(size, format: kCVPixelFormatType_32BGRA)
    // Beyond the border lies nothing, which would darken the pixels beside it.
    let image = turned.clampedToExtent()
      .transformed(by: CGAffineTransform(scaleX: scale, y: scale), highQualityDownsample: true)
    let whole = CGRect(x: 0, y: 0, width: CGFloat(size.width), height: CGFloat(size.height))
    context.render(image, to: pixels, bounds: whole, colorSpace: colours)
    return pixels
  }
}
