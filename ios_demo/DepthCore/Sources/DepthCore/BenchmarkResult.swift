/// One model on one backend and one choice of compute units; times in ms.
public struct BenchmarkResult: Codable, Sendable, Equatable {
  /// What one sample spans.
  public enum Mode: String, Codable, Sendable {
    /// Predictions of one still image, one after the other.
    case isolated
    /// From the capture of a camera frame to its finished depth map.
    case live
  }

  public let model: String
  public let backend: String
  public let device: String
  public let computeUnits: ComputeUnits
  public let samplesMS: [Double]
  public let meanMS: Double
  public let medianMS: Double
  public let p90MS: Double
  public let p95MS: Double
  public let p99MS: Double
  public let minMS: Double
  public let maxMS: Double
  public let fps: Double
  public let loadMS: Double
  /// Highest memory footprint of the whole process so far; nil where the system doesn't say.
  public let peakMemoryBytes: Int?
  public let mode: Mode?
  /// Seconds from the beginning of the benchmark to the loading of the model, on the time axis of the thermal series.
  public let startedSeconds: Double?
  /// Hash of the checkpoint that the model was exported from.
  public let checkpointSHA256: String?
  /// Settings of the export, as in the model's metadata.
  public let recipe: JSONValue?

  enum CodingKeys: String, CodingKey {
    case model, backend, device, fps, mode, recipe
    case computeUnits = "compute_units"
    case samplesMS = "samples_ms"
    case meanMS = "mean_ms"
    case medianMS = "median_ms"
    case p90MS = "p90_ms"
    case p95MS = "p95_ms"
    case p99MS = "p99_ms"
    case minMS = "min_ms"
    case maxMS = "max_ms"
    case loadMS = "load_ms"
    case peakMemoryBytes = "peak_memory_bytes"
    case startedSeconds = "started_s"
    case checkpointSHA256 = "checkpoint_sha256"
  }

  /// Returns nil without samples, and when one of them is not finite and positive.
  public init?(
    subject: BenchmarkSubject,
    computeUnits: ComputeUnits,
    mode: Mode,
    samplesMS: [Double],
    loadMS: Double,
    peakMemoryBytes: Int?,
    startedSeconds: Double
  ) {
    guard let stats = LatencyStats(samplesMS: samplesMS) else { return nil }
    model = subject.model
    backend = subject.backend
    device = subject.device
    self.computeUnits = computeUnits
    self.samplesMS = samplesMS
    meanMS = stats.mean
    medianMS = stats.median
    p90MS = stats.p90
    p95MS = stats.p95
    p99MS = stats.p99
    minMS = stats.min
    maxMS = stats.max
    fps = stats.fps
    self.loadMS = loadMS
    self.peakMemoryBytes = peakMemoryBytes
    self.mode = mode
    self.startedSeconds = startedSeconds
    checkpointSHA256 = subject.checkpointSHA256
    recipe = subject.recipe
  }
}

/// What is measured, and on what: the part of a result that is known beforehand.
public struct BenchmarkSubject: Sendable, Equatable {
  public let model: String
  public let backend: String
  public let device: String
  public let checkpointSHA256: String?
  public let recipe: JSONValue?

  public init(model: String, backend: String, device: String, checkpointSHA256: String? = nil, recipe: JSONValue? = nil)
  {
    self.model = model
    self.backend = backend
    self.device = device
    self.checkpointSHA256 = checkpointSHA256
    self.recipe = recipe
  }
}
