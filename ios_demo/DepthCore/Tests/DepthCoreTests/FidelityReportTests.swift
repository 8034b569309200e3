import Foundation
import Testing

@testable import DepthCore

/// One entry of fidelity.json.
private struct StoredFidelity: Decodable {
  let candidate, reference: Data
  let absRel, psnrDb, maxAbs: Double?

  func plane(_ values: Data) throws -> DepthPlane {
    let layout = try DepthLayout(width: 5, height: 3, scalar: .float, bytesPerRow: 20)
    return try values.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
  }
}

/// The same but for the order in which numbers are added.
private func near(_ left: Double?, _ right: Double?) -> Bool {
  guard let left, let right else { return left == nil && right == nil }
  return abs(left - right) <= 1e-12 * max(abs(left), abs(right))
}

private func near(_ left: FidelityReport, _ right: FidelityReport) -> Bool {
  left.results.count == right.results.count
    && zip(left.results, right.results).allSatisfy { one, other in
      (one.computeUnits, one.backend, one.host) == (other.computeUnits, other.backend, other.host)
        && near(one.absRel, other.absRel) && near(one.psnrDB, other.psnrDB) && near(one.maxAbs, other.maxAbs)
        && one.firstDifference == other.firstDifference
        && zip(one.frames, other.frames).allSatisfy {
          $0.name == $1.name && near($0.absRel, $1.absRel) && near($0.psnrDB, $1.psnrDB) && near($0.maxAbs, $1.maxAbs)
        }
    }
}

struct FidelityReportTests {
  private func host() throws -> HostOutputs { try HostOutputs(json: Fixture.data("host_outputs.json")) }

  @Test func figuresAreNumPys() throws {
    let cases = try Fixture.decode([StoredFidelity].self, "fidelity.json")
    #expect(cases.count == 8)
    for stored in cases {
      let own = try FrameFidelity(name: "x", of: stored.plane(stored.candidate), to: stored.plane(stored.reference))
      #expect(near(own.absRel, stored.absRel) && near(own.psnrDB, stored.psnrDb) && near(own.maxAbs, stored.maxAbs))
    }
    #expect(cases.contains { $0.absRel == 0 } && cases.contains { $0.absRel == nil })
  }

  @Test func aReportIsWhatPythonMakesOfTheSameOutputs() throws {
    let host = try host()
    let expected = try FidelityReport(json: Fixture.data("fidelity_report.json"))
    let factors: [(ComputeUnits, [Float])] = [(.cpuOnly, [1, 1]), (.cpuAndNeuralEngine, [1.001, 1.019])]
    var results: [FidelityResult] = []
    for (units, factor) in factors {
      let planes = try zip(host.frames, factor).map { frame, factor in
        let output = try #require(frame.outputs["float32"])
        return try DepthPlane(width: output.width, height: output.height, values: output.values.map { $0 * factor })
      }
      results += try FidelityResult.results(of: planes, against: host, backend: "coreml", on: units)
    }
    let report = FidelityReport(created: expected.created, machine: expected.machine, host: host, results: results)
    #expect(near(report, expected))
    #expect(report.results.map(\.firstDifference) == [nil, nil, "second", "second"])
    #expect(try near(FidelityReport(json: report.json()), report))
    // All but the figures, which are added in another order, is the same to the letter.
    let (own, python) = (try report.json(), try Fixture.data("fidelity_report.json"))
    let keys = try [own, python].map { content in
      let object = try #require(JSONSerialization.jsonObject(with: content) as? [String: Any])
      return object.filter { $0.key != "results" } as NSDictionary
    }
    #expect(keys[0] == keys[1])
  }

  @Test func hostOutputsAreThoseOfAModel() throws {
    let host = try host()
    #expect(host.frames.map(\.name) == ["first", "second"])
    #expect(host.frames.allSatisfy { $0.rgb.count == 3 * 8 * 6 && $0.outputs.count == 2 })
    #expect(host.recipe != nil && host.checkpointSHA256 != nil)
    #expect(host.inputSize == PixelSize(width: 8, height: 6))
    #expect(host.outputSize == PixelSize(width: 4, height: 3))
  }

  @Test func outputsThatDoNotFitAreRefused() throws {
    let host = try host()
    let small = try DepthPlane(width: 2, height: 1, values: [1, 2])
    #expect(throws: FidelityError.count(1, host: 2)) {
      try FidelityResult.results(of: [small], against: host, backend: "coreml", on: .all)
    }
    #expect(throws: FidelityError.size(PixelSize(width: 2, height: 1), host: PixelSize(width: 4, height: 3))) {
      try FidelityResult.results(of: [small, small], against: host, backend: "coreml", on: .all)
    }
  }

  @Test func filesThatAreNoHostOutputsAreRefused() throws {
    let text = try #require(String(data: Fixture.data("host_outputs.json"), encoding: .utf8))
    let later = text.replacingOccurrences(of: "\"schema_version\": 1", with: "\"schema_version\": 2")
    #expect(throws: HostOutputsError.schemaVersion(2)) { try HostOutputs(json: Data(later.utf8)) }
    for wrong in [
      "{}", "[", text.replacingOccurrences(of: "\"float16\": \"MIL", with: "\"bfloat\": \"MIL"),
      text.replacingOccurrences(of: "\"name\"", with: "\"title\""),
      text.replacingOccurrences(of: "\"input_size\": [\n  6", with: "\"input_size\": [\n  7"),
      text.replacingOccurrences(of: "\"input_size\": [\n  6", with: "\"input_size\": [\n  0"),
    ] {
      #expect(wrong != text)
      #expect(throws: HostOutputsError.malformed) { try HostOutputs(json: Data(wrong.utf8)) }
    }
  }
}
