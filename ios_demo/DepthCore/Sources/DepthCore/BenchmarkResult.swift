/// One model on one backend and one choice of compute units; times in ms.
public struct BenchmarkResult: Codable, Sendable, Equatable {
  /// What one sample spans.
  public enum Mode: String, Codable, Sendable {
    /// Predictions of one still image, one after the other.
    case isolated
    /// From the capture of a camera frame to its finished depth map.
    case live
  }

  /// Its name.
  public let model: String
  /// What ran it.
  public let backend: String
  /// What it ran on.
  public let device: String
  /// Where the model ran.
  public let computeUnits: ComputeUnits
  /// Each call that counts, in milliseconds, in order.
  public let samplesMS: [Double]
  /// Mean of the samples.
  public let meanMS: Double
  /// Median of the samples.
  public let medianMS: Double
  /// 90th percentile of the samples.
  public let p90MS: Double
  /// 95th percentile of the samples.
  public let p95MS: Double
  /// 99th percentile of the samples.
  public let p99MS: Double
  /// Least of the samples.
  public let minMS: Double
  /// Greatest of the samples.
  public let maxMS: Double
  /// 1000 over the median.
  public let fps: Double
  /// Time that loading took, apart.
  public let loadMS: Double
  /// Highest memory footprint of the whole process so far; nil where the system doesn't say.
  public let peakMemoryBytes: Int?
  /// Still or live; nil in reports that don't say.
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
  /// Its name.
  public let model: String
  /// What ran it.
  public let backend: String
  /// What it ran on.
  public let device: String
  /// Hash of the checkpoint that the model was exported from; nil where it isn't known.
  public let checkpointSHA256: String?
  /// That it was exported with, as it stands in its metadata; nil where there is none.
  public let recipe: JSONValue?

  /// From its parts.
  public init(model: String, backend: String, device: String, checkpointSHA256: String? = nil, recipe: JSONValue? = nil)
  {
    self.model = model
    self.backend = backend
    self.device = device
    self.checkpointSHA256 = checkpointSHA256
    self.recipe = recipe
  }
}
