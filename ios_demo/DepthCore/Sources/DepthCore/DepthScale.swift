import Foundation

/// What the numbers of a depth map count once it is known which camera took the picture. The only place that puts a unit behind a depth.
public enum DepthScale: Sendable, Equatable {
  /// Metres of this camera: the model's depth times a factor.
  case metres(times: Double)
  /// Metres as the camera of the training data would have seen the picture: its focal length or this camera's is not known, or the picture
  /// was stretched out of shape.
  case uncalibrated
  /// Right proportions, unknown unit.
  case relative

  /// By what the model's depth is multiplied before it is shown.
  public var factor: Double {
    if case .metres(let factor) = self { factor } else { 1 }
  }

  /// A depth at a point, such as `1.70 m`, `1.70 m, uncalibrated` or `1.70 (relative)`; nil where there is none.
  public func text(_ depth: Float?) -> String {
    depth.map { String(format: "%.2f ", Double($0)) + suffix } ?? "no depth"
  }

  /// A range of depth, such as `0.4 to 6.1 m`.
  public func text(_ range: DepthRange) -> String {
    String(format: "%.1f to %.1f ", Double(range.near), Double(range.far)) + suffix
  }

  private var suffix: String {
    switch self {
    case .metres: "m"
    case .uncalibrated: "m, uncalibrated"
    case .relative: "(relative)"
    }
  }
}

extension ModelContract {
  /// How an image is brought to the model.
  ///
  /// - Parameters:
  ///   - image: of the image as it is stored.
  ///   - rotation: that makes it upright.
  public func geometry(of image: PixelSize, rotation: Rotation = .none) -> CropGeometry {
    CropGeometry(image: image, rotation: rotation, model: inputSize, depth: depthSize, framing: framing)
  }

  /// A picture whose sides' ratio changes by more has two focal lengths: no factor makes metres of what is seen in it.
  static let mostStretched: CGFloat = 1.25

  /// What the model's depth of an image counts.
  ///
  /// A camera sees a thing of width X at distance Z over u = f·X/Z pixels, so a network that learned from one focal length gives the distance
  /// at which that camera would have seen the same picture; this camera saw it at f / f_training times that (Yin et al. 2023,
  /// arXiv 2307.10984, section 3.1, undone). Both focal lengths are horizontal ones, in widths of what the model sees: no resizing changes that
  /// number, turning and cropping do. A picture that is stretched far out of shape stays uncalibrated.
  ///
  /// - Parameters:
  ///   - image: of the image as it is stored.
  ///   - rotation: that makes it upright.
  ///   - intrinsics: of the image as it is stored; nil where the camera doesn't tell.
  public func scale(of image: PixelSize, rotation: Rotation = .none, intrinsics: CameraIntrinsics?) -> DepthScale {
    guard unit == .metres else { return .relative }
    let crop = geometry(of: image, rotation: rotation).crop
    let shape = (crop.width / crop.height) / (CGFloat(inputSize.width) / CGFloat(inputSize.height))
    guard let intrinsics, let camera, max(shape, 1 / shape) <= Self.mostStretched else { return .uncalibrated }
    let seen = intrinsics.turned(rotation, of: image).fx / Double(crop.width)
    let factor = seen / camera.relativeFocalLength
    // One camera's focal length, written with another number of digits.
    return .metres(times: abs(factor - 1) < 1e-3 ? 1 : factor)
  }
}
