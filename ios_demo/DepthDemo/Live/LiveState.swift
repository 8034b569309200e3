import DepthCore
import Foundation
import Observation

/// What the live screen shows, and what it is set to.
@MainActor @Observable
final class LiveState {
  private(set) var models: [FoundModel] = []
  private(set) var opened: OpenedModel?
  private(set) var frame: LiveFrame?
  private(set) var thermalState = ThermalState.nominal
  private(set) var isOpening = false
  private var cameraProblem: String?
  private var modelProblem: String?

  var selection: FoundModel? { didSet { if selection != oldValue { reopen() } } }
  var computeUnits = ComputeUnits.cpuAndNeuralEngine { didSet { if computeUnits != oldValue { reopen() } } }
  var path = InferencePath.vision { didSet { if path != oldValue { reopen() } } }

  /// What keeps the live view from running, in words.
  var problem: String? { cameraProblem ?? modelProblem }

  let store = ModelStore()
  private let pipeline = LivePipeline()
  private let camera: Camera
  private var opening: Task<Void, Never>?
  private var onFrame: ((LiveFrame) -> Void)?

  init() {
    let (problems, report) = AsyncStream<CameraProblem>.makeStream()
    camera = Camera(onFrame: { [pipeline] in pipeline.process($0) }, onProblem: { report.yield($0) })
    Task { [weak self] in
      for await problem in problems { self?.cameraProblem = problem.localizedDescription }
    }
    Task { [weak self, frames = pipeline.frames] in
      for await result in frames { self?.take(result) }
    }
  }

  /// Looks for models, opens one, and starts the camera.
  func start() async {
    await findModels()
    if opened == nil, selection != nil, !isOpening { reopen() }
    do {
      try await camera.start()
      cameraProblem = nil
    } catch {
      cameraProblem = error.localizedDescription
    }
  }

  /// Looks for models again; keeps the chosen one if it is still there.
  func findModels() async {
    do {
      models = try await store.find()
      if selection.map({ models.contains($0) }) != true { selection = models.first }
    } catch {
      modelProblem = error.localizedDescription
    }
  }

  /// Lets `body` see each frame; nil ends it.
  func observeFrames(_ body: ((LiveFrame) -> Void)?) {
    onFrame = body
  }

  /// Loads the chosen model for the chosen compute units, and shows what it gives.
  func reopen() {
    opening?.cancel()
    opening = Task { await open() }
  }

  /// Returns when the model that is chosen now is in use, or failed.
  func waitUntilOpened() async {
    while let task = opening {
      await task.value
      if task == opening { return }
    }
  }

  /// Stops camera and model, so that nothing competes with a benchmark for the processors.
  func pause() async {
    opening?.cancel()
    camera.stop()
    await opening?.value
    isOpening = false
    frame = nil
  }

  private func open() async {
    modelProblem = nil
    isOpening = true
    // A later attempt has set it for itself when this one was cancelled.
    defer { if !Task.isCancelled { isOpening = false } }
    do {
      opened = nil
      frame = nil
      try pipeline.use(nil, path: path)
      guard let selection else { return }
      let next = try await store.open(selection, computeUnits: computeUnits)
      if Task.isCancelled { return }
      try pipeline.use(next, path: path)
      opened = next
    } catch {
      if !Task.isCancelled { modelProblem = error.localizedDescription }
    }
  }

  private func take(_ result: Result<LiveFrame, any Error>) {
    thermalState = Device.thermalState
    switch result {
    case .success(let next):
      frame = next
      if modelProblem != nil { modelProblem = nil }
      onFrame?(next)
    case .failure(let error):
      modelProblem = error.localizedDescription
    }
  }
}
