import Foundation
import Testing

@testable import DepthCore

/// The same models, judged by `fcrn-mobile ios-install` and by the app.
struct ContractViolationTests {
  struct Case: Decodable, Sendable {
    let inputs, outputs: [Port]
    let metadata: [String: String]
    let violation: String?
  }

  struct Port: Decodable, Sendable {
    let name, kind: String
    let shape: [Int]

    var feature: ModelInterface.Feature {
      let kind: ModelInterface.Feature.Kind =
        switch kind {
        case "colour": .colourImage(PixelSize(width: shape[1], height: shape[0]))
        case "half": .halfImage(PixelSize(width: shape[1], height: shape[0]))
        case "array": .array(shape: shape)
        default: .other(kind)
        }
      return .init(name: name, kind: kind)
    }
  }

  @Test func theAppSaysOfAModelWhatTheCommandLineSays() throws {
    // Keys of metadata are not in snake case: they are left as they are.
    let cases = try JSONDecoder().decode([Case].self, from: Fixture.data("contract_violations.json"))
    #expect(cases.count > 30)
    for (index, example) in cases.enumerated() {
      let said = violation(of: example)
      if let expected = example.violation, expected.hasSuffix("(") {
        #expect(said?.hasPrefix(expected) == true, "case \(index): \(said ?? "nothing")")
      } else {
        #expect(said == example.violation, "case \(index)")
      }
    }
  }

  private func violation(of example: Case) -> String? {
    do throws(ContractViolation) {
      _ = try ModelContract(
        ModelInterface(
          inputs: example.inputs.map(\.feature), outputs: example.outputs.map(\.feature), metadata: example.metadata))
      return nil
    } catch {
      return error.description
    }
  }
}
