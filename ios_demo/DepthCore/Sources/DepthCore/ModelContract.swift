import Foundation

/// What a model looks like to its callers, as `MLModelDescription` tells.
public struct ModelInterface: Sendable, Equatable {
  /// One input or output.
  public struct Feature: Sendable, Equatable {
    /// What goes in or comes out.
    public enum Kind: Sendable, Equatable {
      /// A picture in colour.
      case colourImage(PixelSize)
      /// A picture of one channel in half precision.
      case halfImage(PixelSize)
      /// Numbers.
      case array(shape: [Int])
      /// Anything else, described.
      case other(String)
    }

    /// As callers use it.
    public let name: String
    /// What it is.
    public let kind: Kind

    /// From its parts.
    public init(name: String, kind: Kind) {
      self.name = name
      self.kind = kind
    }
  }

  /// What the model takes, by name.
  public let inputs: [Feature]
  /// What the model gives, by name.
  public let outputs: [Feature]
  /// User-defined metadata.
  public let metadata: [String: String]

  /// From its parts.
  public init(inputs: [Feature], outputs: [Feature], metadata: [String: String]) {
    self.inputs = inputs
    self.outputs = outputs
    self.metadata = metadata
  }
}

/// What the app relies on in a model, checked when it is opened: `fcrn-mobile export` writes models that fulfil it, and
/// `fcrn-mobile ios-install` adds to one of another maker what it lacks. What such a model doesn't say is nil.
public struct ModelContract: Sendable, Equatable {
  /// Of the picture.
  public let inputName: String
  /// Of the picture.
  public let inputSize: PixelSize
  /// Of the depth map.
  public let outputName: String
  /// Of the depth map.
  public let depthSize: PixelSize
  /// How the depth map is handed over.
  public let output: ModelRecipe.Output
  /// What its numbers are.
  public let unit: DepthUnit
  /// How an image becomes one of the model's size.
  public let framing: Framing
  /// That its metres hold for.
  public let camera: TrainingCamera?
  /// Preset of the network.
  public let network: String?
  /// Hash of the checkpoint that the model was exported from; nil where it isn't known.
  public let checkpointSHA256: String?
  /// That the network learned from, as a data spec.
  public let trainingData: String?
  /// Version of the tool that exported the model.
  public let toolVersion: String?
  /// That it was exported with.
  public let recipe: ModelRecipe?
  /// The recipe as it stands in the metadata, for reports.
  public let recipeJSON: JSONValue?

  /// - Throws: `ContractViolation`, naming what doesn't fit.
  public init(_ interface: ModelInterface) throws(ContractViolation) {
    (inputName, inputSize) = try Self.pictureInput(of: interface)
    let metadata = ModelMetadata(interface.metadata)
    let units = try metadata.units()
    guard let known = DepthUnit(rawValue: units) else { throw .units(units) }
    unit = known
    framing = try metadata.framing()
    camera = metadata.camera
    network = metadata[.network]
    trainingData = metadata[.trainingData]
    toolVersion = metadata[.version]
    let hash = metadata[.checkpointSHA256]
    if let hash, hash.wholeMatch(of: /[0-9a-f]{64}/) == nil { throw .checkpointHash(hash) }
    checkpointSHA256 = hash
    let stored = try metadata.recipe()
    recipe = stored?.settings
    recipeJSON = stored?.json
    if let size = stored?.settings.inputSize, size != inputSize { throw .inputSize(model: inputSize, recipe: size) }
    (outputName, depthSize, output) = try Self.depthOutput(of: interface)
    if let kind = stored?.settings.output, kind != output { throw .outputKind(model: output, recipe: kind) }
  }

  private static func pictureInput(of interface: ModelInterface) throws(ContractViolation) -> (String, PixelSize) {
    guard interface.inputs.count == 1 else { throw .inputs(interface.inputs.map(\.name)) }
    guard case .colourImage(let size) = interface.inputs[0].kind else { throw .inputKind(interface.inputs[0].name) }
    return (interface.inputs[0].name, size)
  }

  private static func depthOutput(
    of interface: ModelInterface
  ) throws(ContractViolation) -> (String, PixelSize, ModelRecipe.Output) {
    guard interface.outputs.count == 1 else { throw .outputs(interface.outputs.map(\.name)) }
    let output = interface.outputs[0]
    switch output.kind {
    case .halfImage(let size): return (output.name, size, .image)
    case .array(let shape):
      let sides = shape.suffix(2)
      guard let height = sides.first, let width = sides.last, sides.count == 2, height > 0, width > 0,
        shape.dropLast(2).allSatisfy({ $0 == 1 })
      else { throw .outputShape(shape) }
      return (output.name, PixelSize(width: width, height: height), .array)
    case .colourImage, .other: throw .outputType(output.name)
    }
  }
}

/// Settings of the export that the app makes use of; others in the metadata are left alone.
public struct ModelRecipe: Sendable, Equatable, Decodable {
  /// How the model hands over the depth map.
  public enum Output: String, Sendable, Decodable {
    /// One-channel Float16 image.
    case image
    /// 1×1×h×w multi-array.
    case array
  }

  /// As callers use it.
  public let name: String
  /// Of the weights.
  public let precision: String
  /// Fixed by the recipe; nil where the checkpoint's own size was taken.
  public let inputSize: PixelSize?
  /// How the depth map is handed over.
  public let output: Output
  /// What the exporter asks the app to run it on.
  public let computeUnits: ComputeUnits
  /// Metric → the drift from the float network that the model is held to by `fcrn-mobile validate`.
  public let driftBudget: [String: String]

  enum CodingKeys: String, CodingKey {
    case name, precision, output
    case inputSize = "input_size"
    case computeUnits = "compute_units"
    case driftBudget = "budget"
  }

  /// Reads it from JSON.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    name = try container.decode(String.self, forKey: .name)
    precision = try container.decode(String.self, forKey: .precision)
    output = try container.decode(Output.self, forKey: .output)
    computeUnits = try container.decode(ComputeUnits.self, forKey: .computeUnits)
    driftBudget = try container.decodeIfPresent([String: String].self, forKey: .driftBudget) ?? [:]
    let sides = try container.decodeIfPresent([Int].self, forKey: .inputSize)
    guard let sides else {
      inputSize = nil
      return
    }
    guard sides.count == 2, sides.allSatisfy({ $0 > 0 }) else {
      throw DecodingError.dataCorruptedError(
        forKey: .inputSize, in: container, debugDescription: "\(sides) is not [height, width]")
    }
    inputSize = PixelSize(width: sides[1], height: sides[0])
  }
}
