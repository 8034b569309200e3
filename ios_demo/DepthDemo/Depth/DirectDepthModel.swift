import CoreImage
import CoreML
import CoreVideo
import DepthCore
import Foundation

/// Calls a model directly. Input and output live in buffers that are made once; Core ML writes the depth map into ours.
final class DirectDepthModel: PreparedDepthModel {
  private let model: MLModel
  private let contract: ModelContract
  private let input: CVPixelBuffer
  private let features: MLDictionaryFeatureProvider
  private let options = MLPredictionOptions()
  // Without a working colour space the values of pixels are scaled as they are.
  private let context = CIContext(options: [.cacheIntermediates: false, .workingColorSpace: NSNull()])

  private let black = CIImage(color: CIColor(red: 0, green: 0, blue: 0))

  init(_ opened: OpenedModel) throws {
    model = opened.model
    contract = opened.contract
    input = try makePixelBuffer(contract.inputSize, format: kCVPixelFormatType_32BGRA)
    features = try MLDictionaryFeatureProvider(dictionary: [contract.inputName: MLFeatureValue(pixelBuffer: input)])
    options.outputBackings = [contract.outputName: try Self.backing(for: opened)]
  }

  func infer(_ pixels: CVPixelBuffer) throws -> DepthOutput {
    prepare(pixels)
    return try predict()
  }

  func predict() throws -> DepthOutput {
    let value = try model.prediction(from: features, options: options).featureValue(for: contract.outputName)
    if let picture = value?.imageBufferValue { return .picture(picture) }
    if let array = value?.multiArrayValue { return .array(array) }
    throw DepthProblem.noResult
  }

  /// Brings the image into the input as the model's framing asks.
  func prepare(_ pixels: CVPixelBuffer) {
    let size = PixelSize(width: CVPixelBufferGetWidth(pixels), height: CVPixelBufferGetHeight(pixels))
    // Beyond the border lies nothing, which would darken the pixels beside it.
    let whole = CIImage(cvPixelBuffer: pixels).clampedToExtent()
    guard size != contract.inputSize else {
      context.render(whole, to: input)
      return
    }
    let crop = contract.geometry(of: size).crop
    // Core Image counts rows from below; what is centred is the same seen from there.
    let scale = (
      x: CGFloat(contract.inputSize.width) / crop.width, y: CGFloat(contract.inputSize.height) / crop.height
    )
    let image =
      whole
      .transformed(by: CGAffineTransform(translationX: -crop.minX, y: -crop.minY))
      .transformed(by: CGAffineTransform(scaleX: scale.x, y: scale.y), highQualityDownsample: true)
      .cropped(
        to: CGRect(
          x: -crop.minX * scale.x, y: -crop.minY * scale.y, width: CGFloat(size.width) * scale.x,
          height: CGFloat(size.height) * scale.y))
    // Between bars the picture does not fill the input, which may still hold the last one.
    context.render(image.composited(over: black), to: input)
  }

  private static func backing(for opened: OpenedModel) throws -> Any {
    let contract = opened.contract
    switch contract.output {
    case .image: return try makePixelBuffer(contract.depthSize, format: kCVPixelFormatType_OneComponent16Half)
    case .array:
      let description = opened.model.modelDescription.outputDescriptionsByName[contract.outputName]
      guard let constraint = description?.multiArrayConstraint else { throw DepthProblem.noResult }
      return try MLMultiArray(shape: constraint.shape, dataType: constraint.dataType)
    }
  }
}

/// A pixel buffer that CPU, GPU and Neural Engine share.
func makePixelBuffer(_ size: PixelSize, format: OSType) throws -> CVPixelBuffer {
  let shared: [String: Any] = [kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any]()]
  var buffer: CVPixelBuffer?
  let status = CVPixelBufferCreate(
    nil, size.width, size.height, format, NSDictionary(dictionary: shared) as CFDictionary, &buffer)
  guard status == kCVReturnSuccess, let buffer else { throw DepthProblem.noMemory(status) }
  return buffer
}
