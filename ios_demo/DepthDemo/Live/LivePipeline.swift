import CoreGraphics
import CoreImage
import CoreVideo
import DepthCore
import Foundation

/// What the screen shows of one camera image.
struct LiveFrame: @unchecked Sendable {
  /// Which loading of a model worked on it.
  let model: UUID
  /// Width over height of what the model saw.
  let aspect: CGFloat
  /// The part of the camera image that the model saw; nil where it is not shown.
  let photo: CGImage?
  /// nil where it is not shown.
  let depthPicture: CGImage?
  /// nil where it is not shown, and where no focal length is known.
  let cloud: PointCloud?
  let depth: DepthPlane
  /// From the capture of the image to the finished depth map.
  let endToEndMS: Double
  let figures: LiveFigures
  /// nil where one model runs alone.
  let comparison: ComparedFrame?
}

/// The pictures of a frame that a screen shows.
struct LiveParts: OptionSet, Sendable {
  let rawValue: Int
  static let photo = LiveParts(rawValue: 1)
  static let depth = LiveParts(rawValue: 2)
  static let cloud = LiveParts(rawValue: 4)
}

/// What became of one camera image.
struct LiveResult: @unchecked Sendable {
  /// Which loading of a model worked on it.
  let model: UUID
  /// Which loading of a model it was compared with; nil where one ran alone.
  let compared: UUID?
  let frame: Result<LiveFrame, any Error>
}

/// Turns images into depth maps, one at a time on the queue that they come on, with the model that is chosen at the time; with a second one
/// beside it both get the same image at once, and the next one comes when the slower is done. Pictures of them are drawn on a queue of their
/// own, so that the camera doesn't wait; of those that come faster than they are drawn the newest is.
final class LivePipeline: @unchecked Sendable {
  /// Newest frame only: a screen that is busy never makes the camera wait.
  let results: AsyncStream<LiveResult>

  private let continuation: AsyncStream<LiveResult>.Continuation
  private let context = CIContext(options: [.cacheIntermediates: false])
  private let lock = NSLock()
  private let drawing = DispatchQueue(label: "pictures", qos: .userInitiated, autoreleaseFrequency: .workItem)
  // Guarded by `lock`.
  private var models: [ModelRole: RunningModel] = [:]
  private var parts: LiveParts = [.photo, .depth]
  private var lockedRange: DepthRange?
  private var waiting: Seen?
  private var isDrawing = false
  private var isNew = true
  // Touched by `process` only, which one queue calls.
  private var normalizer = DepthNormalizer()
  private var meter = FPSMeter()
  private var limiter = FrameRateLimiter()
  private let recorder = ClipRecorder()
  private let beside = DispatchQueue(label: "compared", qos: .userInteractive, autoreleaseFrequency: .workItem)
  // Touched on `drawing` only.
  private var comparer = FrameComparer()

  /// A camera image and what the model made of it.
  private struct Seen: @unchecked Sendable {
    let pixels: CVPixelBuffer
    let size: PixelSize
    let intrinsics: CameraIntrinsics?
    let measured: DepthPlane?
    let view: ModelView
    /// Of the model that it is compared with.
    let other: ModelView?
    let figures: LiveFigures
    let endToEndMS: Double
  }

