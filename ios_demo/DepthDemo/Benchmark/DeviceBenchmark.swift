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
    let origin = ContinuousClock.now
    let before = await Device.power(at: 0)
    let work = Task.detached(priority: .userInitiated) { try measure(compiled, contract, onProgress) }
    let measured = try await withTaskCancellationHandler {
      try await work.value
    } onCancel: {
      work.cancel()
    }
    let after = await Device.power(at: (ContinuousClock.now - origin).milliseconds / 1000)
    var results: [BenchmarkResult] = []
    for result in measured.results {
      results.append(result.planned(await plannedOperators(of: compiled.url, on: result.computeUnits)))
    }
    return BenchmarkReport(
      created: created, machine: Device.machine, results: results, thermal: measured.thermal, plan: PlanRecord(plan),
      power: [before, after])
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
        return StillPredictor(model: try path.makeModel(opened), image: image, loadKind: opened.loadKind)
      }, onProgress: onProgress)
  }
}

/// Predicts the same image again and again: the model alone where its input can be made ready, or else a whole request.
private struct StillPredictor: DepthPredicting {
  let model: any DepthModel
  let image: CVPixelBuffer
  let loadKind: BenchmarkResult.LoadKind?

  var spans: BenchmarkResult.Span { model is any PreparedDepthModel ? .prediction : .request }

  func prepare() {
    autoreleasepool { (model as? any PreparedDepthModel)?.prepare(image) }
  }

  func predict() throws {
    try autoreleasepool {
      if let prepared = model as? any PreparedDepthModel {
        _ = try prepared.predict()
      } else {
        _ = try model.infer(image)
      }
    }
  }
}

/// Where Core ML plans to run each operator of a compiled model; nil before iOS 17.4, and where it has no plan.
func plannedOperators(of url: URL, on units: ComputeUnits) async -> [BenchmarkResult.Operator]? {
  guard #available(iOS 17.4, *) else { return nil }
  let configuration = MLModelConfiguration()
  configuration.computeUnits = units.coreML
  guard let plan = try? await MLComputePlan.load(contentsOf: url, configuration: configuration),
    case .program(let program) = plan.modelStructure, let main = program.functions["main"]
  else { return nil }
  return main.block.operations.compactMap { operation in
    // Constants have no place to run.
    guard let usage = plan.deviceUsage(for: operation) else { return nil }
    let unit: BenchmarkResult.Operator.Unit =
      switch usage.preferred {
      case .cpu: .cpu
      case .gpu: .gpu
      case .neuralEngine: .neuralEngine
      @unknown default: .cpu
      }
    return BenchmarkResult.Operator(
      name: operation.operatorName, output: operation.outputs.first?.name, unit: unit,
      cost: plan.estimatedCost(of: operation)?.weight)
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
