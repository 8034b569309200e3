import Foundation

/// Results of a benchmark, as the app and `fcrn-mobile bench` write them (`benchmarks/schema/bench-v2.json`).
///
/// What only one of the two writers knows is optional.
public struct BenchmarkReport: Codable, Sendable, Equatable {
  /// What is written.
  public static let schemaVersion = 2
  /// What is read.
  public static let readVersions = [1, 2]

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
  /// What was asked for.
  public let plan: PlanRecord?
  /// At the beginning and at the end.
  public let power: [PowerSample]?

  enum CodingKeys: String, CodingKey {
    case schemaVersion = "schema_version"
    case created, machine, results, thermal, plan, power
  }

  /// From its parts.
  public init(
    created: Date?, machine: Machine, results: [BenchmarkResult], thermal: [ThermalSample]?, plan: PlanRecord? = nil,
    power: [PowerSample]? = nil
  ) {
    schemaVersion = Self.schemaVersion
    self.created = created
    self.machine = machine
    self.results = results
    self.thermal = thermal
    self.plan = plan
    self.power = power
  }

  /// Reads a report.
  ///
  /// - Throws: `BenchmarkReportError` for another schema version and for what contradicts itself, `DecodingError` for anything that isn't a
  ///   report.
  public init(json: Data) throws {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    let version = try decoder.decode(Version.self, from: json).schemaVersion
    guard Self.readVersions.contains(version) else { throw BenchmarkReportError.schemaVersion(version) }
    self = try decoder.decode(Self.self, from: json)
    guard !results.isEmpty else { throw BenchmarkReportError.noResults }
    for result in results where result.samplesMS.count != result.sampleTimes?.count ?? result.samplesMS.count {
      throw BenchmarkReportError.sampleTimes(result.model)
    }
  }

  /// The report as JSON, keys sorted.
  public func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return try encoder.encode(self)
  }

  /// All samples, one line each, for spreadsheets.
  public func csv() -> String {
    var lines = ["model,backend,device,compute_units,mode,sample,t_s,ms"]
    for result in results {
      let names = [
        result.model, result.backend, result.device, result.computeUnits.rawValue, result.mode?.rawValue ?? "",
      ]
      for (index, sample) in result.samplesMS.enumerated() {
        let time = result.sampleTimes.map { String($0[index]) } ?? ""
        lines.append((names.map(Self.quoted) + [String(index + 1), time, String(sample)]).joined(separator: ","))
      }
    }
    return lines.joined(separator: "\r\n") + "\r\n"
  }

  /// As RFC 4180 asks.
  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { "\",\r\n".contains($0) }) else { return text }
    return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
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
  /// It is about nothing.
  case noResults
  /// The result of this model has not as many times as samples.
  case sampleTimes(String)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .schemaVersion(let version):
      "the report has schema version \(version), this reads versions "
        + BenchmarkReport.readVersions.map(String.init).joined(separator: " and ")
    case .noResults: "the report has no results"
    case .sampleTimes(let model): "the report has not as many sample_times_s as samples_ms of \(model)"
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

/// What was asked for.
public struct PlanRecord: Codable, Sendable, Equatable {
  /// Predictions before the samples of each turn.
  public let warmUp: Int
  /// Counted predictions for each result.
  public let runs: Int
  /// Turns of the compute units.
  public let rounds: Int
  /// Pause before each turn but the first, in seconds.
  public let coolDown: Double
  /// Seconds of predictions without a pause; nil where they were counted.
  public let soak: Double?

  enum CodingKeys: String, CodingKey {
    case runs, rounds
    case warmUp = "warm_up"
    case coolDown = "cool_down_s"
    case soak = "soak_s"
  }

  /// Of a plan.
  public init(_ plan: BenchmarkPlan) {
    (warmUp, runs, rounds, coolDown, soak) = (plan.warmUp, plan.runs, plan.rounds, plan.coolDown, plan.soak)
  }
}

/// Where the device's power came from at a time.
public struct PowerSample: Codable, Sendable, Equatable {
  /// What the battery does.
  public enum Battery: String, Codable, Sendable, CaseIterable {
    case unplugged, charging, full, unknown
  }

  /// Seconds since the benchmark began.
  public let seconds: Double
  /// Whether the system saves power, and is slower for it.
  public let isLowPowerMode: Bool
  /// What the battery does.
  public let battery: Battery
  /// 0 to 1, nil where the system doesn't say.
  public let level: Double?

  enum CodingKeys: String, CodingKey {
    case seconds = "t_s"
    case isLowPowerMode = "low_power_mode"
    case battery = "battery_state"
    case level = "battery_level"
  }

  /// From its parts.
  public init(seconds: Double, isLowPowerMode: Bool, battery: Battery, level: Double?) {
    (self.seconds, self.isLowPowerMode, self.battery, self.level) = (seconds, isLowPowerMode, battery, level)
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
