import CoreML
import CoreVideo
import DepthCore

extension ModelInterface {
  /// As Core ML describes a loaded model.
  public init(_ description: MLModelDescription) {
    let metadata = description.metadata[.creatorDefinedKey] as? [String: String]
    self.init(
      inputs: Self.features(description.inputDescriptionsByName),
      outputs: Self.features(description.outputDescriptionsByName),
      metadata: metadata ?? [:])
  }

  private static func features(_ descriptions: [String: MLFeatureDescription]) -> [Feature] {
    descriptions.sorted { $0.key < $1.key }.map { Feature(name: $0.key, kind: kind($0.value)) }
  }

  private static func kind(_ description: MLFeatureDescription) -> Feature.Kind {
    if let image = description.imageConstraint, image.pixelsWide > 0, image.pixelsHigh > 0 {
      let size = PixelSize(width: image.pixelsWide, height: image.pixelsHigh)
      switch image.pixelFormatType {
      case kCVPixelFormatType_32BGRA, kCVPixelFormatType_32ARGB: return .colourImage(size)
      case kCVPixelFormatType_OneComponent16Half: return .halfImage(size)
      default: return .other("image of pixel format \(image.pixelFormatType)")
      }
    }
    if let array = description.multiArrayConstraint { return .array(shape: array.shape.map(\.intValue)) }
    return .other("feature of type \(description.type.rawValue)")
  }
}
