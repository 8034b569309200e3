import CoreGraphics
import CoreVideo
import Foundation

public class CIImage: NSObject {
  public init(cvPixelBuffer pixelBuffer: CVPixelBuffer) {}
  public func cropped(to rect: CGRect) -> CIImage { fatalError() }
  public func transformed(by matrix: CGAffineTransform) -> CIImage { fatalError() }
  public func transformed(by matrix: CGAffineTransform, highQualityDownsample: Bool) -> CIImage { fatalError() }
}

public struct CIContextOption: Hashable, Sendable {
  public static var cacheIntermediates: CIContextOption { fatalError() }
  public static var workingColorSpace: CIContextOption { fatalError() }
}

public class CIContext: NSObject {
  public init(options: [CIContextOption: Any]? = nil) {}
  public func render(_ image: CIImage, to buffer: CVPixelBuffer) {}
  public func createCGImage(_ image: CIImage, from fromRect: CGRect) -> CGImage? { fatalError() }
}
