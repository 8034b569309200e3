import Foundation

/// Focal lengths of a camera's image, and where its optical axis goes through it, in pixels of the image as it is stored.
public struct CameraIntrinsics: Sendable, Equatable {
  /// Along the rows.
  public let fx: Double
  /// Along the columns; a camera with square pixels has one focal length.
  public let fy: Double
  /// The axis from the outer corner of the first pixel, to the right; nil where it is not known.
  public let cx: Double?
  /// The axis from there downwards; nil where it is not known.
  public let cy: Double?

  /// - Returns: nil for what no camera has: focal lengths that are not finite numbers above 0, an axis that is nowhere.
  public init?(fx: Double, fy: Double, cx: Double? = nil, cy: Double? = nil) {
    guard fx > 0, fy > 0, fx.isFinite, fy.isFinite, cx?.isFinite != false, cy?.isFinite != false else { return nil }
    (self.fx, self.fy, self.cx, self.cy) = (fx, fy, cx, cy)
  }

  /// Reads the matrix that AVFoundation attaches to an image: a `matrix_float3x3`, three columns of `Float` padded to 16 bytes each.
  ///
  /// - Returns: nil where that is no matrix of a camera.
  public init?(matrix: Data) {
    let (column, scalar) = (16, MemoryLayout<Float>.size)
    guard matrix.count >= 3 * column else { return nil }
    let numbers = matrix.withUnsafeBytes { bytes in
      [0, column + scalar, 2 * column, 2 * column + scalar].map {
        Double(bytes.loadUnaligned(fromByteOffset: $0, as: Float.self))
      }
    }
    self.init(fx: numbers[0], fy: numbers[1], cx: numbers[2], cy: numbers[3])
  }

  /// Of a whole picture, by the focal length in equivalents of 35 mm film that EXIF has of it: of equal diagonals, as `fcrn-mobile` reads it.
  ///
  /// A picture that was resized keeps its field of view; of one that was cropped the answer is wrong, and nothing in EXIF tells.
  ///
  /// - Parameters:
  ///   - millimetres: 0 where the writer didn't know it (CIPA DC-008, tag 0xA405).
  ///   - picture: its size.
  /// - Returns: nil for what no camera has.
  public init?(equivalentFocalLength millimetres: Double, of picture: PixelSize) {
    let diagonal = hypot(Double(picture.width), Double(picture.height))
    let focalLength = millimetres * diagonal / hypot(36, 24)
    self.init(fx: focalLength, fy: focalLength)
  }

  /// Of the image after it was turned.
  ///
  /// - Parameter image: its size before.
  public func turned(_ rotation: Rotation, of image: PixelSize) -> CameraIntrinsics {
    let right = cx.map { Double(image.width) - $0 }
    let bottom = cy.map { Double(image.height) - $0 }
    return switch rotation {
    case .none: self
    case .right: CameraIntrinsics(fy, fx, bottom, cx)
    case .half: CameraIntrinsics(fx, fy, right, bottom)
    case .left: CameraIntrinsics(fy, fx, cy, right)
    }
  }

  /// Of the image after it was made upright.
  ///
  /// - Parameter image: its size before.
  public func upright(_ orientation: ImageOrientation, of image: PixelSize) -> CameraIntrinsics {
    let mirrored = CameraIntrinsics(fx, fy, cx.map { Double(image.width) - $0 }, cy)
    return (orientation.isMirrored ? mirrored : self).turned(orientation.rotation, of: image)
  }

  /// Of the image after it was resized.
  ///
  /// - Parameters:
  ///   - size: before.
  ///   - other: after.
  public func resized(from size: PixelSize, to other: PixelSize) -> CameraIntrinsics {
    let across = Double(other.width) / Double(size.width)
    let down = Double(other.height) / Double(size.height)
    return CameraIntrinsics(fx * across, fy * down, cx.map { $0 * across }, cy.map { $0 * down })
  }

  /// Where the axis goes through an image of this size.
  ///
  /// It does so close to the middle. What lies further off is of an image that was turned or cropped after the camera wrote it, and where nothing
  /// is known the middle is the best guess: the middle is taken for both.
  func axis(in size: CGSize) -> CGPoint {
    let off = 0.1
    func near(_ value: Double?, _ side: CGFloat) -> CGFloat? {
      value.map { CGFloat($0) }.flatMap { abs($0 / side - 0.5) <= off ? $0 : nil }
    }
    guard let x = near(cx, size.width), let y = near(cy, size.height) else {
      return CGPoint(x: size.width / 2, y: size.height / 2)
    }
    return CGPoint(x: x, y: y)
  }

  private init(_ fx: Double, _ fy: Double, _ cx: Double?, _ cy: Double?) {
    (self.fx, self.fy, self.cx, self.cy) = (fx, fy, cx, cy)
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
