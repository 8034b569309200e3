import CoreML
import CoreVideo
import DepthCore
import Vision

/// Calls a model through Vision.
public final class VisionDepthModel: DepthModel {
  private let request: VNCoreMLRequest

  /// Prepares a loaded model.
  ///
  /// - Parameters:
  ///   - model: that fulfils the contract.
  ///   - framing: that the contract asks for.
  public init(_ model: MLModel, framing: Framing) throws {
    request = VNCoreMLRequest(model: try VNCoreMLModel(for: model))
    request.imageCropAndScaleOption =
      switch framing {
      case .stretch: .scaleFill
      case .crop: .centerCrop
      case .letterbox: .scaleFit
      }
  }

  /// Runs the model on an upright image of any size.
  ///
  /// - Throws: what Vision says, or `DepthProblem.noResult`.
  public func infer(_ pixels: CVPixelBuffer) throws -> DepthOutput {
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
