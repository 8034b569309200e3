import Foundation
import Testing

@testable import DepthCore

struct PackageMetadataTests {
  private struct Stored: Decodable {
    let specificationVersion: Int
    let userDefined: [String: String]
  }

  /// Written by coremltools.
  @Test func aSpecificationOfCoremltoolsIsRead() throws {
    let file = try Fixture.data("specification.mlmodel")
    // Without the strategy for keys: those of the metadata stay as they are.
    let stored = try JSONDecoder().decode(Stored.self, from: Fixture.data("specification.json"))
    let metadata = try PackageMetadata(specification: file)
    #expect(metadata.specificationVersion == stored.specificationVersion)
    #expect(metadata.userDefined == stored.userDefined)
    #expect(metadata.computeUnits == .cpuAndGPU)
    #expect(metadata.oldestIOS == 18)
  }

  @Test func aPackageIsReadByItsManifest() throws {
    let package = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlpackage")
    defer { try? FileManager.default.removeItem(at: package) }
    let folder = package.appendingPathComponent("Data/com.apple.CoreML")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Fixture.data("specification.mlmodel").write(to: folder.appendingPathComponent("model.mlmodel"))
    let manifest = #"{"rootModelIdentifier":"A","itemInfoEntries":{"A":{"path":"com.apple.CoreML/model.mlmodel"}}}"#
    try Data(manifest.utf8).write(to: package.appendingPathComponent("Manifest.json"))
    #expect(try PackageMetadata(package: package).specificationVersion == 7)
    let unknown = manifest.replacingOccurrences(of: #"{"A":"#, with: #"{"B":"#)
    try Data(unknown.utf8).write(to: package.appendingPathComponent("Manifest.json"))
    #expect(throws: PackageMetadataError.malformed) { try PackageMetadata(package: package) }
  }

  @Test func aFileThatIsCutOffIsNoModel() throws {
    let file = try Fixture.data("specification.mlmodel")
    for length in [0, 1, 3, file.count / 2, file.count - 1] {
      #expect(throws: PackageMetadataError.malformed) { try PackageMetadata(specification: file.prefix(length)) }
    }
    #expect(throws: PackageMetadataError.malformed) { try PackageMetadata(specification: Data("no model".utf8)) }
  }
}
