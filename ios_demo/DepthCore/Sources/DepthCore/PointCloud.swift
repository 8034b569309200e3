import Foundation

/// The pixels of a depth map in space, with their colours, and a picture of them from another side.
///
/// Coordinates are those of the upright camera: x to the right, y down, z along its axis, in the unit of the depths.
public struct PointCloud: Sendable, Equatable {
  /// One for each pixel that has depth, row by row.
  public let points: [SIMD3<Float>]
  /// Red, green and blue of each.
  public let colours: [SIMD3<UInt8>]
  /// Of the depth map.
  public let size: PixelSize
  private let fx, fy, cx, cy: Float
  /// Depth of the point that a picture is turned about: the median.
  private let pivot: Float

  /// Puts each pixel's centre (u, v) to ((u - cx) / fx · z, (v - cy) / fy · z, z) (Hartley & Zisserman, Multiple View Geometry, section 6.1).
  ///
  /// - Parameters:
  ///   - depth: z, not the distance to the camera; pixels whose depth is not finite or not positive give no point.
  ///   - camera: in pixels of the depth map, as `CropGeometry.cameraOfShown` gives it.
  ///   - rgba: four bytes for each pixel of the depth map, as `Colormap` gives them.
  public init(_ depth: DepthPlane, camera: CameraIntrinsics, rgba: [UInt8]) {
    precondition(rgba.count == 4 * depth.values.count, "\(rgba.count) bytes of colour for \(depth.values.count) pixels")
    size = PixelSize(width: depth.width, height: depth.height)
    let axis = camera.axis(in: CGSize(width: CGFloat(depth.width), height: CGFloat(depth.height)))
    (fx, fy) = (Float(camera.fx), Float(camera.fy))
    (cx, cy) = (Float(camera.cx ?? Double(axis.x)), Float(camera.cy ?? Double(axis.y)))
    var (points, colours): ([SIMD3<Float>], [SIMD3<UInt8>]) = ([], [])
    for (index, z) in depth.values.enumerated() where z.isFinite && z > 0 {
      let (u, v) = (Float(index % depth.width) + 0.5, Float(index / depth.width) + 0.5)
      points.append(SIMD3((u - cx) / fx * z, (v - cy) / fy * z, z))
      colours.append(SIMD3(rgba[4 * index], rgba[4 * index + 1], rgba[4 * index + 2]))
    }
    pivot = points.isEmpty ? 1 : points.map(\.z).sorted()[points.count / 2]
    (self.points, self.colours) = (points, colours)
  }

  /// How far the points are turned about the middle of the scene, as a finger drags them.
  public struct Turn: Sendable, Equatable {
    /// To the right, in radians.
    public let yaw: Float
    /// Downwards, in radians.
    public let pitch: Float

    /// Further round there is nothing to see: a camera sees no backs of things.
    private static let most = Float.pi / 3

    /// From its parts; beyond 60° they are 60°.
    public init(yaw: Float = 0, pitch: Float = 0) {
      self.yaw = min(max(yaw, -Self.most), Self.most)
      self.pitch = min(max(pitch, -Self.most), Self.most)
    }

    /// From here on as far as a finger went: a whole side of the picture is 120°.
    public func dragged(_ way: CGSize, over side: CGFloat) -> Turn {
      let radians = side > 0 ? 2 * Self.most / Float(side) : 0
      return Turn(yaw: yaw + Float(way.width) * radians, pitch: pitch + Float(way.height) * radians)
    }
  }

