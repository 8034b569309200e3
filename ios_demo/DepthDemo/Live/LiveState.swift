import DepthCore
import Foundation
import Observation
import UIKit

/// How the live picture is shown.
enum LiveLayout: String, CaseIterable, Identifiable {
  case photo = "RGB"
  case depth = "Depth"
  case split = "Split"
  case cloud = "3D"

  var id: Self { self }

  var parts: LiveParts {
    switch self {
    case .photo: .photo
    case .depth: .depth
    case .split: [.photo, .depth]
    case .cloud: .cloud
    }
  }
}

/// What the live screen shows, and what it is set to.
@MainActor @Observable
final class LiveState {
  private(set) var models: [FoundModel] = []
  private(set) var frame: LiveFrame?
  private(set) var isOpening = false
  /// Whether a benchmark has the device to itself.
  private(set) var isPaused = false
  /// Whether a benchmark measures this view: then it is not to be set to anything else, and shows the camera.
  var isMeasured = false { didSet { if isMeasured != oldValue { makeWayForMeasuring() } } }
  /// The same in every window: what none shows is not drawn.
  var layout = LiveLayout.split { didSet { drawWhatIsShown() } }
  /// What keeps the camera from giving images, while they are to come from it.
  var cameraProblem: CameraProblem? { source.cameraProblem }
  private var modelProblem: String?
  private var memoryProblem: String?

  private let main = ModelChoice(.main)
  /// What the chosen model is compared with, on the same images; no model, or the same one elsewhere.
  let compared = ModelChoice(.compared)
  var selection: FoundModel? {
    get { main.selection }
    set { main.selection = newValue }
  }
  /// Where the chosen model runs: as its recipe asks, until it is set otherwise.
  var computeUnits: ComputeUnits {
    get { main.computeUnits }
    set { main.computeUnits = newValue }
  }
  var opened: OpenedModel? { main.opened }
  /// What the colours span, where it is kept; nil where it follows the pictures.
  private(set) var lockedRange: DepthRange? {
    didSet {
      if lockedRange == oldValue { return }
      pipeline.keep(lockedRange)
      source.repeatPhoto()
    }
  }
  private(set) var isRecording = false
  /// What was recorded last.
  private(set) var clip: RecordedClip?
  private var recordingProblem: String?
  var path = InferencePath.vision { didSet { if path != oldValue { reopen() } } }

  /// What keeps the live view from running, in words.
  var problem: String? {
    cameraProblem?.localizedDescription ?? source.libraryProblem ?? main.problem ?? compared.problem ?? modelProblem
      ?? recordingProblem ?? memoryProblem
  }

  let store = ModelStore(iOS: Int(UIDevice.current.systemVersion.prefix { $0 != "." }))
  /// Where images come from.
  let source: LiveSource
  private let pipeline: LivePipeline
  private var opening: Task<Void, Never>?
  private var onFrame: ((LiveFrame) -> Void)?

  init() {
    pipeline = LivePipeline()
    source = LiveSource(pipeline: pipeline)
    for choice in choices { choice.observe { [weak self] in self?.reopen([$0]) } }
    source.onChange = { [weak self] isOtherItem in
      await self?.endRecording()
      if isOtherItem { self?.forgetImages() }
    }
    Task { [weak self, results = pipeline.results] in
      for await result in results { self?.take(result) }
    }
    _ = NotificationCenter.default.addObserver(
      forName: UIApplication.didReceiveMemoryWarningNotification, object: nil, queue: .main
    ) { [weak self] _ in
      Task { @MainActor in self?.memoryProblem = "Memory is low: iOS may end this app. A smaller model needs less." }
    }
  }

  /// Looks for models, opens one, and lets images come.
  func start() async {
    isPaused = false
    await findModels()
    if !isOpening {
      var stale: [ModelChoice] = []
      for choice in choices { if await choice.isStale(in: store) { stale.append(choice) } }
      if !stale.isEmpty { reopen(stale) }
    }
    await source.start()
  }

  /// Keeps the range of the colours as it is shown now, or lets it follow the pictures again.
  func toggleRange() {
    lockedRange = lockedRange == nil ? frame?.figures.range : nil
  }

