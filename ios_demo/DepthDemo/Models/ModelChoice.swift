import DepthCore
import Foundation
import Observation

/// One of the models that the live view runs: which, where, and what is open of it.
@MainActor @Observable
final class ModelChoice {
  /// What it is run for.
  let role: ModelRole
  /// What is open; nil while it is being loaded.
  private(set) var opened: OpenedModel?
  private(set) var problem: String?

  var selection: FoundModel? {
    didSet {
      if selection == oldValue { return }
      (followsRecipe, problem) = (true, nil)
      onChange(self)
    }
  }
  /// Where it runs: as its recipe asks, until it is set otherwise.
  var computeUnits: ComputeUnits {
    get { units }
    set {
      followsRecipe = false
      if newValue == units { return }
      units = newValue
      onChange(self)
    }
  }

  private var units = ComputeUnits.cpuAndNeuralEngine
  private var followsRecipe = false
  private var onChange: @MainActor (ModelChoice) -> Void = { _ in }

  init(_ role: ModelRole) {
    self.role = role
  }

  /// Lets `body` see each change of what is chosen.
  func observe(_ body: @escaping @MainActor (ModelChoice) -> Void) {
    onChange = body
  }

  /// Lets go of the model, which may be hundreds of megabytes.
  func close() {
    opened = nil
  }

  /// Loads what is chosen, and hands it over before it counts as open.
  func open(from store: ModelStore, handingTo use: (OpenedModel) async throws -> Void) async {
    problem = nil
    guard !Task.isCancelled, let selection else { return }
    do {
      if followsRecipe, let asked = await store.computeUnits(for: selection) { units = asked }
      if Task.isCancelled { return }
      var next = try await store.open(selection, computeUnits: units)
      // What Xcode compiled tells its recipe only when it is open.
      if followsRecipe, !Task.isCancelled, let asked = next.contract.recipe?.computeUnits, asked != units {
        units = asked
        next = try await store.open(selection, computeUnits: units)
      }
      if Task.isCancelled { return }
      try await use(next)
      if !Task.isCancelled { opened = next }
    } catch {
      if !Task.isCancelled { problem = error.localizedDescription }
    }
  }

  /// Whether it is chosen and not open, or is another by now.
  func isStale(in store: ModelStore) async -> Bool {
    guard let selection else { return false }
    guard let opened else { return true }
    return await store.isReplaced(selection, since: opened)
  }
}

/// What the live view runs a model for.
enum ModelRole: CaseIterable, Sendable {
  /// Its depth is shown, measured and recorded.
  case main
  /// Its depth is compared with that of the other, of the same images.
  case compared
}
