import Foundation

/// Results of a benchmark, as the app and `fcrn-mobile bench` write them (`benchmarks/schema/bench-v1.json`).
///
/// What only one of the two writers knows is optional.
public struct BenchmarkReport: Codable, Sendable, Equatable {
  /// Of reports that are written.
  public static let schemaVersion = 1

  /// Of the report that was read.
  public let schemaVersion: Int
  /// When the benchmark began, ISO 8601 in UTC.
  public let created: Date?
  /// What was measured on.
  public let machine: Machine
  /// One for each model and choice of compute units.
  public let results: [BenchmarkResult]
  /// How hot the device was, over time; nil where it doesn't tell.
  public let thermal: [ThermalSample]?

  enum CodingKeys: String, CodingKey {
    case schemaVersion = "schema_version"
    case created, machine, results, thermal
  }

  /// From its parts.
  public init(created: Date?, machine: Machine, results: [BenchmarkResult], thermal: [ThermalSample]?) {
    schemaVersion = Self.schemaVersion
    self.created = created
    self.machine = machine
    self.results = results
    self.thermal = thermal
  }

  /// Reads a report.
  ///
  /// - Throws: `BenchmarkReportError` for another schema version, `DecodingError` for anything that isn't a report.
  public init(json: Data) throws {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    let version = try decoder.decode(Version.self, from: json).schemaVersion
    guard version == Self.schemaVersion else { throw BenchmarkReportError.schemaVersion(version) }
    self = try decoder.decode(Self.self, from: json)
  }

  /// The report as JSON, keys sorted.
  public func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return try encoder.encode(self)
  }

  private struct Version: Decodable {
    let schemaVersion: Int

    enum CodingKeys: String, CodingKey {
      case schemaVersion = "schema_version"
    }
  }
}

/// A report that cannot be read.
public enum BenchmarkReportError: ExplainedError, Equatable {
  case schemaVersion(Int)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .schemaVersion(let version):
      "the report has schema version \(version), this reads version \(BenchmarkReport.schemaVersion)"
    }
  }
}

/// What the figures were measured on.
public struct Machine: Codable, Sendable, Equatable {
  /// Processor or device model, such as `iPhone15,2`.
  public let processor: String
  /// Of the processor.
  public let cores: Int
  /// Name and version of the operating system.
  public let system: String
  /// Tool → version.
  public let versions: [String: String]
  /// Of the prediction; nil where the backend chooses.
  public let threads: Int?
  /// Of the machine before the run, over one minute.
  public let load1Min: Double?

  enum CodingKeys: String, CodingKey {
    case processor, cores, system, versions, threads
    case load1Min = "load_1min"
  }

  /// From its parts.
  public init(processor: String, cores: Int, system: String, versions: [String: String]) {
    self.processor = processor
    self.cores = cores
    self.system = system
    self.versions = versions
    threads = nil
    load1Min = nil
  }
}

/// How hot the device was at a time.
public struct ThermalSample: Codable, Sendable, Equatable {
  /// Seconds since the benchmark began.
  public let seconds: Double
  /// How hot the device was.
  public let state: ThermalState

  enum CodingKeys: String, CodingKey {
    case seconds = "t_s"
    case state
  }

  /// From its parts.
  public init(seconds: Double, state: ThermalState) {
    self.seconds = seconds
    self.state = state
  }
}
