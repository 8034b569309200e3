import Foundation
import Testing

@testable import DepthCore

struct ModelContractTests {
  private struct Stored: Decodable {
    let metadata: [String: String]
    let input, depth: [Int]
  }

  private let stored: Stored

  init() throws {
    stored = try Fixture.decode(Stored.self, "contract.json")
  }

  private var picture: ModelInterface.Feature {
    .init(name: "image", kind: .colourImage(PixelSize(width: stored.input[0], height: stored.input[1])))
  }

  private var depth: ModelInterface.Feature {
    .init(name: "depth", kind: .halfImage(PixelSize(width: stored.depth[0], height: stored.depth[1])))
  }

  private func metadata(_ changes: [String: String?]) -> [String: String] {
    changes.reduce(into: stored.metadata) { $0[$1.key] = $1.value }
  }

  /// The metadata with one setting of the recipe changed, given as JSON; nil removes it.
  private func recipe(_ key: String, _ json: String?) throws -> [String: String] {
    let text = try #require(stored.metadata["fcrn_mobile.recipe"])
    var settings = try JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8))
    settings[key] = try json.map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
    return metadata(["fcrn_mobile.recipe": String(decoding: try JSONEncoder().encode(settings), as: UTF8.self)])
  }

  private func violation(
    inputs: [ModelInterface.Feature]? = nil, outputs: [ModelInterface.Feature]? = nil, metadata: [String: String]? = nil
  ) -> ContractViolation? {
    do throws(ContractViolation) {
      _ = try ModelContract(
        ModelInterface(
          inputs: inputs ?? [picture], outputs: outputs ?? [depth], metadata: metadata ?? stored.metadata))
      return nil
    } catch {
      return error
    }
  }

  @Test func whatExportWritesIsRead() throws {
    let contract = try ModelContract(
      ModelInterface(inputs: [picture], outputs: [depth], metadata: stored.metadata))
    #expect(contract.inputName == "image")
    #expect(contract.inputSize == PixelSize(width: 96, height: 64))
    #expect(contract.outputName == "depth")
    #expect(contract.depthSize == PixelSize(width: 48, height: 32))
    #expect(contract.output == .image)
    #expect(contract.network == "fcrn-lite0")
    #expect(contract.checkpointSHA256 == String(repeating: "fedcba9876543210", count: 4))
    #expect(contract.camera == TrainingCamera(focalLength: 577.5, width: 640))
    #expect(contract.framing == .crop)
    #expect(contract.trainingData == "folder:rooms#train")
    #expect(contract.toolVersion == "0.1.0")
    #expect(contract.recipe?.name == "fcrn-int8")
    #expect(contract.recipe?.precision == "int8")
    #expect(contract.recipe?.inputSize == contract.inputSize)
    #expect(contract.recipe?.computeUnits == .cpuAndNeuralEngine)
    #expect(contract.recipe?.driftBudget == ["fidelity": "0.05"])
    guard case .object(let settings)? = contract.recipeJSON else {
      Issue.record("the recipe is not kept as an object")
      return
    }
    #expect(settings["of_a_later_version"] == .array([.number(1.5), .bool(true)]))
  }

  @Test func aSizeThatTheRecipeLeavesOpenIsTheModels() throws {
    #expect(violation(metadata: try recipe("input_size", "null")) == nil)
    #expect(violation(metadata: try recipe("input_size", nil)) == nil)
  }

  @Test func anArrayOfDepthIsAccepted() throws {
    let array = ModelInterface.Feature(name: "depth", kind: .array(shape: [1, 1, 32, 48]))
    let contract = try ModelContract(
      ModelInterface(inputs: [picture], outputs: [array], metadata: recipe("output", "\"array\"")))
    #expect(contract.output == .array)
    #expect(contract.depthSize == PixelSize(width: 48, height: 32))
  }

  @Test func aModelWhoseScaleIsUnknownIsAcceptedAndSaysSo() throws {
    #expect(stored.metadata["fcrn_mobile.output_units"] == "metres")
    for unit in DepthUnit.allCases {
      let contract = try ModelContract(
        ModelInterface(
          inputs: [picture], outputs: [depth], metadata: metadata(["fcrn_mobile.output_units": unit.rawValue])))
      #expect(contract.unit == unit)
    }
    #expect(DepthUnit(rawValue: "up to scale") == .relative)
  }

  @Test func inputsAndOutputsThatDoNotFitAreNamed() throws {
    let numbers = ModelInterface.Feature(name: "x", kind: .array(shape: [1, 3, 64, 96]))
    #expect(violation(inputs: []) == .inputs([]))
    #expect(violation(inputs: [picture, numbers]) == .inputs(["image", "x"]))
    #expect(violation(inputs: [numbers]) == .inputKind("x"))
    #expect(violation(outputs: [depth, numbers]) == .outputs(["depth", "x"]))
    #expect(violation(outputs: [.init(name: "label", kind: .other("string"))]) == .outputType("label"))
    for shape in [[], [48], [1, 2, 32, 48], [1, 1, 0, 48]] {
      #expect(violation(outputs: [.init(name: "depth", kind: .array(shape: shape))]) == .outputShape(shape))
    }
    let array = ModelInterface.Feature(name: "depth", kind: .array(shape: [1, 1, 32, 48]))
    #expect(violation(outputs: [array]) == .outputKind(model: .array, recipe: .image))
  }

  @Test(arguments: ModelMetadata.Key.allCases)
  func unitsAloneHaveToBeThere(key: ModelMetadata.Key) {
    #expect(stored.metadata[key.rawValue] != nil)
    let expected: ContractViolation? = key == .outputUnits ? .metadata(missing: key.rawValue) : nil
    #expect(violation(metadata: metadata([key.rawValue: nil])) == expected)
    #expect(violation(metadata: metadata([key.rawValue: ""])) == expected)
  }

  @Test func aModelOfAnotherMakerNeedsNoMoreThanItsUnits() throws {
    let contract = try ModelContract(
      ModelInterface(inputs: [picture], outputs: [depth], metadata: ["fcrn_mobile.output_units": "up to scale"]))
    #expect(contract.unit == .relative)
    #expect(contract.framing == .stretch)
    #expect(contract.camera == nil)
    #expect(contract.recipe == nil)
    #expect(contract.checkpointSHA256 == nil)
    #expect(violation(metadata: [:]) == .metadata(missing: "fcrn_mobile.output_units"))
  }

  @Test func valuesThatDoNotFitAreNamed() throws {
    #expect(violation(metadata: metadata(["fcrn_mobile.output_units": "feet"])) == .units("feet"))
    #expect(violation(metadata: metadata(["fcrn_mobile.checkpoint_sha256": "abc"])) == .checkpointHash("abc"))
    #expect(
      violation(metadata: try recipe("input_size", "[64, 80]"))
        == .inputSize(model: PixelSize(width: 96, height: 64), recipe: PixelSize(width: 80, height: 64)))
  }

  @Test(arguments: [
    ("precision", nil, "'precision' is missing"),
    ("compute_units", "\"gpu\"", "compute_units"),
    ("input_size", "[64]", "input_size"),
    ("input_size", "\"big\"", "input_size"),
  ])
  func settingsThatCannotBeReadAreNamed(key: String, json: String?, reason: String) throws {
    let found = try #require(violation(metadata: try recipe(key, json)))
    #expect("\(found)".contains(reason))
    #expect("\(found)".hasPrefix("its recipe cannot be read ("))
  }

  @Test(arguments: ["[]", "{", "null", "7"])
  func aRecipeThatIsNotOneIsRefused(text: String) {
    let found = violation(metadata: metadata(["fcrn_mobile.recipe": text]))
    #expect(found.map { "\($0)".contains("\n") } == false)
  }
}
