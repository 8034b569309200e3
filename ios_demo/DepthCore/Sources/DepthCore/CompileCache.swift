import Foundation

/// A folder of compiled models, each under a hash of what it was compiled from.
///
/// What another version of the system compiled is thrown away. An update of the app leaves the cache valid: a hash names content,
/// wherever it lies.
public struct CompileCache: Sendable {
  private let folder: URL

  /// - Parameters:
  ///   - root: made if it is not there.
  ///   - system: version of the system that compiles.
  public init(root: URL, system: String) throws {
    let files = FileManager.default
    folder = root.appendingPathComponent(system.replacingOccurrences(of: "/", with: "-"), isDirectory: true)
    try files.createDirectory(at: folder, withIntermediateDirectories: true)
    for other in try files.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
    where other.lastPathComponent != folder.lastPathComponent {
      try files.removeItem(at: other)
    }
  }

  /// Where a compiled model lies, nil if there is none.
  public func model(_ hash: String) -> URL? {
    let place = place(hash)
    return FileManager.default.fileExists(atPath: place.path) ? place : nil
  }

  /// Moves a model into the cache as a whole, and returns where it is; one that is there already stays, as it may be in use.
  public func keep(_ compiled: URL, as hash: String) throws -> URL {
    if let present = model(hash) {
      try FileManager.default.removeItem(at: compiled)
      return present
    }
    try FileManager.default.moveItem(at: compiled, to: place(hash))
    return place(hash)
  }

  /// Forgets a model that cannot be loaded.
  public func remove(_ hash: String) throws {
    if let present = model(hash) { try FileManager.default.removeItem(at: present) }
  }

  private func place(_ hash: String) -> URL {
    folder.appendingPathComponent("\(hash).mlmodelc", isDirectory: true)
  }
}

/// Hands over names, lengths and contents of all files of a package, in an order that depends on nothing else: what to hash.
///
/// - Parameter url: a folder, or a single file.
public func readPackage(at url: URL, _ take: (Data) throws -> Void) throws {
  for path in try filesOfPackage(at: url) {
    let content = try Data(
      contentsOf: path.isEmpty ? url : url.appendingPathComponent(path), options: .mappedIfSafe)
    try take(Data("\(path)\0\(content.count)\0".utf8))
    try take(content)
  }
}

/// Paths relative to the package, sorted; one empty path if it is a file itself.
private func filesOfPackage(at url: URL) throws -> [String] {
  guard try url.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true else { return [""] }
  return try FileManager.default.subpathsOfDirectory(atPath: url.path).sorted().filter { path in
    try url.appendingPathComponent(path).resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true
  }
}
