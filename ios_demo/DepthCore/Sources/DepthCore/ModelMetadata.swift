import Foundation

/// The user-defined metadata that `fcrn-mobile export` writes into a model; models of other makers need the units alone.
struct ModelMetadata {
  enum Key: String, CaseIterable {
    case version = "fcrn_mobile.version"
    case recipe = "fcrn_mobile.recipe"
    case network = "fcrn_mobile.network"
    case checkpointSHA256 = "fcrn_mobile.checkpoint_sha256"
    case trainingData = "fcrn_mobile.training_data"
    case outputUnits = "fcrn_mobile.output_units"
    case camera = "fcrn_mobile.camera"
    case contract = "fcrn_mobile.contract"
  }

  private let values: [String: String]

  init(_ values: [String: String]) {
    self.values = values
  }

  /// nil where the metadata lack it, or hold nothing under it, as those of other makers.
  subscript(_ key: Key) -> String? {
    guard let value = values[key.rawValue], !value.isEmpty else { return nil }
    return value
  }

  func units() throws(ContractViolation) -> String {
    guard let units = self[.outputUnits] else { throw .metadata(missing: Key.outputUnits.rawValue) }
    return units
  }

  /// As the contract says; stretched where it says nothing.
  func framing() throws(ContractViolation) -> Framing {
    guard let text = self[.contract] else { return .stretch }
    do {
      return try JSONDecoder().decode(Terms.self, from: Data(text.utf8)).framing ?? .stretch
    } catch {
      throw .contract(text)
    }
  }

  /// nil where there is none, or something else under its key, as other makers may have.
  var camera: TrainingCamera? {
    self[.camera].flatMap { try? JSONDecoder().decode(TrainingCamera.self, from: Data($0.utf8)) }
  }

  /// Of the contract, what the app makes use of.
  private struct Terms: Decodable {
    let framing: Framing?
  }

  /// nil where there is none, as in models of other makers.
  func recipe() throws(ContractViolation) -> (settings: ModelRecipe, json: JSONValue)? {
    guard let value = self[.recipe] else { return nil }
    let text = Data(value.utf8)
    do {
      let decoder = JSONDecoder()
      return (try decoder.decode(ModelRecipe.self, from: text), try decoder.decode(JSONValue.self, from: text))
    } catch {
      throw .recipe(Self.reason(error))
    }
  }

  /// One line on what JSON lacked: the error's own text runs over many.
  private static func reason(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
      DecodingError.dataCorrupted(let context):
      context.codingPath.isEmpty
        ? "it is not JSON of an export"
        : "'\(context.codingPath.map(\.stringValue).joined(separator: "."))': \(context.debugDescription)"
    default: "it is not JSON"
    }
  }
}

/// Why a model is not one that the app can show depth with, and what to do; in the words of `fcrn-mobile ios-install`.
public enum ContractViolation: ExplainedError, Equatable {
  case inputs([String])
  case inputKind(String)
  case outputs([String])
  case outputType(String)
  case outputShape([Int])
  case metadata(missing: String)
  case units(String)
  case contract(String)
  case checkpointHash(String)
  case recipe(String)
  case inputSize(model: PixelSize, recipe: PixelSize)
  case outputKind(model: ModelRecipe.Output, recipe: ModelRecipe.Output)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .inputs(let names):
      "it takes \(names.count) inputs (\(names.joined(separator: ", "))), not one picture: \(Self.export)"
    case .inputKind(let name): "its input '\(name)' is not a colour picture of fixed size: \(Self.export)"
    case .outputs(let names):
      "it gives \(names.count) outputs (\(names.joined(separator: ", "))), not one depth map: \(Self.export)"
    case .outputType(let name): "its output '\(name)' is neither a Float16 picture nor an array: \(Self.export)"
    case .outputShape(let shape): "its output has the shape \(shape), not 1×1×height×width: \(Self.export)"
    case .metadata(let missing): "its metadata lack '\(missing)': \(Self.export), or say depth in a model config"
    case .units(let units): "its depth is in '\(units)', neither in metres nor up to scale: \(Self.export)"
    case .contract(let text): "its contract '\(text.prefix(80))' cannot be read: \(Self.again)"
    case .checkpointHash(let hash): "its checkpoint hash '\(hash.prefix(80))' is not a SHA-256: \(Self.again)"
    case .recipe(let reason): "its recipe cannot be read (\(reason)): \(Self.again)"
    case .inputSize(let model, let recipe): "it takes \(model) pixels, its recipe says \(recipe): \(Self.again)"
    case .outputKind(let model, let recipe):
      "it gives an \(model.rawValue), its recipe says \(recipe.rawValue): \(Self.again)"
    }
  }

  private static let export = "export it with fcrn-mobile"
  private static let again = "export it again"
}
