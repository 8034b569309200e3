@_exported import CoreGraphics
import Foundation

public typealias OSType = UInt32
public typealias CVReturn = Int32
public typealias CVPixelBuffer = CVBuffer
public typealias CVImageBuffer = CVBuffer

/// Pixels on the heap, in rows that are longer than what they hold.
public class CVBuffer {
  let width: Int
  let height: Int
  let format: OSType
  let bytesPerRow: Int
  fileprivate let base: UnsafeMutableRawPointer
  private let guarded = NSLock()
  private var locks = 0

  package init?(width: Int, height: Int, format: OSType) {
    guard let bytes = Self.bytesPerPixel[format], width > 0, height > 0 else { return nil }
    (self.width, self.height, self.format) = (width, height, format)
    bytesPerRow = (width * bytes + 63) / 64 * 64 + 64
    base = .allocate(byteCount: bytesPerRow * height, alignment: 64)
    // Padding that is taken for pixels shows: bright, and as depth a number that no model gives.
    base.initializeMemory(as: UInt8.self, repeating: 0x7b, count: bytesPerRow * height)
  }

  deinit { base.deallocate() }

  private static let bytesPerPixel: [OSType: Int] = [
    kCVPixelFormatType_32BGRA: 4, kCVPixelFormatType_32ARGB: 4, kCVPixelFormatType_OneComponent16Half: 2,
    kCVPixelFormatType_OneComponent32Float: 4, kCVPixelFormatType_DepthFloat16: 2, kCVPixelFormatType_DepthFloat32: 4,
  ]

  /// How often it is locked now.
  package var lockCount: Int { guarded.withLock { locks } }

  fileprivate func change(locksBy step: Int) -> CVReturn {
    guarded.withLock {
      guard locks + step >= 0 else { return -6660 }
      locks += step
      return kCVReturnSuccess
    }
  }

  private func offset(_ x: Int, _ y: Int) -> Int { y * bytesPerRow + x * (Self.bytesPerPixel[format] ?? 0) }

  /// Red, green, blue and alpha in 0...255 of a picture in colour.
  package subscript(colour x: Int, y: Int) -> SIMD4<Double> {
    get {
      let bytes = (0..<4).map { Double(base.load(fromByteOffset: offset(x, y) + $0, as: UInt8.self)) }
      return format == kCVPixelFormatType_32ARGB
        ? SIMD4(bytes[1], bytes[2], bytes[3], bytes[0]) : SIMD4(bytes[2], bytes[1], bytes[0], bytes[3])
    }
    set {
      let order = format == kCVPixelFormatType_32ARGB ? [3, 0, 1, 2] : [2, 1, 0, 3]
      for (byte, channel) in order.enumerated() {
        let value = UInt8(min(max(newValue[channel].rounded(), 0), 255))
        base.storeBytes(of: value, toByteOffset: offset(x, y) + byte, as: UInt8.self)
      }
    }
  }

  /// The value of a picture with one channel.
  package subscript(depth x: Int, y: Int) -> Float {
    get {
      Self.bytesPerPixel[format] == 2
        ? Float(base.load(fromByteOffset: offset(x, y), as: Float16.self))
        : base.load(fromByteOffset: offset(x, y), as: Float.self)
    }
    set {
      if Self.bytesPerPixel[format] == 2 {
        base.storeBytes(of: Float16(newValue), toByteOffset: offset(x, y), as: Float16.self)
      } else {
        base.storeBytes(of: newValue, toByteOffset: offset(x, y), as: Float.self)
      }
    }
  }
}

public struct CVPixelBufferLockFlags: OptionSet, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static var readOnly: CVPixelBufferLockFlags { CVPixelBufferLockFlags(rawValue: 1) }
}

private func code(_ name: String) -> OSType { name.utf8.reduce(0) { $0 << 8 | OSType($1) } }

public let kCVReturnSuccess: CVReturn = 0
public let kCVPixelFormatType_32ARGB: OSType = 32
public let kCVPixelFormatType_32BGRA: OSType = code("BGRA")
public let kCVPixelFormatType_OneComponent16Half: OSType = code("L00h")
public let kCVPixelFormatType_OneComponent32Float: OSType = code("L00f")
public let kCVPixelFormatType_DepthFloat16: OSType = code("hdep")
public let kCVPixelFormatType_DepthFloat32: OSType = code("fdep")
public let kCVPixelFormatType_DisparityFloat16: OSType = code("hdis")
public let kCVPixelBufferPixelFormatTypeKey: CFString = "PixelFormatType"
public let kCVPixelBufferIOSurfacePropertiesKey: CFString = "IOSurfaceProperties"

public func CVPixelBufferCreate(
  _ allocator: CFAllocator?, _ width: Int, _ height: Int, _ pixelFormatType: OSType,
  _ pixelBufferAttributes: CFDictionary?, _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
  pixelBufferOut.pointee = CVBuffer(width: width, height: height, format: pixelFormatType)
  return pixelBufferOut.pointee == nil ? -6680 : kCVReturnSuccess
}
@discardableResult public func CVPixelBufferLockBaseAddress(
  _ pixelBuffer: CVPixelBuffer, _ lockFlags: CVPixelBufferLockFlags
) -> CVReturn { pixelBuffer.change(locksBy: 1) }
@discardableResult public func CVPixelBufferUnlockBaseAddress(
  _ pixelBuffer: CVPixelBuffer, _ unlockFlags: CVPixelBufferLockFlags
) -> CVReturn { pixelBuffer.change(locksBy: -1) }
// What is not locked has no address.
public func CVPixelBufferGetBaseAddress(_ pixelBuffer: CVPixelBuffer) -> UnsafeMutableRawPointer? {
  pixelBuffer.lockCount > 0 ? pixelBuffer.base : nil
}
public func CVPixelBufferGetBytesPerRow(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.bytesPerRow }
public func CVPixelBufferGetDataSize(_ pixelBuffer: CVPixelBuffer) -> Int {
  pixelBuffer.bytesPerRow * pixelBuffer.height
}
public func CVPixelBufferGetPixelFormatType(_ pixelBuffer: CVPixelBuffer) -> OSType { pixelBuffer.format }
public func CVPixelBufferGetWidth(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.width }
public func CVPixelBufferGetHeight(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.height }
