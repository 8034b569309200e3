import CoreVideo
import DepthCore
import XCTest

@testable import DepthDemo

/// Times in Xcode's own report, with a baseline for each device. The app's benchmark takes more samples and writes them down.
final class LatencyTests: XCTestCase {
  private var opened: OpenedModel?

  override func setUp() async throws {
    let store = ModelStore()
    guard let found = try await store.find().first else { return }
    opened = try await store.open(found, computeUnits: .cpuAndNeuralEngine)
  }

  func testPredictionsThroughVision() throws {
    try measurePredictions(through: .vision)
  }

  func testPredictionsThroughCoreML() throws {
    try measurePredictions(through: .coreml)
  }

  func testColoursOfADepthMap() throws {
    let metres = (0..<160 * 112).map { Float($0 % 160) / 16 }
    let plane = try DepthPlane(width: 160, height: 112, values: metres)
    var normalizer = DepthNormalizer()
    measure(metrics: [XCTClockMetric()]) {
      XCTAssertEqual(Colormap.depth.rgba(of: plane, in: normalizer.range(of: plane)).count, 160 * 112 * 4)
    }
  }

  private func measurePredictions(through path: InferencePath) throws {
    guard let opened else {
      throw XCTSkip("There is no model in the app: put one into Models/ with fcrn-mobile ios-install.")
    }
    let model = try path.makeModel(opened)
    let image = try makePixelBuffer(opened.contract.inputSize, format: kCVPixelFormatType_32BGRA)
    // The first predictions prepare the processors.
    for _ in 0..<5 { _ = try model.infer(image) }
    let options = XCTMeasureOptions()
    options.iterationCount = 20
    var failure: (any Error)?
    measure(metrics: [XCTClockMetric(), XCTMemoryMetric()], options: options) {
      do { _ = try model.infer(image) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
