import CoreGraphics
import Foundation

public enum CGImagePropertyOrientation: UInt32, Sendable {
  case up = 1, upMirrored, down, downMirrored, leftMirrored, right, rightMirrored, left
}

public let kCGImagePropertyOrientation: CFString = "Orientation"
public let kCGImagePropertyExifDictionary: CFString = "{Exif}"
public let kCGImagePropertyExifFocalLenIn35mmFilm: CFString = "FocalLenIn35mmFilm"
public let kCGImageSourceCreateThumbnailFromImageAlways: CFString = "kCGImageSourceCreateThumbnailFromImageAlways"
public let kCGImageSourceCreateThumbnailWithTransform: CFString = "kCGImageSourceCreateThumbnailWithTransform"
public let kCGImageSourceThumbnailMaxPixelSize: CFString = "kCGImageSourceThumbnailMaxPixelSize"
public let kCGImageAuxiliaryDataTypeDepth: CFString = "kCGImageAuxiliaryDataTypeDepth"
public let kCGImageAuxiliaryDataTypeDisparity: CFString = "kCGImageAuxiliaryDataTypeDisparity"

public class CGImageSource {
  fileprivate let photo: FakePhoto
  fileprivate init(_ photo: FakePhoto) { self.photo = photo }
}

public func CGImageSourceCreateWithData(_ data: CFData, _ options: CFDictionary?) -> CGImageSource? {
  (try? JSONDecoder().decode(FakePhoto.self, from: data as Data)).map(CGImageSource.init)
}

public func CGImageSourceCopyPropertiesAtIndex(
  _ isrc: CGImageSource, _ index: Int, _ options: CFDictionary?
) -> CFDictionary? {
  var properties: [String: Any] = [:]
  if let orientation = isrc.photo.orientation { properties[kCGImagePropertyOrientation] = orientation }
  if let focalLength = isrc.photo.equivalentFocalLength {
    properties[kCGImagePropertyExifDictionary] = [kCGImagePropertyExifFocalLenIn35mmFilm: focalLength]
  }
  return NSDictionary(dictionary: properties)
}

/// The nearest pixels of the image as it is stored, unless it is asked to be upright.
public func CGImageSourceCreateThumbnailAtIndex(
  _ isrc: CGImageSource, _ index: Int, _ options: CFDictionary?
) -> CGImage? {
  let options = options as? [String: Any] ?? [:]
  guard options[kCGImageSourceCreateThumbnailFromImageAlways] as? Bool == true else { return nil }
  precondition(options[kCGImageSourceCreateThumbnailWithTransform] as? Bool != true, "the stub leaves it as it is stored")
  let photo = isrc.photo
  let longest = max(photo.width, photo.height)
  let scale = min(1, Double(options[kCGImageSourceThumbnailMaxPixelSize] as? Int ?? longest) / Double(longest))
  let (width, height) = (Int((Double(photo.width) * scale).rounded()), Int((Double(photo.height) * scale).rounded()))
  guard width > 0, height > 0 else { return nil }
  let bytes = (0..<height).flatMap { y in
    (0..<width).flatMap { x in
      let (column, row) = ((Double(x) + 0.5) / Double(width), (Double(y) + 0.5) / Double(height))
      let colour = photo.colour(Int(column * Double(photo.width)), Int(row * Double(photo.height)))
      return (0..<4).map { UInt8(colour[$0]) }
    }
  }
  return CGImage.ofRows(bytes, width: width, height: height)
}

public func CGImageSourceCopyAuxiliaryDataInfoAtIndex(
  _ isrc: CGImageSource, _ index: Int, _ auxiliaryImageDataType: CFString
) -> CFDictionary? {
  guard auxiliaryImageDataType == kCGImageAuxiliaryDataTypeDepth, let numbers = isrc.photo.calibration else { return nil }
  return NSDictionary(dictionary: [FakePhoto.calibrationKey: numbers])
}

/// A file with the pixels of a photo as they are stored, and what is said of them.
package struct FakePhoto: Codable {
  package let width: Int
  package let height: Int
  private let pixels: Data
  package var orientation: Int?
  package var equivalentFocalLength: Double?
  /// fx, fy, cx, cy, and the width and height that they hold for.
  package var calibration: [Double]?

  package static let calibrationKey = "calibration"

  /// - Parameters:
  ///   - width: as stored.
  ///   - height: as stored.
  ///   - orientation: by which it is to be shown; nil leaves it open.
  ///   - scene: colour of a point of the upright photo, from the left and from above, in shares of its sides.
  package init(
    _ width: Int, _ height: Int, orientation: Int? = nil, scene: (Double, Double) -> SIMD3<Double>
  ) {
    (self.width, self.height, self.orientation) = (width, height, orientation)
    var pixels = Data()
    for row in 0..<height {
      for column in 0..<width {
        let (x, y) = ((Double(column) + 0.5) / Double(width), (Double(row) + 0.5) / Double(height))
        // Where the first row and the first column of each are shown, by the standard's table: 6 is "right, top".
        let places = [(x, y), (1 - x, y), (1 - x, 1 - y), (x, 1 - y), (y, x), (1 - y, x), (1 - y, 1 - x), (y, 1 - x)]
        let place = places[(orientation ?? 1) - 1]
        let colour = scene(place.0, place.1)
        for channel in 0..<3 { pixels.append(UInt8(min(max(colour[channel].rounded(), 0), 255))) }
      }
    }
    self.pixels = pixels
  }

  package func colour(_ x: Int, _ y: Int) -> SIMD4<Double> {
    let start = 3 * (y * width + x)
    return SIMD4(Double(pixels[start]), Double(pixels[start + 1]), Double(pixels[start + 2]), 255)
  }

  package var data: Data { (try? JSONEncoder().encode(self)) ?? Data() }
}
