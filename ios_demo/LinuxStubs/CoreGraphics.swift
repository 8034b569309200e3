import Foundation

// Core Foundation's types have no counterpart in Foundation on Linux.
public typealias CFString = String
public typealias CFDictionary = NSDictionary
public typealias CFData = NSData
public class CFAllocator {}

public class CGColorSpace {}
public func CGColorSpaceCreateDeviceRGB() -> CGColorSpace { fatalError() }

public class CGDataProvider {
  public init?(data: CFData) { nil }
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
  public init?(
    width: Int, height: Int, bitsPerComponent: Int, bitsPerPixel: Int, bytesPerRow: Int, space: CGColorSpace,
    bitmapInfo: CGBitmapInfo, provider: CGDataProvider, decode: UnsafePointer<CGFloat>?, shouldInterpolate: Bool,
    intent: CGColorRenderingIntent
  ) { nil }
  public var width: Int { fatalError() }
  public var height: Int { fatalError() }
}

public struct CGAffineTransform: Sendable {
  public init(translationX: CGFloat, y: CGFloat) {}
  public init(scaleX: CGFloat, y: CGFloat) {}
}

// Apple's Foundation has these, Linux's hasn't.
extension ProcessInfo {
  public enum ThermalState: Int, Sendable {
    case nominal, fair, serious, critical
  }
  public var thermalState: ThermalState { fatalError() }
}