  /// The points as a camera of the same focal length sees them after a turn; what is nearer covers what is further, the ground is black.
  ///
  /// - Parameters:
  ///   - picture: its size.
  ///   - turn: none gives the depth map's own pixels.
  /// - Returns: RGBA bytes, row by row.
  public func rgba(_ picture: PixelSize, turn: Turn = Turn()) -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: 4 * picture.width * picture.height)
    for index in stride(from: 3, to: pixels.count, by: 4) { pixels[index] = 255 }
    var nearest = [Float](repeating: .infinity, count: picture.width * picture.height)
    let (across, down) = (Float(picture.width) / Float(size.width), Float(picture.height) / Float(size.height))
    for (point, colour) in zip(points, colours) {
      let seen = turned(point, turn)
      // Just before the camera a point would cover everything.
      guard seen.z > pivot / 50 else { continue }
      let (u, v) = (fx * seen.x / seen.z + cx, fy * seen.y / seen.z + cy)
      // As large as the depth map's pixel is from there.
      let side = min(point.z / seen.z, 4) / 2
      let columns = Self.pixels((u - side) * across, (u + side) * across, of: picture.width)
      for y in Self.pixels((v - side) * down, (v + side) * down, of: picture.height) {
        for x in columns where seen.z < nearest[y * picture.width + x] {
          nearest[y * picture.width + x] = seen.z
          for channel in 0..<3 { pixels[4 * (y * picture.width + x) + channel] = colour[channel] }
        }
      }
    }
    return pixels
  }

  /// About the pivot, by the yaw about the axis that points down, then by the pitch about the one that points to the right.
  private func turned(_ point: SIMD3<Float>, _ turn: Turn) -> SIMD3<Float> {
    let z = point.z - pivot
    let (sine, cosine) = (sin(turn.yaw), cos(turn.yaw))
    let (x, depth) = (cosine * point.x - sine * z, sine * point.x + cosine * z)
    let (up, level) = (sin(turn.pitch), cos(turn.pitch))
    return SIMD3(x, level * point.y - up * depth, up * point.y + level * depth + pivot)
  }

  /// The pixels of a side whose centres lie between two places, the nearest one at least.
  private static func pixels(_ start: Float, _ end: Float, of side: Int) -> Range<Int> {
    guard end > 0, start < Float(side) else { return 0..<0 }
    let rounding: Float = 1e-3
    let first = max(Int((start - 0.5 - rounding).rounded(.up)), 0)
    let last = min(Int((end - 0.5 - rounding).rounded(.up)), side)
    return first < last ? first..<last : min(first, side - 1)..<min(first, side - 1) + 1
  }
}

extension CropGeometry {
  /// The camera as if it had taken, upright, only what is `shown` of the depth map, in pixels of that.
  ///
  /// - Parameter intrinsics: of the image as it is stored.
  public func cameraOfShown(_ intrinsics: CameraIntrinsics) -> CameraIntrinsics? {
    camera(upright: intrinsics.turned(rotation, of: image))
  }

  func camera(upright: CameraIntrinsics) -> CameraIntrinsics? {
    let axis = upright.axis(in: uprightSize)
    let (across, down) = (CGFloat(depth.width) / crop.width, CGFloat(depth.height) / crop.height)
    return CameraIntrinsics(
      fx: upright.fx * Double(across), fy: upright.fy * Double(down),
      cx: Double((axis.x - crop.minX) * across - CGFloat(shown.columns.lowerBound)),
      cy: Double((axis.y - crop.minY) * down - CGFloat(shown.rows.lowerBound)))
  }
}

extension ModelContract {
  /// The camera to put the shown depth into space by: the one that took the picture, or, where that doesn't tell, the one of the training data,
  /// which would have seen those depths.
  ///
  /// - Parameter intrinsics: of the image as it is stored.
  /// - Returns: nil where neither is known.
  public func cameraOfShown(_ geometry: CropGeometry, intrinsics: CameraIntrinsics?) -> CameraIntrinsics? {
    if let intrinsics { return geometry.cameraOfShown(intrinsics) }
    return camera.flatMap { training in
      let focalLength = training.relativeFocalLength * Double(geometry.crop.width)
      return CameraIntrinsics(fx: focalLength, fy: focalLength).flatMap(geometry.camera(upright:))
    }
  }
}
