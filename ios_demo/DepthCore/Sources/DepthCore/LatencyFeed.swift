/// Hands the latencies of a running camera to one reader, and ends when none comes for too long: a camera or a model that
/// fails is silent.
@MainActor
public final class LatencyFeed {
  /// In ms; cancelled readers get no more.
  public nonisolated let latencies: AsyncStream<Double>

  private let continuation: AsyncStream<Double>.Continuation
  private let patience: Duration
  private var deadline: Task<Void, Never>?

  /// From its parts.
  public init(patience: Duration) {
    (latencies, continuation) = AsyncStream.makeStream()
    self.patience = patience
    startWaiting()
  }

  deinit {
    deadline?.cancel()
  }

  /// Hands over one latency, in milliseconds.
  public func take(_ latencyMS: Double) {
    continuation.yield(latencyMS)
    startWaiting()
  }

  private func startWaiting() {
    deadline?.cancel()
    deadline = Task { [continuation, patience] in
      if (try? await Task.sleep(for: patience)) != nil { continuation.finish() }
    }
  }
}
