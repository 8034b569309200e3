import Foundation

/// A depth map, row by row without padding; in the unit that its `DepthScale` says.
public struct DepthPlane: Sendable, Equatable {
  /// Pixels of a row.
  public let width: Int
  /// Rows.
  public let height: Int
  /// `width · height` values; not finite or not positive where there is no depth.
  public let values: [Float]

  /// Wraps values that are packed already.
  ///
  /// - Throws: `DepthPlaneError` when there are not exactly `width · height` of them.
  public init(width: Int, height: Int, values: [Float]) throws(DepthPlaneError) {
    try DepthLayout.checkSize(width: width, height: height)
    guard values.count == width * height else {
      throw .count(found: values.count, needed: width * height)
    }
    self.width = width
    self.height = height
    self.values = values
  }

  /// Copies a depth map out of a pixel buffer or a multi-array.
  ///
  /// - Throws: `DepthPlaneError` when the layout cannot be right, or reaches beyond the buffer.
  public init(copying buffer: UnsafeRawBufferPointer, layout: DepthLayout) throws(DepthPlaneError) {
    let needed = layout.byteCount
    guard buffer.count >= needed else { throw .count(found: buffer.count, needed: needed) }
    width = layout.width
    height = layout.height
    values = [Float](unsafeUninitializedCapacity: width * height) { depths, count in
      for row in 0..<layout.height {
        for column in 0..<layout.width {
          let offset = row * layout.bytesPerRow + column * layout.bytesPerColumn
          depths[row * layout.width + column] = layout.scalar.read(buffer, at: offset)
        }
      }
      count = layout.width * layout.height
    }
  }

  /// Some of its rows and columns, which have to be there, all depths times a factor.
  ///
  /// - Parameters:
  ///   - rows: nil for all.
  ///   - columns: nil for all.
  ///   - factor: 1 leaves depths as they are.
  public func part(rows: Range<Int>? = nil, columns: Range<Int>? = nil, times factor: Double = 1) -> DepthPlane {
    let (rows, columns) = (rows ?? 0..<height, columns ?? 0..<width)
    if rows == 0..<height, columns == 0..<width, factor == 1 { return self }
    let scale = Float(factor)
    return DepthPlane(
      width: columns.count, height: rows.count,
      packed: rows.flatMap { row in columns.map { values[row * width + $0] * scale } })
  }

  init(width: Int, height: Int, packed: [Float]) {
    (self.width, self.height, values) = (width, height, packed)
  }

  /// The depth of the pixel that a point falls into; nil outside, and where there is no depth.
  ///
  /// - Parameter point: in pixels; (0, 0) is the outer corner of the first pixel, its centre is (0.5, 0.5).
  public func depth(at point: CGPoint) -> Float? {
    value(at: point).flatMap { $0 > 0 ? $0 : nil }
  }

  /// The value of the pixel that a point falls into; nil outside, and where it is no finite number.
  ///
  /// - Parameter point: as of `depth(at:)`.
  public func value(at point: CGPoint) -> Float? {
    guard (0..<CGFloat(width)).contains(point.x), (0..<CGFloat(height)).contains(point.y) else { return nil }
    let value = values[Int(point.y) * width + Int(point.x)]
    return value.isFinite ? value : nil
  }
}

/// Where the values of a depth map lie in memory.
public struct DepthLayout: Sendable, Equatable {
  /// The type of one value, little-endian.
  public enum Scalar: Sendable, CaseIterable {
    case half, float, double

    /// Bytes of one value.
    public var size: Int {
      switch self {
      case .half: 2
      case .float: 4
      case .double: 8
      }
    }

    func read(_ buffer: UnsafeRawBufferPointer, at offset: Int) -> Float {
      switch self {
      case .half: floatFromHalf(buffer.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      case .float: buffer.loadUnaligned(fromByteOffset: offset, as: Float.self)
      case .double: Float(buffer.loadUnaligned(fromByteOffset: offset, as: Double.self))
      }
    }
  }

  /// Pixels of a row.
  public let width: Int
  /// Rows.
  public let height: Int
  /// The type of one value.
  public let scalar: Scalar
  /// From one row to the next; more than the row's values take where rows are padded.
  public let bytesPerRow: Int
  /// From one value to the next in a row.
  public let bytesPerColumn: Int

  /// - Parameter bytesPerColumn: nil where the values of a row follow each other.
  /// - Throws: `DepthPlaneError` when a size is not positive or values would overlap.
  public init(
    width: Int, height: Int, scalar: Scalar, bytesPerRow: Int, bytesPerColumn: Int? = nil
  ) throws(DepthPlaneError) {
    try Self.checkSize(width: width, height: height)
    let step = bytesPerColumn ?? scalar.size
    guard (scalar.size...Self.longestRow).contains(step) else { throw .stride(step, least: scalar.size) }
    let row = (width - 1) * step + scalar.size
    guard (row...Self.longestRow).contains(bytesPerRow) else { throw .stride(bytesPerRow, least: row) }
    self.width = width
    self.height = height
    self.scalar = scalar
    self.bytesPerRow = bytesPerRow
    self.bytesPerColumn = step
  }

  /// From the first to the last byte that is read.
  var byteCount: Int {
    (height - 1) * bytesPerRow + (width - 1) * bytesPerColumn + scalar.size
  }

  fileprivate static func checkSize(width: Int, height: Int) throws(DepthPlaneError) {
    let sides = 1...16_384
    guard sides.contains(width), sides.contains(height) else { throw .size(width: width, height: height) }
  }

  private static let longestRow = 1 << 30
}

/// A depth map that cannot be read as described.
public enum DepthPlaneError: ExplainedError, Equatable {
  case size(width: Int, height: Int)
  case stride(Int, least: Int)
  case count(found: Int, needed: Int)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .size(let width, let height): "a depth map of \(width)×\(height) pixels cannot be shown"
    case .stride(let stride, let least): "a depth map with a stride of \(stride) bytes, at least \(least) are needed"
    case .count(let found, let needed): "a depth map with \(found) values or bytes, \(needed) are needed"
    }
  }
}

/// IEEE 754 half precision, by its bits: `Float16` does not exist on Intel Macs.
func floatFromHalf(_ bits: UInt16) -> Float {
  let sign = UInt32(bits & 0x8000) << 16
  let exponent = UInt32(bits >> 10 & 0x1f)
  let fraction = UInt32(bits & 0x3ff)
  switch exponent {
  case 0:  // zero and subnormal numbers: fraction · 2⁻²⁴
    let magnitude = Float(fraction) * 0x1p-24
    return Float(bitPattern: sign | magnitude.bitPattern)
  case 0x1f:  // infinity and NaN
    return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
  default:
    return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
  }
}
