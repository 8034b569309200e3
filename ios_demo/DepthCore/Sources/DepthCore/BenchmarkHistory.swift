import Foundation

/// A file of an earlier benchmark.
public struct BenchmarkEntry: Sendable, Equatable, Identifiable {
  /// Where it lies.
  public let file: URL
  /// What it says; nil where it cannot be read.
  public let report: BenchmarkReport?
  /// Why it cannot be read.
  public let problem: String?

  /// The file.
  public var id: URL { file }

  fileprivate init(file: URL) {
    self.file = file
    do {
      (report, problem) = (try BenchmarkReport(json: Data(contentsOf: file)), nil)
    } catch {
      (report, problem) = (nil, error.localizedDescription)
    }
  }
}

/// The reports of a folder: of earlier benchmarks, or put there from elsewhere.
public struct BenchmarkHistory: Sendable {
  private let folder: URL

  /// - Parameter folder: that need not be there yet.
  public init(folder: URL) {
    self.folder = folder
  }

  /// One for each JSON file: the newest first, then those without a date, by name, then those that cannot be read.
  ///
  /// - Throws: what the file system says of the folder.
  public func entries() throws -> [BenchmarkEntry] {
    guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
    return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "json" }
      .map(BenchmarkEntry.init)
      .sorted { Self.order($0) < Self.order($1) }
  }

  /// Deletes a report, and its samples beside it.
  ///
  /// - Throws: what the file system says.
  public func delete(_ entry: BenchmarkEntry) throws {
    try FileManager.default.removeItem(at: entry.file)
    let samples = entry.file.deletingPathExtension().appendingPathExtension("csv")
    if FileManager.default.fileExists(atPath: samples.path) { try FileManager.default.removeItem(at: samples) }
  }

  private static func order(_ entry: BenchmarkEntry) -> (Int, Double, String) {
    let age = entry.report?.created.map { -$0.timeIntervalSince1970 }
    return (entry.report == nil ? 1 : 0, age ?? .infinity, entry.file.lastPathComponent)
  }
}

extension BenchmarkReport {
  /// Devices and system, such as `iPhone15,2, iOS 17.4`.
  public var measuredOn: String {
    var devices: [String] = []
    for result in results where !devices.contains(result.device) { devices.append(result.device) }
    return (devices + [machine.system]).joined(separator: ", ")
  }

  /// The hottest that the device was; nil where it doesn't tell.
  public var hottest: ThermalState? { thermal?.map(\.state).max() }
}