  /// Records what camera and scanner see, and how the opened model agrees, as a data set for the command line.
  func startRecording() {
    guard source.usesSensor, source.item == nil, !isRecording, let opened else { return }
    (clip, recordingProblem) = (nil, nil)
    do {
      let stamp = Date().ISO8601Format().replacingOccurrences(of: ":", with: "-")
      try pipeline.record(in: documentsFolder().appendingPathComponent("clip-\(stamp)"), model: opened.name)
      isRecording = true
    } catch {
      recordingProblem = error.localizedDescription
    }
  }

  /// Ends the recording, if there is one; `clip` is then what can be shared.
  func endRecording() async {
    guard isRecording else { return }
    isRecording = false
    do {
      clip = try await pipeline.endRecording()
    } catch {
      recordingProblem = error.localizedDescription
    }
  }

  private var choices: [ModelChoice] { [main, compared] }

  /// Looks for models again; keeps the chosen ones if they are still there.
  func findModels() async {
    do {
      models = try await store.find()
      if selection.map({ models.contains($0) }) != true { selection = models.first }
      if compared.selection.map({ models.contains($0) }) == false { compared.selection = nil }
    } catch {
      modelProblem = error.localizedDescription
    }
  }

  /// Takes a model that another app hands over, and opens it.
  func take(_ url: URL) async {
    if isMeasured || isPaused { return }
    do {
      let path = try await store.take(url).url.standardizedFileURL.path
      await findModels()
      let taken = models.first { $0.url.standardizedFileURL.path == path }
      // One of the same name may be open.
      if taken == selection { reopen() } else { selection = taken }
    } catch {
      modelProblem = error.localizedDescription
    }
  }

  /// Lets `body` see each frame; nil ends it.
  func observeFrames(_ body: ((LiveFrame) -> Void)?) {
    onFrame = body
  }

  /// Loads what is chosen for the chosen compute units, and shows what it gives; from now on, late results of these are dropped.
  func reopen(_ changed: [ModelChoice]? = nil) {
    if isPaused { return }
    for choice in changed ?? choices { close(choice) }
    opening?.cancel()
    isOpening = true
    opening = Task { [previous = opening] in
      // One after the other: loading takes memory of its own.
      await previous?.value
      await open()
    }
  }

  /// Returns when the model that is chosen now is in use, or failed, and images come from where they are to come.
  func waitUntilOpened() async {
    await source.wait()
    while let task = opening {
      await task.value
      if task == opening { return }
    }
  }

  /// Stops images and model, so that nothing competes with a benchmark for the processors.
  func pause() async {
    isPaused = true
    opening?.cancel()
    await endRecording()
    await source.stop()
    await opening?.value
    for choice in choices { close(choice) }
    isOpening = false
  }

  private func open() async {
    // Whoever cancelled this has set the state.
    defer { if !Task.isCancelled { isOpening = false } }
    (modelProblem, memoryProblem) = (nil, nil)
    // A clip is of one model.
    if opened == nil { await endRecording() }
    // While one model is measured, none runs beside it.
    for choice in isMeasured ? [main] : choices where choice.opened == nil {
      // A loading that was cancelled may have handed its model over since.
      pipeline.close(choice.role)
      await choice.open(from: store) { [path] in try await pipeline.use($0, path: path, for: choice.role) }
    }
    if !Task.isCancelled, opened != nil { source.repeatPhoto() }
  }

  private func close(_ choice: ModelChoice) {
    pipeline.close(choice.role)
    choice.close()
    // Another model may have another unit.
    forgetImages()
  }

  private func forgetImages() {
    (frame, lockedRange) = (nil, nil)
  }

  private func makeWayForMeasuring() {
    source.isCameraOnly = isMeasured
    drawWhatIsShown()
    if compared.selection != nil { reopen([compared]) }
  }

  private func drawWhatIsShown() {
    pipeline.show(isMeasured ? [] : layout.parts)
    if isMeasured { frame = nil }
    source.repeatPhoto()
  }

  /// Shows a result, unless one of its models was closed while it worked.
  private func take(_ result: LiveResult) {
    guard result.model == opened?.id, result.compared == compared.opened?.id else { return }
    switch result.frame {
    case .success(let next):
      // While it is measured, nothing is drawn beside the predictions.
      if !isMeasured { frame = next }
      if modelProblem != nil { modelProblem = nil }
      onFrame?(next)
    case .failure(let error):
      modelProblem = error.localizedDescription
    }
  }
}
