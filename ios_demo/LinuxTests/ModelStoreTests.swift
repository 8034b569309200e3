import CoreML
import CryptoKit
import DepthCore
import XCTest

@testable import DepthDemo

final class ModelStoreTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  func testTheHashIsSHA256() {
    var hash = SHA256()
    hash.update(data: Data("abc".utf8))
    // FIPS 180-4's example.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    XCTAssertEqual(hash.finalize().map { String(format: "%02x", $0) }.joined(), expected)
  }

  /// A package that lies where another app keeps it.
  private func foreign(_ package: Package) throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString, isDirectory: true)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let written = try package.write().url
    let place = folder.appendingPathComponent(written.lastPathComponent)
    try FileManager.default.moveItem(at: written, to: place)
    return place
  }

  @MainActor func testAModelOfAnotherAppIsCopiedAndOpened() async throws {
    let state = LiveState()
    for precision in ["fp16", "int8"] {
      let url = try foreign(Package(name: "Handed over", precision: precision))
      if precision == "int8" { try Package(name: "Handed over", precision: "fp16").write() }
      await state.take(url)
      await state.waitUntilOpened()
      XCTAssertEqual(state.opened?.contract.recipe?.precision, precision)
      XCTAssertEqual(state.models.map(\.name), ["Handed over"])
      XCTAssertTrue(FileManager.default.fileExists(atPath: url.path))
    }
    XCTAssertNil(state.problem)
    await state.take(URL(fileURLWithPath: "/missing.mlpackage"))
    XCTAssertTrue(state.problem?.hasPrefix("missing cannot be opened") == true)
    // What can't be copied leaves nothing.
    let files = try FileManager.default.contentsOfDirectory(atPath: documentsFolder().path)
    XCTAssertEqual(files, ["Handed over.mlpackage"])
    XCTAssertEqual(URL.accessCount, 0)
  }

  @MainActor func testAModelInTheAppsFolderIsOpenedInPlace() async throws {
    let state = LiveState()
    let found = try Package(name: "In place").write()
    await state.take(found.url)
    await state.waitUntilOpened()
    XCTAssertEqual(state.opened?.name, "In place")
  }

  func testAModelIsCompiledOnce() async throws {
    let found = try Package(precision: "compiled once").write()
    for _ in 0..<3 { _ = try await ModelStore().open(found, computeUnits: .all) }
    XCTAssertEqual(FakeCoreML.shared.compileCount, 1)
    XCTAssertEqual(FakeCoreML.shared.loads.count, 3)
  }

  func testADamagedCacheIsMadeAnew() async throws {
    let found = try Package(precision: "damaged").write()
    let store = ModelStore()
    let compiled = try await store.compile(found)
    try Data("no JSON".utf8).write(to: compiled.url.appendingPathComponent("fake.json"))
    let opened = try await store.open(found, computeUnits: .all)
    XCTAssertEqual(opened.name, "Fake")
    XCTAssertEqual(FakeCoreML.shared.compileCount, 2)
  }

  func testAPackageThatWasReplacedIsNoticed() async throws {
    let store = ModelStore()
    let opened = try await store.open(Package().write(), computeUnits: .all)
    let same = await store.isReplaced(try Package().write(), since: opened)
    let other = await store.isReplaced(try Package(precision: "int8").write(), since: opened)
    XCTAssertEqual([same, other], [false, true])
  }

  func testAModelWithoutUnitsIsRefusedByName() async throws {
    let found = try Package(units: "feet").write()
    do {
      _ = try await ModelStore().open(found, computeUnits: .all)
      XCTAssertEqual("opened", "refused")
    } catch {
      XCTAssertTrue(error.localizedDescription.hasPrefix("Fake doesn't fit: its depth is in 'feet'"))
    }
  }
}
