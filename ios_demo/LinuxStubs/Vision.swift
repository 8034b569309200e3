import CoreGraphics
import CoreImage
import CoreML
import CoreVideo
import Foundation

public class VNObservation: NSObject {}

public class VNPixelBufferObservation: VNObservation {
  public let pixelBuffer: CVPixelBuffer
  init(_ pixels: CVPixelBuffer) { pixelBuffer = pixels }
}

public class VNCoreMLFeatureValueObservation: VNObservation {
  public let featureValue: MLFeatureValue
  init(_ value: MLFeatureValue) { featureValue = value }
}

public class VNRequest: NSObject {
  public fileprivate(set) var results: [VNObservation]?
}

public enum VNImageCropAndScaleOption: UInt, Sendable {
  case centerCrop = 0
  case scaleFit = 1
  case scaleFill = 2
  case scaleFitRotate90CCW = 257
  case scaleFillRotate90CCW = 258
}

public class VNCoreMLModel: NSObject {
  let model: MLModel
  public init(for model: MLModel) throws { self.model = model }
}

public class VNCoreMLRequest: VNRequest {
  let model: MLModel
  public init(model: VNCoreMLModel) { self.model = model.model }
  public var imageCropAndScaleOption: VNImageCropAndScaleOption = .centerCrop
}

public struct VNImageOption: Hashable, Sendable {}

/// Brings an image to the model's size: `centerCrop` cuts what is too much, `scaleFill` stretches, `scaleFit` leaves black bars.
public class VNImageRequestHandler: NSObject {
  private let pixels: CVPixelBuffer

  public init(cvPixelBuffer pixelBuffer: CVPixelBuffer, options: [VNImageOption: Any] = [:]) { pixels = pixelBuffer }

  public func perform(_ requests: [VNRequest]) throws {
    for case let request as VNCoreMLRequest in requests {
      request.results = nil
      guard let (name, input) = request.model.modelDescription.inputDescriptionsByName.first,
        let output = request.model.modelDescription.outputDescriptionsByName.keys.first,
        let image = input.imageConstraint, let buffer = scaled(to: image, request.imageCropAndScaleOption)
      else { throw FakeProblem("the model takes no picture") }
      let features = try MLDictionaryFeatureProvider(dictionary: [name: MLFeatureValue(pixelBuffer: buffer)])
      let value = try request.model.prediction(from: features, options: MLPredictionOptions()).featureValue(for: output)
      if let picture = value?.imageBufferValue {
        request.results = [VNPixelBufferObservation(picture)]
      } else if let value {
        request.results = [VNCoreMLFeatureValueObservation(value)]
      }
    }
  }

  private func scaled(to image: MLImageConstraint, _ option: VNImageCropAndScaleOption) -> CVPixelBuffer? {
    var buffer: CVPixelBuffer?
    let status = CVPixelBufferCreate(
      nil, image.pixelsWide, image.pixelsHigh, image.pixelFormatType, nil, &buffer)
    guard status == kCVReturnSuccess, let buffer else { return nil }
    let size = CGSize(width: CGFloat(CVPixelBufferGetWidth(pixels)), height: CGFloat(CVPixelBufferGetHeight(pixels)))
    let (x, y) = (CGFloat(image.pixelsWide) / size.width, CGFloat(image.pixelsHigh) / size.height)
    let scale: (x: CGFloat, y: CGFloat)
    switch option {
    case .centerCrop: scale = (max(x, y), max(x, y))
    case .scaleFit: scale = (min(x, y), min(x, y))
    default: scale = (x, y)
    }
    let whole = CIImage(cvPixelBuffer: pixels)
    let picture = (option == .scaleFit ? whole : whole.clampedToExtent())
      .transformed(by: CGAffineTransform(translationX: -size.width / 2, y: -size.height / 2))
      .transformed(by: CGAffineTransform(scaleX: scale.x, y: scale.y), highQualityDownsample: true)
      .transformed(
        by: CGAffineTransform(translationX: CGFloat(image.pixelsWide) / 2, y: CGFloat(image.pixelsHigh) / 2))
    CIContext().render(picture.composited(over: CIImage(color: CIColor(red: 0, green: 0, blue: 0))), to: buffer)
    return buffer
  }
}
