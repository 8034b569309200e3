/// 256 colours from the near to the far end of a range.
public struct Colormap: Sendable {
  /// The map that the pictures of `fcrn-mobile` use: near is bright, far is dark.
  public static let depth = Colormap(table: depthColours)

  /// Signed differences, as `fcrn-mobile` draws them: blue is nearer than the reference, red is farther, white is the same.
  public static let difference = Colormap(table: differenceColours)

  /// Red, green, blue of each colour, in 0...255.
  public let table: [UInt8]

  /// Shown where there is no depth.
  public static let unknown: UInt8 = 128

  /// A depth map as RGBA bytes, row by row; opaque, gray where the depth is not finite.
  public func rgba(of plane: DepthPlane, in range: DepthRange) -> [UInt8] {
    let span = max(range.far - range.near, 1e-6)
    return [UInt8](unsafeUninitializedCapacity: plane.values.count * 4) { pixels, count in
      for (index, depth) in plane.values.enumerated() {
        let pixel = index * 4
        if depth.isFinite {
          let share = min(max((depth - range.near) / span, 0), 1)
          let colour = 3 * min(Int(share * 256), 255)
          pixels[pixel] = table[colour]
          pixels[pixel + 1] = table[colour + 1]
          pixels[pixel + 2] = table[colour + 2]
        } else {
          pixels[pixel] = Self.unknown
          pixels[pixel + 1] = Self.unknown
          pixels[pixel + 2] = Self.unknown
        }
        pixels[pixel + 3] = 255
      }
      count = plane.values.count * 4
    }
  }
}
