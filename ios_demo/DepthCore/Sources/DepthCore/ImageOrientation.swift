/// How a stored image must be mirrored and then turned to be upright: one of the eight orientations of EXIF.
public struct ImageOrientation: Sendable, Equatable {
  /// Left and right are exchanged first.
  public let isMirrored: Bool
  /// Then it is turned.
  public let rotation: Rotation

  /// As it is stored.
  public static let up = ImageOrientation(isMirrored: false, rotation: .none)

  /// From its parts.
  public init(isMirrored: Bool, rotation: Rotation) {
    (self.isMirrored, self.rotation) = (isMirrored, rotation)
  }

  /// By the number that EXIF has (CIPA DC-008, tag 0x0112).
  ///
  /// - Returns: nil for anything but 1 to 8.
  public init?(exif: Int) {
    guard let known = Self.inOrder.first(where: { $0.exif == exif })?.orientation else { return nil }
    self = known
  }

  /// By the linear part of a transform from the stored image's coordinates to the shown one's, y pointing down in both, as a video's track
  /// has it: x' = a·x + c·y, y' = b·x + d·y.
  ///
  /// - Returns: nil for anything but quarter turns, mirrored or not.
  public init?(a: Double, b: Double, c: Double, d: Double) {
    let numbers = [a, b, c, d].map { $0.rounded() }
    guard zip(numbers, [a, b, c, d]).allSatisfy({ abs($0 - $1) < 1e-3 }) else { return nil }
    switch numbers {
    case [1, 0, 0, 1]: self.init(isMirrored: false, rotation: .none)
    case [0, 1, -1, 0]: self.init(isMirrored: false, rotation: .right)
    case [-1, 0, 0, -1]: self.init(isMirrored: false, rotation: .half)
    case [0, -1, 1, 0]: self.init(isMirrored: false, rotation: .left)
    case [-1, 0, 0, 1]: self.init(isMirrored: true, rotation: .none)
    case [0, -1, -1, 0]: self.init(isMirrored: true, rotation: .right)
    case [1, 0, 0, -1]: self.init(isMirrored: true, rotation: .half)
    case [0, 1, 1, 0]: self.init(isMirrored: true, rotation: .left)
    default: return nil
    }
  }

  /// The number that EXIF has for it.
  public var exif: Int { Self.inOrder.first { $0.orientation == self }?.exif ?? 1 }

  /// Size of the upright image.
  public func upright(_ image: PixelSize) -> PixelSize {
    rotation == .right || rotation == .left ? PixelSize(width: image.height, height: image.width) : image
  }

  private static let inOrder: [(exif: Int, orientation: ImageOrientation)] = [
    (1, .up),
    (2, ImageOrientation(isMirrored: true, rotation: .none)),
    (3, ImageOrientation(isMirrored: false, rotation: .half)),
    (4, ImageOrientation(isMirrored: true, rotation: .half)),
    (5, ImageOrientation(isMirrored: true, rotation: .left)),
    (6, ImageOrientation(isMirrored: false, rotation: .right)),
    (7, ImageOrientation(isMirrored: true, rotation: .right)),
    (8, ImageOrientation(isMirrored: false, rotation: .left)),
  ]
}
