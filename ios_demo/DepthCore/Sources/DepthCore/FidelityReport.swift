import Foundation

/// How far a device's output is from the host's; nil for what is no finite number, as the dB of equal outputs.
///
/// The formulas are those of `fcrn_mobile/validation/fidelity.py`: with c the device's and r the host's values, abs_rel is the mean of
/// |c - r| / r, values below 1 mm counted as 1 mm; dB are 20·log₁₀(max|r| / √mean (c - r)²); max abs is the greatest |c - r|.
public struct FrameFidelity: Codable, Sendable, Equatable {
  /// Of the frame.
  public let name: String
  /// Relative to the host's.
  public let absRel: Double?
  /// Peak signal-to-noise ratio.
  public let psnrDB: Double?
  /// In the unit of the depth.
  public let maxAbs: Double?

  enum CodingKeys: String, CodingKey {
    case name
    case absRel = "abs_rel"
    case psnrDB = "psnr_db"
    case maxAbs = "max_abs"
  }

  /// Compares two outputs.
  ///
  /// - Throws: `FidelityError` when they have not the same size.
  public init(name: String, of candidate: DepthPlane, to reference: DepthPlane) throws(FidelityError) {
    guard candidate.width == reference.width, candidate.height == reference.height else {
      throw .size(
        PixelSize(width: candidate.width, height: candidate.height),
        host: PixelSize(width: reference.width, height: reference.height))
    }
    self.name = name
    var (relative, squares, greatest, peak) = (0.0, 0.0, 0.0, 0.0)
    var areFinite = true
    for (value, expected) in zip(candidate.values, reference.values) {
      let (c, r) = (Double(value), Double(expected))
      areFinite = areFinite && c.isFinite && r.isFinite
      let least = max(r, Self.leastDepth)
      relative += abs(max(c, Self.leastDepth) - least) / least
      squares += (c - r) * (c - r)
      greatest = max(greatest, abs(c - r))
      peak = max(peak, abs(r))
    }
    let count = Double(reference.values.count)
    absRel = areFinite ? relative / count : nil
    maxAbs = areFinite ? greatest : nil
    psnrDB = areFinite && squares > 0 && peak > 0 ? 20 * log10(peak / (squares / count).squareRoot()) : nil
  }

  private static let leastDepth = 1e-3
}

/// One choice of compute units against one arithmetic of the host.
public struct FidelityResult: Codable, Sendable, Equatable {
  /// That the model ran on.
  public let computeUnits: ComputeUnits
  /// By which it was called.
  public let backend: String
  /// Arithmetic of the outputs that are compared with.
  public let host: String
  /// Mean of the frames.
  public let absRel: Double?
  /// Mean of the frames; nil where one of them has none.
  public let psnrDB: Double?
  /// Greatest of the frames.
  public let maxAbs: Double?
  /// Name of the first frame whose abs_rel is above the tolerance, or no number.
  public let firstDifference: String?
  /// In the order of the host's.
  public let frames: [FrameFidelity]

  enum CodingKeys: String, CodingKey {
    case backend, host, frames
    case computeUnits = "compute_units"
    case absRel = "abs_rel"
    case psnrDB = "psnr_db"
    case maxAbs = "max_abs"
    case firstDifference = "first_difference"
  }

  /// What the model gave on some compute units, against each arithmetic of the host, float32 before float16.
  ///
  /// - Parameter planes: its outputs, one for each frame of the host's.
  /// - Throws: `FidelityError`.
  public static func results(
    of planes: [DepthPlane], against host: HostOutputs, backend: String, on computeUnits: ComputeUnits
  ) throws(FidelityError) -> [FidelityResult] {
    guard planes.count == host.frames.count else { throw .count(planes.count, host: host.frames.count) }
    var results: [FidelityResult] = []
    for arithmetic in host.hosts.keys.sorted(by: >) {
      var frames: [FrameFidelity] = []
      for (plane, frame) in zip(planes, host.frames) {
        guard let output = frame.outputs[arithmetic] else { continue }
        frames.append(try FrameFidelity(name: frame.name, of: plane, to: output))
      }
      results.append(
        FidelityResult(
          computeUnits: computeUnits, backend: backend, host: arithmetic, frames: frames, tolerance: host.tolerance))
    }
    return results
  }

  private init(
    computeUnits: ComputeUnits, backend: String, host: String, frames: [FrameFidelity], tolerance: Double
  ) {
    (self.computeUnits, self.backend, self.host, self.frames) = (computeUnits, backend, host, frames)
    absRel = Self.mean(frames.map(\.absRel))
    psnrDB = Self.mean(frames.map(\.psnrDB))
    let greatest = frames.compactMap(\.maxAbs)
    maxAbs = greatest.count == frames.count ? greatest.max() : nil
    firstDifference = frames.first { ($0.absRel ?? .infinity) > tolerance }?.name
  }

  private static func mean(_ values: [Double?]) -> Double? {
    let known = values.compactMap { $0 }
    return known.count == values.count && !known.isEmpty ? known.reduce(0, +) / Double(known.count) : nil
  }
}

/// Outputs that cannot be compared.
public enum FidelityError: ExplainedError, Equatable {
  case size(PixelSize, host: PixelSize)
  case count(Int, host: Int)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .size(let size, let host): "the model gives \(size) values, on the host it gave \(host)"
    case .count(let count, let host): "\(count) outputs for \(host) frames"
    }
  }
}

/// What the app measured, as `fcrn-mobile validate --import` reads it (`benchmarks/schema/fidelity-v1.json`).
public struct FidelityReport: Codable, Sendable, Equatable {
  /// Of what is written.
  public let schemaVersion: Int
  /// `fidelity`, which no other report of the app is.
  public let kind: String
  /// When it was measured.
  public let created: Date
  /// What it was measured on.
  public let machine: Machine
  /// Name of the package.
  public let model: String
  /// Hash of the package that was installed.
  public let exportedSHA256: String
  /// Hash of its copy in the app.
  public let packageSHA256: String
  /// Arithmetic → what computed the host's outputs.
  public let hosts: [String: String]
  /// Where the pictures come from, as a data spec.
  public let data: String
  /// Of `maxAbs`.
  public let unit: String
  /// A frame whose abs_rel is above it differs.
  public let tolerance: Double
  /// One for each choice of compute units and arithmetic of the host.
  public let results: [FidelityResult]

  enum CodingKeys: String, CodingKey {
    case kind, created, machine, model, hosts, data, unit, results
    case schemaVersion = "schema_version"
    case exportedSHA256 = "exported_sha256"
    case packageSHA256 = "package_sha256"
    case tolerance = "tolerance_abs_rel"
  }

  /// Of results against the host's outputs.
  public init(created: Date, machine: Machine, host: HostOutputs, results: [FidelityResult]) {
    (schemaVersion, kind) = (1, "fidelity")
    (self.created, self.machine, self.results) = (created, machine, results)
    (model, exportedSHA256, packageSHA256) = (host.model, host.exportedSHA256, host.packageSHA256)
    (hosts, data, unit, tolerance) = (host.hosts, host.data, host.unit, host.tolerance)
  }

  /// Reads a report that was written.
  public init(json: Data) throws {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    self = try decoder.decode(Self.self, from: json)
  }

  /// The report as JSON, keys sorted.
  public func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return try encoder.encode(self)
  }
}
