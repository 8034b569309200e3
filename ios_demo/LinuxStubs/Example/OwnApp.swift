import CoreML
import CoreVideo
import DepthCore
import DepthVision
import Foundation

// The example in ios_demo/README.md, which tests/ios compares.

final class DepthMeter {
  private let depth: VisionDepthModel
  private let contract: ModelContract

  init(compiledModel url: URL) throws {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .cpuAndNeuralEngine
    let model = try MLModel(contentsOf: url, configuration: configuration)
    contract = try ModelContract(ModelInterface(model.modelDescription))
    depth = try VisionDepthModel(model, framing: contract.framing)
  }

  /// Depth in the middle of an upright image with its unit, such as "1.70 m"; without the camera's focal lengths "1.70 m, uncalibrated".
  func depthAhead(in image: CVPixelBuffer, intrinsics: CameraIntrinsics?) throws -> String {
    let size = PixelSize(width: CVPixelBufferGetWidth(image), height: CVPixelBufferGetHeight(image))
    let scale = contract.scale(of: size, intrinsics: intrinsics)
    let plane = try depth.infer(image).plane().part(times: scale.factor)
    return scale.text(plane.depth(at: CGPoint(x: Double(plane.width) / 2, y: Double(plane.height) / 2)))
  }
}
