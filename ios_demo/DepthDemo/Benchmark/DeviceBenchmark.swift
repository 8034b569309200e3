import CoreML
import CoreVideo
import DepthCore
import Foundation
import ObjectiveC

/// Times a model on still images, for each compute unit of a plan.
struct DeviceBenchmark: Sendable {
  let found: FoundModel
  let path: InferencePath
  let plan: BenchmarkPlan
  let store: ModelStore

  /// Runs away from the main thread.
  ///
  /// - Throws: `CancellationError`, `ModelProblem`, or what Core ML says.
  func run(onProgress: @escaping @Sendable (BenchmarkRunner.Progress) -> Void) async throws -> BenchmarkReport {
    // What the metadata say is the same on every compute unit.
    let opened = try await store.open(found, computeUnits: .cpuOnly)
    let (compiled, contract) = (opened.compiled, opened.contract)
    let created = Date()
    let work = Task.detached(priority: .userInitiated) { try measure(compiled, contract, onProgress) }
    let measured = try await withTaskCancellationHandler {
      try await work.value
    } onCancel: {
      work.cancel()
    }
    return BenchmarkReport(
      created: created, machine: Device.machine, results: measured.results, thermal: measured.thermal)
  }

  private func measure(
    _ compiled: CompiledModel, _ contract: ModelContract, _ onProgress: (BenchmarkRunner.Progress) -> Void
  ) throws -> (results: [BenchmarkResult], thermal: [ThermalSample]) {
    let runner = BenchmarkRunner(
      plan: plan, subject: benchmarkSubject(compiled.name, contract, path), sensors: Device.sensors)
    let image = try noise(contract.inputSize)
    return try runner.run(
      load: { units in
        let opened = try OpenedModel(compiled: compiled, computeUnits: units)
        return StillPredictor(model: try path.makeModel(opened), image: image)
      }, onProgress: onProgress)
  }
}

/// Predicts the same image again and again.
private struct StillPredictor: DepthPredicting {
  let model: any DepthModel
  let image: CVPixelBuffer

  func predict() throws {
    try autoreleasepool { _ = try model.infer(image) }
  }
}

/// What a report says about a model.
func benchmarkSubject(_ name: String, _ contract: ModelContract, _ path: InferencePath) -> BenchmarkSubject {
  BenchmarkSubject(
    model: name, backend: path.rawValue, device: modelIdentifier(), checkpointSHA256: contract.checkpointSHA256,
    recipe: contract.recipeJSON)
}

/// An image of the model's size with the same random colours every time.
private func noise(_ size: PixelSize) throws -> CVPixelBuffer {
  let pixels = try makePixelBuffer(size, format: kCVPixelFormatType_32BGRA)
  let status = CVPixelBufferLockBaseAddress(pixels, [])
  guard status == kCVReturnSuccess else { throw DepthProblem.noMemory(status) }
  defer { CVPixelBufferUnlockBaseAddress(pixels, []) }
  guard let base = CVPixelBufferGetBaseAddress(pixels) else { throw DepthProblem.noResult }
  var state: UInt32 = 1
  for row in 0..<size.height {
    for column in 0..<size.width {
      state = state &* 1_664_525 &+ 1_013_904_223
      let offset = row * CVPixelBufferGetBytesPerRow(pixels) + column * 4
      base.storeBytes(of: state | 0xff00_0000, toByteOffset: offset, as: UInt32.self)
    }
  }
  return pixels
}
