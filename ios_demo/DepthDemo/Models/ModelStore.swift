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
  /// Major version of the system; nil where it is not looked at.
  private let iOS: Int?

  init(iOS: Int? = nil) {
    self.iOS = iOS
  }

  /// Models in the app's bundle and in Documents, by name.
  func find() throws -> [FoundModel] {
    try [Bundle.main.bundleURL, documentsFolder()]
      .flatMap { try files.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil) }
      .filter { Self.suffixes.contains($0.pathExtension) }
      .map(FoundModel.init)
      .sorted { ($0.name, $0.url.path) < ($1.name, $1.url.path) }
  }

  /// Copies a model that another app hands over into the app's folder, in place of one of its name.
  ///
  /// - Throws: `ModelProblem.unreadable`.
  func take(_ url: URL) throws -> FoundModel {
    let given = FoundModel(url: url)
    do {
      // Outside of the app's own folders a file can be read only in between.
      let isScoped = url.startAccessingSecurityScopedResource()
      defer { if isScoped { url.stopAccessingSecurityScopedResource() } }
      let target = try documentsFolder().appendingPathComponent(url.lastPathComponent)
      if target.standardizedFileURL.path == url.standardizedFileURL.path { return given }
      // Whole or not at all: the copy takes its place when it is complete.
      let copy = try documentsFolder().appendingPathComponent(".\(UUID().uuidString)")
      defer { try? files.removeItem(at: copy) }
      try files.copyItem(at: url, to: copy)
      if files.fileExists(atPath: target.path) { try files.removeItem(at: target) }
      try files.moveItem(at: copy, to: target)
      return FoundModel(url: target)
    } catch {
      throw ModelProblem.unreadable(given.name, error)
    }
  }

  /// The model as Core ML loads it; compiled now if its content was never compiled before.
  ///
  /// - Throws: `ModelProblem.unreadable`.
  func compile(_ found: FoundModel) async throws -> CompiledModel {
    if found.url.pathExtension == "mlmodelc" { return CompiledModel(name: found.name, url: found.url, hash: nil) }
    do {
      let hash = try contentHash(of: found.url)
      if let present = try cache().model(hash) { return CompiledModel(name: found.name, url: present, hash: hash) }
      let compiled = try await MLModel.compileModel(at: found.url)
      return CompiledModel(name: found.name, url: try cache().keep(compiled, as: hash), hash: hash)
    } catch {
      throw ModelProblem.unreadable(found.name, error)
    }
  }

  /// Where the recipe of a package asks to run it, read before Core ML opens it; nil where it is not known.
  func computeUnits(for found: FoundModel) -> ComputeUnits? {
    (try? PackageMetadata(package: found.url))?.computeUnits
  }

  /// Compiles and loads a model.
  ///
  /// - Throws: `ModelProblem`; of a model that this system is too old for before Core ML is asked.
  func open(_ found: FoundModel, computeUnits: ComputeUnits) async throws -> OpenedModel {
    if let iOS, let oldest = (try? PackageMetadata(package: found.url))?.oldestIOS, oldest > iOS {
      throw ModelProblem.system(found.name, needs: oldest, runs: iOS)
    }
    let compiled = try await compile(found)
    do {
      do {
        return try OpenedModel(compiled: compiled, computeUnits: computeUnits)
      } catch let error where !(error is ModelProblem) {
        // The cache may have been damaged; what still fails when it was compiled anew is the model's own fault.
        guard let hash = compiled.hash else { throw error }
        try cache().remove(hash)
        return try OpenedModel(compiled: await compile(found), computeUnits: computeUnits)
      }
    } catch let problem as ModelProblem {
      throw problem
    } catch {
      throw ModelProblem.unreadable(found.name, error)
    }
  }

  /// Whether what lies there now is not what was opened: a package can be replaced by another of its name.
  func isReplaced(_ found: FoundModel, since opened: OpenedModel) -> Bool {
    guard let hash = opened.compiled.hash else { return false }
    return (try? contentHash(of: found.url)) != hash
  }

  /// What a package made of some pictures on another machine, from the file beside it.
  ///
  /// - Throws: `HostOutputsError`; of a package also where its content is another by now.
  func hostOutputs(for found: FoundModel) throws -> HostOutputs {
    let file = found.url.deletingLastPathComponent().appendingPathComponent("\(found.name).\(HostOutputs.suffix)")
    guard let content = try? Data(contentsOf: file) else { throw HostOutputsError.missing(found.name) }
    let outputs = try HostOutputs(json: content)
    let hashed = found.url.appendingPathComponent(HostOutputs.hashedFolder)
    if found.url.pathExtension == "mlpackage", try contentHash(of: hashed) != outputs.packageSHA256 {
      throw HostOutputsError.otherModel(found.name)
    }
    return outputs
  }

  /// SHA-256 over the names and contents of all files of a package.
  private func contentHash(of url: URL) throws -> String {
    var hash = SHA256()
    try readPackage(at: url) { hash.update(data: $0) }
    return hash.finalize().map { String(format: "%02x", $0) }.joined()
  }

  private func cache() throws -> CompileCache {
    let caches = try files.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    return try CompileCache(
      root: caches.appendingPathComponent("CompiledModels", isDirectory: true),
      system: ProcessInfo.processInfo.operatingSystemVersionString)
  }
}

/// The folder that the Files app shows.
func documentsFolder() throws -> URL {
  try FileManager.default.url(for: .documentDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
}

/// Where a result is saved, in a folder that the Files app shows, which is made if it is not there.
func resultFile(in folder: String, named name: String, at date: Date) throws -> URL {
  let folder = try documentsFolder().appendingPathComponent(folder, isDirectory: true)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  let stamp = date.ISO8601Format().replacingOccurrences(of: ":", with: "-")
  return folder.appendingPathComponent("\(name)-\(stamp).json")
}
