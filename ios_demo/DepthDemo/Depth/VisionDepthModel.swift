import CoreML
import CoreVideo
import DepthCore
import Vision

/// Calls a model through Vision.
final class VisionDepthModel: DepthModel {
  private let request: VNCoreMLRequest

  /// - Parameter framing: that the model's contract asks for.
  init(_ model: MLModel, framing: Framing) throws {
    request = VNCoreMLRequest(model: try VNCoreMLModel(for: model))
    request.imageCropAndScaleOption =
      switch framing {
      case .stretch: .scaleFill
      case .crop: .centerCrop
      case .letterbox: .scaleFit
      }
  }

  func infer(_ pixels: CVPixelBuffer) throws -> DepthOutput {
    try VNImageRequestHandler(cvPixelBuffer: pixels, options: [:]).perform([request])
    // A picture comes as a pixel buffer, an array as a feature value.
    for result in request.results ?? [] {
      if let picture = result as? VNPixelBufferObservation { return .picture(picture.pixelBuffer) }
      if let value = result as? VNCoreMLFeatureValueObservation, let array = value.featureValue.multiArrayValue {
        return .array(array)
      }
    }
    throw DepthProblem.noResult
  }
}
