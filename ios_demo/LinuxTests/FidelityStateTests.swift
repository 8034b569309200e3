import CoreML
import CryptoKit
import DepthCore
import Foundation
import XCTest

@testable import DepthDemo

final class FidelityStateTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  /// Writes a package, and beside it what a host would have given: in float32 what the fake model gives, times a factor, in float16 1 % less.
  private func install(_ package: Package = Package(), factor: Float = 1, hash: String? = nil) throws {
    let found = try package.write()
    let specification = try Data(contentsOf: found.url.appendingPathComponent("Data/model.mlmodel"))
    // The bytes that the command line hashes, too.
    var digest = SHA256()
    digest.update(data: Data("model.mlmodel\0\(specification.count)\0".utf8) + specification)
    let own = digest.finalize().map { String(format: "%02x", $0) }.joined()
    let recipe = try JSONSerialization.jsonObject(with: Data((package.metadata["fcrn_mobile.recipe"] ?? "").utf8))
    let frames = (0..<2).map { index in
      let rgb = (0..<3 * 16 * 12).map { UInt8(truncatingIfNeeded: 37 * $0 + 11 * index + $0 / 7) }
      let depths = (0..<16 * 12).map { pixel in
        factor * FakeModel.depth(of: SIMD4(Double(rgb[3 * pixel]), Double(rgb[3 * pixel + 1]), 0, 255))
      }
      return [
        "name": "frame \(index)", "rgb": Data(rgb).base64EncodedString(), "float32": encoded(depths),
        "float16": encoded(depths.map { $0 / 1.01 }),
      ]
    }
    let content: [String: Any] = [
      "schema_version": 1, "model": package.name, "exported_sha256": String(repeating: "e", count: 64),
      "package_sha256": hash ?? own, "recipe": recipe, "hosts": ["float32": "made up", "float16": "made up"],
      "data": "sample", "unit": "metres", "tolerance_abs_rel": 0.005, "input_size": [12, 16], "output_size": [12, 16],
      "frames": frames,
    ]
    let file = try documentsFolder().appendingPathComponent("\(package.name).fidelity.json")
    try JSONSerialization.data(withJSONObject: content).write(to: file)
  }

  private func encoded(_ values: [Float]) -> String {
    values.withUnsafeBytes { Data($0) }.base64EncodedString()
  }

  @MainActor private func states() async -> (live: LiveState, fidelity: FidelityState) {
    let live = LiveState()
    await live.start()
    await live.waitUntilOpened()
    return (live, FidelityState(live: live))
  }

  @MainActor private func measured(_ fidelity: FidelityState) async throws {
    FakeCoreML.shared.reset()
    fidelity.start()
    XCTAssertTrue(fidelity.isRunning)
    try await eventually { !fidelity.isRunning }
  }

  @MainActor func testEveryComputeUnitIsComparedWithTheHost() async throws {
    for output in ["image", "array"] {
      for path in InferencePath.allCases {
        for framing in ["crop", "letterbox"] {
          try startOver()
          try install(Package(output: output, framing: framing))
          let (live, fidelity) = await states()
          live.path = path
          await live.waitUntilOpened()
          try await measured(fidelity)
          XCTAssertNil(fidelity.problem)
          let report = try XCTUnwrap(fidelity.report)
          XCTAssertEqual(report.results.map(\.host), (0..<4).flatMap { _ in ["float32", "float16"] })
          XCTAssertEqual(report.results.map(\.backend), [String](repeating: path.rawValue, count: 8))
          for result in report.results {
            // Equal to the host's in float32; 1 % more than what it gave in float16.
            let expected = result.host == "float32" ? 0 : 0.01
            XCTAssertLessThan(abs(try XCTUnwrap(result.absRel) - expected), expected == 0 ? 1e-300 : 1e-6)
            XCTAssertEqual(result.firstDifference, expected == 0 ? nil : "frame 0")
            XCTAssertTrue((result.psnrDB == nil) == (expected == 0))
          }
          let run: [MLComputeUnits] = [.cpuAndNeuralEngine, .all, .cpuAndGPU, .cpuOnly]
          XCTAssertEqual(Array(FakeCoreML.shared.loads.prefix(4)), run)
          XCTAssertEqual(FakeCoreML.shared.predictions(untilLoad: 4), run.flatMap { [$0, $0] })
          XCTAssertTrue(!live.isPaused)
          await live.pause()
        }
      }
    }
  }

  @MainActor func testTheReportIsSavedAsItIs() async throws {
    try install(factor: 1.02)
    let (live, fidelity) = await states()
    try await measured(fidelity)
    let report = try XCTUnwrap(fidelity.report)
    XCTAssertEqual(report.exportedSHA256, String(repeating: "e", count: 64))
    let saved = try FidelityReport(json: Data(contentsOf: XCTUnwrap(fidelity.file)))
    XCTAssertEqual(saved.results, report.results)
    XCTAssertLessThan(abs(try XCTUnwrap(saved.results.first?.absRel) - 0.02 / 1.02), 1e-6)
    await live.pause()
  }

  @MainActor func testOutputsOfAnotherPackageAreNotComparedWith() async throws {
    let other = "Fake.fidelity.json is of another Fake: install it again with fcrn-mobile ios-install --force"
    try install(hash: String(repeating: "0", count: 64))
    let (live, fidelity) = await states()
    try await measured(fidelity)
    XCTAssertEqual(fidelity.problem, other)
    XCTAssertTrue(fidelity.report == nil && fidelity.file == nil)
    await live.pause()
  }

  @MainActor func testAModelWithoutOutputsBesideItSaysWhereTheyComeFrom() async throws {
    try Package().write()
    let (live, fidelity) = await states()
    try await measured(fidelity)
    XCTAssertEqual(
      fidelity.problem,
      "Fake has no Fake.fidelity.json beside it to compare with: install it with fcrn-mobile ios-install")
    XCTAssertEqual(FakeCoreML.shared.predictions.count, 0)
    await live.pause()
  }

  @MainActor func testCancelledNothingIsSaved() async throws {
    try install()
    let (live, fidelity) = await states()
    let gate = try await holdPredictions { fidelity.start() }
    // A benchmark would compete for the processors.
    let benchmark = BenchmarkState(live: live)
    benchmark.start()
    XCTAssertTrue(!benchmark.isRunning)
    fidelity.cancel()
    gate.open()
    try await eventually { !fidelity.isRunning }
    XCTAssertEqual(fidelity.problem, "Cancelled: nothing was saved.")
    XCTAssertTrue(fidelity.report == nil && fidelity.file == nil)
    await live.pause()
  }
}
