import CoreML
import DepthCore
import Foundation

/// A model that was loaded and fulfils the contract. It is handed from the thread that loads it to the one that uses it.
struct OpenedModel: @unchecked Sendable {
  /// Of this loading: the same model loaded again has another.
  let id = UUID()
  let compiled: CompiledModel
  let model: MLModel
  let contract: ModelContract
  let computeUnits: ComputeUnits
  let loadMS: Double
  let loadKind: BenchmarkResult.LoadKind

  var name: String { compiled.name }

  /// Loads a compiled model.
  ///
  /// - Throws: what Core ML says, or `ModelProblem.contract`.
  init(compiled: CompiledModel, computeUnits: ComputeUnits) throws {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = computeUnits.coreML
    let start = ContinuousClock.now
    model = try MLModel(contentsOf: compiled.url, configuration: configuration)
    loadMS = (ContinuousClock.now - start).milliseconds
    loadKind = Loadings.shared.add(compiled.url, computeUnits) ? .cold : .warm
    self.compiled = compiled
    self.computeUnits = computeUnits
    do {
      contract = try ModelContract(ModelInterface(model.modelDescription))
    } catch {
      throw ModelProblem.contract(compiled.name, error)
    }
  }
}

/// What was loaded since the app was launched.
private final class Loadings: @unchecked Sendable {
  static let shared = Loadings()

  private let lock = NSLock()
  private var known: Set<String> = []

  /// Whether it is the first of this model on these units.
  func add(_ url: URL, _ units: ComputeUnits) -> Bool {
    lock.withLock { known.insert("\(units.rawValue) \(url.path)").inserted }
  }
}

/// A model in the form that Core ML loads.
struct CompiledModel: Sendable {
  let name: String
  let url: URL
  /// Of its content, for one that lies in the cache; nil for one that Xcode compiled.
  let hash: String?
}

/// Why a model cannot be used.
enum ModelProblem: LocalizedError {
  case contract(String, ContractViolation)
  case unreadable(String, any Error)
  case system(String, needs: Int, runs: Int)

  var errorDescription: String? {
    switch self {
    case .contract(let name, let violation): "\(name) doesn't fit: \(violation)."
    case .unreadable(let name, let error): "\(name) cannot be opened: \(error.localizedDescription)"
    case .system(let name, let needs, let runs):
      "\(name) needs iOS \(needs), this is iOS \(runs): export it with an older target in its recipe."
    }
  }
}

extension ComputeUnits {
  var coreML: MLComputeUnits {
    switch self {
    case .all: .all
    case .cpuAndNeuralEngine: .cpuAndNeuralEngine
    case .cpuAndGPU: .cpuAndGPU
    case .cpuOnly: .cpuOnly
    }
  }
}
