/// One model on one backend and one choice of compute units; times in ms.
public struct BenchmarkResult: Codable, Sendable, Equatable {
  /// What one sample spans.
  public enum Mode: String, Codable, Sendable {
    /// Predictions of one still image, one after the other.
    case isolated
    /// From the capture of a camera frame to its finished depth map.
    case live
    /// Predictions in a row for minutes, to see where heat slows them.
    case soak
  }

  /// What a sample of predictions in a row spans.
  public enum Span: String, Codable, Sendable {
    /// The model alone, on features that were ready.
    case prediction
    /// A request to Vision, with its scaling.
    case request
  }

  /// Which loading `loadMS` is.
  public enum LoadKind: String, Codable, Sendable {
    /// The first of this model on these units since the app was launched.
    case cold
    case warm
  }

  /// Where Core ML plans to run an operator.
  public struct Operator: Codable, Sendable, Equatable {
    /// Where an operator can run.
    public enum Unit: String, Codable, Sendable {
      case cpu, gpu, neuralEngine
    }

    /// Kind of the operator, such as `ios16.conv`.
    public let name: String
    /// Name of its first output.
    public let output: String?
    /// Where Core ML prefers to run it.
    public let unit: Unit
    /// Estimated share of the whole, 0 to 1.
    public let cost: Double?

    enum CodingKeys: String, CodingKey {
      case name = "operator"
      case output, unit, cost
    }

    /// From its parts.
    public init(name: String, output: String?, unit: Unit, cost: Double?) {
      (self.name, self.output, self.unit, self.cost) = (name, output, unit, cost)
    }
  }

  /// What only some measurements know.
  public struct Details: Sendable, Equatable {
    /// What a sample spans.
    public var spans: Span?
    /// Median time to bring an image into the model's input, in ms.
    public var preprocessMS: Double?
    /// When each sample ended, in seconds since the beginning of the benchmark.
    public var sampleTimes: [Double]?
    /// Which loading was timed.
    public var loadKind: LoadKind?
    /// Median time of the loadings of later rounds, in ms.
    public var reloadMS: Double?
    /// Core ML's plan.
    public var operators: [Operator]?

    /// From its parts; what is left out isn't known.
    public init(
      spans: Span? = nil, preprocessMS: Double? = nil, sampleTimes: [Double]? = nil, loadKind: LoadKind? = nil,
      reloadMS: Double? = nil, operators: [Operator]? = nil
    ) {
      (self.spans, self.preprocessMS, self.sampleTimes) = (spans, preprocessMS, sampleTimes)
      (self.loadKind, self.reloadMS, self.operators) = (loadKind, reloadMS, operators)
    }
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
  /// Highest memory footprint of the process while this was measured; nil where the system doesn't say.
  public let peakMemoryBytes: Int?
  /// Still or live; nil in reports that don't say.
  public let mode: Mode?
  /// What a sample of predictions in a row spans.
  public let spans: Span?
  /// Median time to bring an image into the model's input, where samples don't have it in them.
  public let preprocessMS: Double?
  /// When each sample ended, in seconds since the beginning of the benchmark.
  public let sampleTimes: [Double]?
  /// Which loading `loadMS` is.
  public let loadKind: LoadKind?
  /// Median time of the loadings of later rounds.
  public let reloadMS: Double?
  /// Where Core ML plans to run each operator.
  public private(set) var operators: [Operator]?
  /// Seconds from the beginning of the benchmark to the first loading of the model, on the time axis of the thermal series.
  public let startedSeconds: Double?
  /// Hash of the checkpoint that the model was exported from.
  public let checkpointSHA256: String?
  /// Settings of the export, as in the model's metadata.
  public let recipe: JSONValue?

  enum CodingKeys: String, CodingKey {
    case model, backend, device, fps, mode, recipe, spans, operators
    case preprocessMS = "preprocess_ms"
    case sampleTimes = "sample_times_s"
    case loadKind = "load_kind"
    case reloadMS = "reload_ms"
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
    startedSeconds: Double,
    details: Details = Details()
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
    (spans, preprocessMS, sampleTimes) = (details.spans, details.preprocessMS, details.sampleTimes)
    (loadKind, reloadMS, operators) = (details.loadKind, details.reloadMS, details.operators)
  }

  /// The result with Core ML's plan beside it.
  public func planned(_ operators: [Operator]?) -> Self {
    var copy = self
    copy.operators = operators
    return copy
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
