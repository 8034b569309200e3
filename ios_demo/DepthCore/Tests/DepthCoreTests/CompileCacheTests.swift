import Foundation
import Testing

@testable import DepthCore

/// A folder that is gone with the test.
private final class Scratch {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString, isDirectory: true)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: folder)
  }

  /// Writes files, in the order that is given.
  func write(_ files: [(String, String)], into name: String) throws -> URL {
    let package = folder.appendingPathComponent(name, isDirectory: true)
    for (path, content) in files {
      let file = package.appendingPathComponent(path)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(content.utf8).write(to: file)
    }
    return package
  }
}

struct CompileCacheTests {
  private let scratch: Scratch

  init() throws {
    scratch = try Scratch()
  }

  private func cache(_ system: String = "Version 17.4 (Build 21E213)") throws -> CompileCache {
    try CompileCache(root: scratch.folder.appendingPathComponent("cache"), system: system)
  }

  private func content(of model: URL?) throws -> String {
    try String(contentsOf: #require(model).appendingPathComponent("program"), encoding: .utf8)
  }

  @Test func whatWasKeptIsFoundByItsHashOnly() throws {
    let compiled = try scratch.write([("program", "one")], into: "compiled")
    let kept = try cache().keep(compiled, as: "aa")
    #expect(kept.pathExtension == "mlmodelc")
    #expect(try content(of: cache().model("aa")) == "one")
    #expect(try cache().model("bb") == nil)
    #expect(!FileManager.default.fileExists(atPath: compiled.path))
  }

  @Test func aModelThatIsThereAlreadyStaysAndTheSecondIsNotLeftBehind() throws {
    _ = try cache().keep(scratch.write([("program", "one")], into: "first"), as: "aa")
    let second = try scratch.write([("program", "two")], into: "second")
    #expect(try content(of: cache().keep(second, as: "aa")) == "one")
    #expect(!FileManager.default.fileExists(atPath: second.path))
  }

  @Test func whatAnotherSystemCompiledIsThrownAway() throws {
    let old = try cache().keep(scratch.write([("program", "one")], into: "compiled"), as: "aa")
    let updated = try cache("Version 18.0 (Build 22A3354)")
    #expect(updated.model("aa") == nil)
    #expect(!FileManager.default.fileExists(atPath: old.path))
    #expect(try cache("a/b").keep(scratch.write([("program", "two")], into: "again"), as: "aa").path.contains("a-b"))
  }

  @Test func aModelThatCannotBeLoadedIsForgotten() throws {
    _ = try cache().keep(scratch.write([("program", "half")], into: "compiled"), as: "aa")
    try cache().remove("aa")
    try cache().remove("never kept")
    #expect(try cache().model("aa") == nil)
    #expect(try content(of: cache().keep(scratch.write([("program", "whole")], into: "again"), as: "aa")) == "whole")
  }
}

struct PackageContentTests {
  private let scratch: Scratch

  init() throws {
    scratch = try Scratch()
  }

  private func bytes(of package: URL) throws -> Data {
    var all = Data()
    try readPackage(at: package) { all += $0 }
    return all
  }

  @Test func theSameFilesAreReadTheSameWayWhereverTheyLie() throws {
    let files = [("Manifest.json", "{}"), ("Data/model", "net"), ("Data/weights/weight.bin", "0123")]
    let one = try bytes(of: scratch.write(files, into: "one"))
    #expect(try one == bytes(of: scratch.write(files.reversed(), into: "two")))
    let expected = "Data/model\u{0}3\u{0}netData/weights/weight.bin\u{0}4\u{0}0123Manifest.json\u{0}2\u{0}{}"
    #expect(one == Data(expected.utf8))
  }

  @Test func aNameAContentAndABoundaryEachMakeADifference() throws {
    let packages = [
      [("a", "12"), ("b", "3")], [("a", "1"), ("b", "23")], [("a", "12"), ("c", "3")], [("a", "12"), ("b", "4")],
    ]
    let contents = try packages.enumerated().map { try bytes(of: scratch.write($1, into: "p\($0)")) }
    #expect(Set(contents).count == packages.count)
  }

  @Test func aSingleFileIsAPackageTooAndAMissingOneAnError() throws {
    let file = try scratch.write([("net.mlmodel", "net")], into: "p").appendingPathComponent("net.mlmodel")
    #expect(try bytes(of: file) == Data("\u{0}3\u{0}net".utf8))
    #expect(throws: (any Error).self) { try bytes(of: scratch.folder.appendingPathComponent("missing")) }
  }
}