  init() {
    (results, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Uses another model from the next image on. Not on the caller's actor: Vision prepares the model here.
  func use(_ opened: OpenedModel, path: InferencePath, for role: ModelRole) async throws {
    let model = RunningModel(model: try path.makeModel(opened), opened: opened)
    if Task.isCancelled { return }
    lock.withLock { (models[role], isNew) = (model, true) }
  }

  /// Lets go of a model; without the main one, images pass from now on.
  func close(_ role: ModelRole) {
    lock.withLock { (models[role], isNew) = (nil, true) }
  }

  /// Forgets the range and the rate of the images so far, of which those of another model, lens or source know nothing.
  func startOver() {
    lock.withLock { isNew = true }
  }

  /// Draws these pictures from the next image on.
  func show(_ parts: LiveParts) {
    lock.withLock { self.parts = parts }
  }

  /// Lets the colours span this range from the next image on; nil lets it follow the images.
  func keep(_ range: DepthRange?) {
    lock.withLock { lockedRange = range }
  }

  /// Records images with what a scanner measures, and how the opened model agrees, into a folder that isn't there yet.
  func record(in folder: URL, model: String) throws {
    try recorder.start(in: folder, model: model)
  }

  /// Ends the recording, and says what there is of it.
  func endRecording() async throws -> RecordedClip? {
    try recorder.end()
  }

  /// Works on one image; called on one queue.
  func process(_ frame: CameraFrame) {
    let models = take()
    guard let main = models[.main] else { return }
    let heat = Device.thermalState
    do {
      // Apple asks apps to do next to nothing then, and figures of such a device say nothing.
      if heat == .critical { throw PictureProblem.tooHot }
      let seconds = BenchmarkSensors.monotonicTime().milliseconds / 1000
      guard limiter.admits(at: seconds, limit: heat.frameRateLimit) else { return }
      draw(try look(frame, main, beside: models[.compared], heat))
    } catch {
      let compared = models[.compared]?.opened.id
      continuation.yield(LiveResult(model: main.opened.id, compared: compared, frame: .failure(error)))
    }
  }

  /// The models to work with; begins anew where that was asked for.
  private func take() -> [ModelRole: RunningModel] {
    lock.withLock {
      guard models[.main] != nil else { return [:] }
      if isNew { (normalizer, meter, limiter) = (DepthNormalizer(), FPSMeter(), FrameRateLimiter()) }
      isNew = false
      return models
    }
  }

  /// Draws it next, in place of one that waits.
  private func draw(_ seen: Seen) {
    let isIdle = lock.withLock {
      defer { isDrawing = true }
      waiting = seen
      return !isDrawing
    }
    if isIdle { drawing.async { self.drawWaiting() } }
  }

  private func drawWaiting() {
    while let (seen, parts) = nextToDraw() {
      let result = Result { try frame(of: seen, parts) }
      continuation.yield(
        LiveResult(model: seen.view.opened.id, compared: seen.other?.opened.id, frame: result))
    }
  }

  private func frame(of seen: Seen, _ wanted: LiveParts) throws -> LiveFrame {
    // While it is measured how fast a model is, nothing is computed beside it.
    var figures = wanted.isEmpty ? seen.figures : compared(seen)
    let range = lock.withLock { lockedRange }
    let comparison = try seen.other.map { try comparer.compare(seen.view, $0, in: range, isDrawn: !wanted.isEmpty) }
    if let comparison { (figures.range, figures.scale) = (comparison.range, comparison.difference.scale) }
    // Those of a comparison have no other choice of pictures.
    let parts = comparison == nil || wanted.isEmpty ? wanted : .photo
    let visible = comparison?.part ?? seen.view.geometry.visible
    let depth = seen.view.depth
    return LiveFrame(
      model: seen.view.opened.id, aspect: visible.width / visible.height,
      photo: parts.contains(.photo) ? try photo(seen.pixels, visible) : nil,
      depthPicture: parts.contains(.depth)
        ? try makePicture(rgba: Colormap.depth.rgba(of: depth, in: figures.range), of: depth) : nil,
      cloud: parts.contains(.cloud) ? try cloud(of: seen) : nil, depth: depth, endToEndMS: seen.endToEndMS,
      figures: figures, comparison: comparison)
  }

  private func cloud(of seen: Seen) throws -> PointCloud? {
    let (geometry, depth) = (seen.view.geometry, seen.view.depth)
    let camera = seen.view.opened.contract.cameraOfShown(geometry, intrinsics: seen.intrinsics)
    return try camera.map { PointCloud(depth, camera: $0, rgba: try colours(of: seen.pixels, geometry)) }
  }

  /// The figures with the agreement with a scanner, which is recorded if that is wanted.
  private func compared(_ seen: Seen) -> LiveFigures {
    var figures = seen.figures
    guard let measured = seen.measured else { return figures }
    let sensorSize = PixelSize(width: measured.width, height: measured.height)
    figures.agreement = SensorAgreement(
      model: seen.view.depth, sensor: measured, region: seen.view.geometry.shown(in: sensorSize),
      isAligned: figures.scale == .relative)
    recorder.add(
      seen.pixels, size: seen.size, intrinsics: seen.intrinsics, measured: measured, agreement: figures.agreement)
    return figures
  }

  private func nextToDraw() -> (Seen, LiveParts)? {
    lock.withLock {
      defer { waiting = nil }
      isDrawing = waiting != nil
      return waiting.map { ($0, parts) }
    }
  }

  private func look(
    _ frame: CameraFrame, _ main: RunningModel, beside compared: RunningModel?, _ heat: ThermalState
  ) throws -> Seen {
    let delivered = ContinuousClock.now
    let work = compared.map { SideWork(frame, $0) }
    let group = DispatchGroup()
    if let work { beside.async(group: group) { work.run() } }
    let own = Result { try main.look(at: frame) }
    // Also after a failure: the image is the other model's, too.
    group.wait()
    let view = try own.get()
    let other = try work?.view?.get()
    let finished = ContinuousClock.now
    let following = normalizer.range(of: view.depth)
    let range = lock.withLock { lockedRange } ?? following
    let endToEndMS = (frame.age + (finished - delivered)).milliseconds
    return Seen(
      pixels: frame.pixels, size: view.geometry.image, intrinsics: frame.intrinsics, measured: frame.measured,
      view: view, other: other,
      figures: LiveFigures(
        framesPerSecond: meter.tick(at: BenchmarkSensors.monotonicTime().milliseconds / 1000),
        inferenceMS: view.inferenceMS, endToEndMS: endToEndMS, range: range,
        scale: view.scale, thermalState: heat, computeUnits: view.opened.computeUnits,
        precision: view.opened.contract.recipe?.precision ?? "precision unknown"),
      endToEndMS: endToEndMS)
  }

  private func photo(_ pixels: CVPixelBuffer, _ visible: CGRect) throws -> CGImage {
    guard let picture = context.createCGImage(CIImage(cvPixelBuffer: pixels), from: visible) else {
      throw PictureProblem.photo
    }
    return picture
  }
}

/// A model that images are given to.
private struct RunningModel {
  let model: any DepthModel
  let opened: OpenedModel

  /// What it makes of an image.
  func look(at frame: CameraFrame) throws -> ModelView {
    let start = ContinuousClock.now
    let output = try model.infer(frame.pixels)
    let inferred = ContinuousClock.now
    let size = PixelSize(width: CVPixelBufferGetWidth(frame.pixels), height: CVPixelBufferGetHeight(frame.pixels))
    let geometry = opened.contract.geometry(of: size)
    let scale = opened.contract.scale(of: size, intrinsics: frame.intrinsics)
    let shown = geometry.shown
    return ModelView(
      opened: opened, geometry: geometry,
      depth: try output.plane().part(rows: shown.rows, columns: shown.columns, times: scale.factor), scale: scale,
      inferenceMS: (inferred - start).milliseconds)
  }
}

/// An image that another thread gives to a model while its own gives it to a second one, and waits.
private final class SideWork: @unchecked Sendable {
  private let frame: CameraFrame
  private let model: RunningModel
  private(set) var view: Result<ModelView, any Error>?

  init(_ frame: CameraFrame, _ model: RunningModel) {
    (self.frame, self.model) = (frame, model)
  }

  func run() {
    view = Result { try model.look(at: frame) }
  }
}
