import Foundation

/// Focal lengths of a camera's image, in pixels of the image as it is stored.
public struct CameraIntrinsics: Sendable, Equatable {
  /// Along the rows.
  public let fx: Double
  /// Along the columns; a camera with square pixels has one focal length.
  public let fy: Double

  /// - Returns: nil for what no camera has: anything but two finite numbers above 0.
  public init?(fx: Double, fy: Double) {
    guard fx > 0, fy > 0, fx.isFinite, fy.isFinite else { return nil }
    self.fx = fx
    self.fy = fy
  }

  /// Reads the matrix that AVFoundation attaches to an image: a `matrix_float3x3`, three columns of `Float` padded to 16 bytes each.
  ///
  /// - Returns: nil where that is no matrix of a camera.
  public init?(matrix: Data) {
    let column = 16
    guard matrix.count >= 2 * column else { return nil }
    let (fx, fy) = matrix.withUnsafeBytes { bytes in
      (
        bytes.loadUnaligned(fromByteOffset: 0, as: Float.self),
        bytes.loadUnaligned(fromByteOffset: column + MemoryLayout<Float>.size, as: Float.self)
      )
    }
    self.init(fx: Double(fx), fy: Double(fy))
  }

  /// Of the image after it was turned.
  func turned(_ rotation: Rotation) -> CameraIntrinsics {
    switch rotation {
    case .none, .half: self
    case .right, .left: CameraIntrinsics(swapping: self)
    }
  }

  private init(swapping other: CameraIntrinsics) {
    (fx, fy) = (other.fy, other.fx)
  }
}

/// The camera that a model's metres hold for, as its metadata name it.
public struct TrainingCamera: Sendable, Equatable, Decodable {
  /// Focal length in pixels of a picture `width` pixels wide.
  public let focalLength: Double
  /// Of the pictures that the focal length holds for, in pixels.
  public let width: Int

  /// Focal length in widths of the picture, which no resizing changes.
  public var relativeFocalLength: Double { focalLength / Double(width) }

  /// - Returns: nil for what no camera has.
  public init?(focalLength: Double, width: Int) {
    guard focalLength > 0, focalLength.isFinite, width > 0 else { return nil }
    self.focalLength = focalLength
    self.width = width
  }

  enum CodingKeys: String, CodingKey {
    case focalLength = "focal_px"
    case width = "width_px"
  }

  /// Reads what `fcrn-mobile` writes under `fcrn_mobile.camera`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let focalLength = try container.decode(Double.self, forKey: .focalLength)
    let width = try container.decode(Int.self, forKey: .width)
    guard let camera = TrainingCamera(focalLength: focalLength, width: width) else {
      throw DecodingError.dataCorruptedError(forKey: .focalLength, in: container, debugDescription: "no focal length")
    }
    self = camera
  }
}
