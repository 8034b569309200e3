import CoreML
import CoreVideo
import Foundation

public class VNObservation: NSObject {}

public class VNPixelBufferObservation: VNObservation {
  public var pixelBuffer: CVPixelBuffer { fatalError() }
}

public class VNCoreMLFeatureValueObservation: VNObservation {
  public var featureValue: MLFeatureValue { fatalError() }
}

public class VNRequest: NSObject {
  public var results: [VNObservation]? { fatalError() }
}

public enum VNImageCropAndScaleOption: UInt, Sendable {
  case centerCrop = 0
  case scaleFit = 1
  case scaleFill = 2
  case scaleFitRotate90CCW = 257
  case scaleFillRotate90CCW = 258
}

public class VNCoreMLModel: NSObject {
  public init(for model: MLModel) throws {}
}

public class VNCoreMLRequest: VNRequest {
  public init(model: VNCoreMLModel) {}
  public var imageCropAndScaleOption: VNImageCropAndScaleOption = .centerCrop
}

public struct VNImageOption: Hashable, Sendable {}

public class VNImageRequestHandler: NSObject {
  public init(cvPixelBuffer pixelBuffer: CVPixelBuffer, options: [VNImageOption: Any] = [:]) {}
  public func perform(_ requests: [VNRequest]) throws {}
}
