import CoreML
import CryptoKit
import DepthCore
import Foundation

/// A model that lies in the app or in its Documents folder.
struct FoundModel: Identifiable, Hashable, Sendable {
  let url: URL

  var id: URL { url }
  var name: String { url.deletingPathExtension().lastPathComponent }
}

/// Finds models, compiles each once, and keeps what was compiled under the hash of its content.
actor ModelStore {
  /// `.mlpackage` and `.mlmodel` are compiled here; Xcode makes `.mlmodelc` of what lies in `Models/` at build time.
  private static let suffixes = ["mlmodelc", "mlpackage", "mlmodel"]

  private let files = FileManager.default

  /// Models in the app's bundle and in Documents, by name.
  func find() throws -> [FoundModel] {
    try [Bundle.main.bundleURL, documentsFolder()]
      .flatMap { try files.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil) }
      .filter { Self.suffixes.contains($0.pathExtension) }
      .map(FoundModel.init)
      .sorted { ($0.name, $0.url.path) < ($1.name, $1.url.path) }
  }

  /// The model as Core ML loads it; compiled now if its content was never compiled before.
  ///
  /// - Throws: `ModelProblem.unreadable`.
  func compile(_ found: FoundModel) async throws -> CompiledModel {
    if found.url.pathExtension == "mlmodelc" { return CompiledModel(name: found.name, url: found.url) }
    do {
      let cached = try cacheFolder().appendingPathComponent("\(contentHash(of: found.url)).mlmodelc")
      if !files.fileExists(atPath: cached.path) {
        let compiled = try await MLModel.compileModel(at: found.url)
        // While this waited, the same model may have been compiled for another caller.
        if !files.fileExists(atPath: cached.path) { try files.moveItem(at: compiled, to: cached) }
      }
      return CompiledModel(name: found.name, url: cached)
    } catch {
      throw ModelProblem.unreadable(found.name, error)
    }
  }

  /// Compiles and loads a model.
  func open(_ found: FoundModel, computeUnits: ComputeUnits) async throws -> OpenedModel {
    let compiled = try await compile(found)
    do {
      return try OpenedModel(compiled: compiled, computeUnits: computeUnits)
    } catch let problem as ModelProblem {
      throw problem
    } catch {
      throw ModelProblem.unreadable(found.name, error)
    }
  }

  /// SHA-256 over the names and contents of all files of a package.
  private func contentHash(of url: URL) throws -> String {
    var hash = SHA256()
    for path in try regularFiles(below: url) {
      let file = path.isEmpty ? url : url.appendingPathComponent(path)
      let content = try Data(contentsOf: file, options: .mappedIfSafe)
      hash.update(data: Data("\(path)\0\(content.count)\0".utf8))
      hash.update(data: content)
    }
    return hash.finalize().map { String(format: "%02x", $0) }.joined()
  }

  /// Paths relative to the package, sorted; one empty path if it is a file itself.
  private func regularFiles(below url: URL) throws -> [String] {
    guard try url.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true else { return [""] }
    return try files.subpathsOfDirectory(atPath: url.path).sorted().filter { path in
      try url.appendingPathComponent(path).resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true
    }
  }

  private func cacheFolder() throws -> URL {
    let caches = try files.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    let folder = caches.appendingPathComponent("CompiledModels", isDirectory: true)
    try files.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }
}

/// The folder that the Files app shows.
func documentsFolder() throws -> URL {
  try FileManager.default.url(for: .documentDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
}
