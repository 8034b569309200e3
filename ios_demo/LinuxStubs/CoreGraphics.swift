import Foundation

// Core Foundation's types have no counterpart in Foundation on Linux.
public typealias CFString = String
public typealias CFDictionary = NSDictionary
public typealias CFData = NSData
public class CFAllocator {}

public class CGColorSpace {
  public static var sRGB: CFString { "kCGColorSpaceSRGB" }
  init() {}
  public init?(name: CFString) {}
}
public func CGColorSpaceCreateDeviceRGB() -> CGColorSpace { CGColorSpace() }

public class CGDataProvider {
  let bytes: [UInt8]

  public init?(data: CFData) { bytes = [UInt8](data as Data) }
}

public enum CGImageAlphaInfo: UInt32 {
  case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst, alphaOnly
}

public struct CGBitmapInfo: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

public enum CGColorRenderingIntent: Int32 {
  case defaultIntent, absoluteColorimetric, relativeColorimetric, perceptual, saturation
}

public class CGImage {
  public let width: Int
  public let height: Int
  private let bytesPerRow: Int
  private let alpha: CGImageAlphaInfo
  private let bytes: [UInt8]

  /// nil where the bytes don't fill the picture.
  public init?(
    width: Int, height: Int, bitsPerComponent: Int, bitsPerPixel: Int, bytesPerRow: Int, space: CGColorSpace,
    bitmapInfo: CGBitmapInfo, provider: CGDataProvider, decode: UnsafePointer<CGFloat>?, shouldInterpolate: Bool,
    intent: CGColorRenderingIntent
  ) {
    guard let alpha = CGImageAlphaInfo(rawValue: bitmapInfo.rawValue & 0x1f), bitsPerComponent == 8, bitsPerPixel == 32,
      bytesPerRow >= 4 * width, provider.bytes.count >= bytesPerRow * height
    else { return nil }
    (self.width, self.height, self.bytesPerRow, self.alpha) = (width, height, bytesPerRow, alpha)
    bytes = provider.bytes
  }

  /// Red, green and blue as a screen shows them; rows from above.
  package func colour(_ x: Int, _ y: Int) -> [UInt8] {
    let start = y * bytesPerRow + 4 * x
    switch alpha {
    case .first, .premultipliedFirst, .noneSkipFirst: return Array(bytes[start + 1..<start + 4])
    default: return Array(bytes[start..<start + 3])
    }
  }
}

public struct CGAffineTransform: Sendable {
  public var a, b, c, d: CGFloat
  package var offset: (x: CGFloat, y: CGFloat)
  package var scale: (x: CGFloat, y: CGFloat) { (a, d) }

  package init(_ numbers: [Double]) {
    (a, b, c, d) = (numbers[0], numbers[1], numbers[2], numbers[3])
    offset = (numbers[4], numbers[5])
  }
  public init(translationX: CGFloat, y: CGFloat) { self.init([1, 0, 0, 1, translationX, y]) }
  public init(scaleX: CGFloat, y: CGFloat) { self.init([scaleX, 0, 0, y, 0, 0]) }
}

// Apple's Foundation has these, Linux's hasn't.
extension ProcessInfo {
  public enum ThermalState: Int, Sendable {
    case nominal, fair, serious, critical
  }
  nonisolated(unsafe) package static var heat = ThermalState.nominal
  public var thermalState: ThermalState { Self.heat }
  nonisolated(unsafe) package static var savesPower = false
  public var isLowPowerModeEnabled: Bool { Self.savesPower }
}
extension URL {
  /// How many accesses were begun and not ended.
  nonisolated(unsafe) package static var accessCount = 0
  public func startAccessingSecurityScopedResource() -> Bool {
    Self.accessCount += 1
    return true
  }
  public func stopAccessingSecurityScopedResource() { Self.accessCount -= 1 }
}

extension CGImage {
  /// Of RGBX bytes, row by row.
  package static func ofRows(_ bytes: [UInt8], width: Int, height: Int) -> CGImage? {
    CGDataProvider(data: NSData(data: Data(bytes))).flatMap {
      CGImage(
        width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 32, bytesPerRow: 4 * width,
        space: CGColorSpaceCreateDeviceRGB(),
        bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.noneSkipLast.rawValue), provider: $0, decode: nil,
        shouldInterpolate: false, intent: .defaultIntent)
    }
  }
}
