import CoreML
import CoreVideo
import DepthCore
import Foundation

// The example in ios_demo/README.md, which tests/ios compares.

final class DepthMeter {
  private let depth: VisionDepthModel

  init(compiledModel url: URL) throws {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .cpuAndNeuralEngine
    depth = try VisionDepthModel(MLModel(contentsOf: url, configuration: configuration))
  }

  /// Depth in the middle of an upright image: in metres, unless the model's metadata say "up to scale".
  func depthAhead(in image: CVPixelBuffer) throws -> Float? {
    let plane = try depth.infer(image).plane()
    return plane.depth(at: CGPoint(x: Double(plane.width) / 2, y: Double(plane.height) / 2))
  }
}
