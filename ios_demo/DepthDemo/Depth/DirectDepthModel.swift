import CoreImage
import CoreML
import CoreVideo
import DepthCore
import Foundation

/// Calls a model directly. Input and output live in buffers that are made once; Core ML writes the depth map into ours.
final class DirectDepthModel: DepthModel {
  private let model: MLModel
  private let contract: ModelContract
  private let input: CVPixelBuffer
  private let features: MLDictionaryFeatureProvider
  private let options = MLPredictionOptions()
  // Without a working colour space the values of pixels are scaled as they are.
  private let context = CIContext(options: [.cacheIntermediates: false, .workingColorSpace: NSNull()])

  init(_ opened: OpenedModel) throws {
    model = opened.model
    contract = opened.contract
    input = try makePixelBuffer(contract.inputSize, format: kCVPixelFormatType_32BGRA)
    features = try MLDictionaryFeatureProvider(dictionary: [contract.inputName: MLFeatureValue(pixelBuffer: input)])
    options.outputBackings = [contract.outputName: try Self.backing(for: opened)]
  }

  func infer(_ pixels: CVPixelBuffer) throws -> DepthOutput {
    fit(pixels)
    let value = try model.prediction(from: features, options: options).featureValue(for: contract.outputName)
    if let picture = value?.imageBufferValue { return .picture(picture) }
    if let array = value?.multiArrayValue { return .array(array) }
    throw DepthProblem.noResult
  }

  /// Crops the centre of the image and scales it into the input.
  private func fit(_ pixels: CVPixelBuffer) {
    let size = PixelSize(width: CVPixelBufferGetWidth(pixels), height: CVPixelBufferGetHeight(pixels))
    // Beyond the border lies nothing, which would darken the pixels beside it.
    let whole = CIImage(cvPixelBuffer: pixels).clampedToExtent()
    guard size != contract.inputSize else {
      context.render(whole, to: input)
      return
    }
    let geometry = contract.geometry(of: size)
    // Core Image counts rows from below; a centred crop is the same seen from there.
    let scale = CGFloat(contract.inputSize.width) / geometry.crop.width
    let image =
      whole
      .transformed(by: CGAffineTransform(translationX: -geometry.crop.minX, y: -geometry.crop.minY))
      .transformed(by: CGAffineTransform(scaleX: scale, y: scale), highQualityDownsample: true)
    context.render(image, to: input)
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

extension ModelContract {
  /// How an upright image is cropped for the model.
  func geometry(of image: PixelSize) -> CropGeometry {
    CropGeometry(image: image, rotation: .none, model: inputSize, depth: depthSize, mode: .centerCrop)
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
