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
  let frame: Result<LiveFrame, any Error>
}

/// Turns images into depth maps, one at a time on the queue that they come on, with the model that is chosen at the time. Pictures of them are
/// drawn on a queue of their own, so that the camera doesn't wait; of those that come faster than they are drawn the newest is.
final class LivePipeline: @unchecked Sendable {
  /// Newest frame only: a screen that is busy never makes the camera wait.
  let results: AsyncStream<LiveResult>

  private let continuation: AsyncStream<LiveResult>.Continuation
  private let context = CIContext(options: [.cacheIntermediates: false])
  private let lock = NSLock()
  private let drawing = DispatchQueue(label: "pictures", qos: .userInitiated, autoreleaseFrequency: .workItem)
  // Guarded by `lock`.
  private var current: (model: any DepthModel, opened: OpenedModel)?
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

  /// A camera image and what the model made of it.
  private struct Seen: @unchecked Sendable {
    let pixels: CVPixelBuffer
    let opened: OpenedModel
    let size: PixelSize
    let geometry: CropGeometry
    let intrinsics: CameraIntrinsics?
    let measured: DepthPlane?
    let depth: DepthPlane
    let figures: LiveFigures
    let endToEndMS: Double
  }

  init() {
    (results, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Uses another model from the next image on. Not on the caller's actor: Vision prepares the model here.
  func use(_ opened: OpenedModel, path: InferencePath) async throws {
    let model = try path.makeModel(opened)
    if Task.isCancelled { return }
    lock.withLock { (current, isNew) = ((model, opened), true) }
  }

  /// Lets images pass from now on, and lets go of the model.
  func pause() {
    lock.withLock { current = nil }
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
    guard let (model, opened) = take() else { return }
    let heat = Device.thermalState
    do {
      // Apple asks apps to do next to nothing then, and figures of such a device say nothing.
      if heat == .critical { throw PictureProblem.tooHot }
      let seconds = BenchmarkSensors.monotonicTime().milliseconds / 1000
      guard limiter.admits(at: seconds, limit: heat.frameRateLimit) else { return }
      draw(try look(frame, model, opened, heat))
    } catch {
      continuation.yield(LiveResult(model: opened.id, frame: .failure(error)))
    }
  }

  /// The model to work with; begins anew where that was asked for.
  private func take() -> (model: any DepthModel, opened: OpenedModel)? {
    lock.withLock {
      guard let current else { return nil }
      if isNew { (normalizer, meter, limiter) = (DepthNormalizer(), FPSMeter(), FrameRateLimiter()) }
      isNew = false
      return current
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
      continuation.yield(LiveResult(model: seen.opened.id, frame: result))
    }
  }

  private func frame(of seen: Seen, _ parts: LiveParts) throws -> LiveFrame {
    let visible = seen.geometry.visible
    return LiveFrame(
      model: seen.opened.id, aspect: visible.width / visible.height,
      photo: parts.contains(.photo) ? try photo(seen.pixels, visible) : nil,
      depthPicture: parts.contains(.depth)
        ? try makePicture(rgba: Colormap.depth.rgba(of: seen.depth, in: seen.figures.range), of: seen.depth) : nil,
      cloud: parts.contains(.cloud) ? try cloud(of: seen) : nil, depth: seen.depth, endToEndMS: seen.endToEndMS,
      // While it is measured how fast a model is, nothing is computed beside it.
      figures: parts.isEmpty ? seen.figures : compared(seen))
  }

  private func cloud(of seen: Seen) throws -> PointCloud? {
    let camera = seen.opened.contract.cameraOfShown(seen.geometry, intrinsics: seen.intrinsics)
    return try camera.map { PointCloud(seen.depth, camera: $0, rgba: try colours(of: seen.pixels, seen.geometry)) }
  }

  /// The figures with the agreement with a scanner, which is recorded if that is wanted.
  private func compared(_ seen: Seen) -> LiveFigures {
    var figures = seen.figures
    guard let measured = seen.measured else { return figures }
    let sensorSize = PixelSize(width: measured.width, height: measured.height)
    figures.agreement = SensorAgreement(
      model: seen.depth, sensor: measured, region: seen.geometry.shown(in: sensorSize),
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
    _ frame: CameraFrame, _ model: any DepthModel, _ opened: OpenedModel, _ heat: ThermalState
  ) throws -> Seen {
    let delivered = ContinuousClock.now
    let output = try model.infer(frame.pixels)
    let inferred = ContinuousClock.now
    let size = PixelSize(width: CVPixelBufferGetWidth(frame.pixels), height: CVPixelBufferGetHeight(frame.pixels))
    let geometry = opened.contract.geometry(of: size)
    let scale = opened.contract.scale(of: size, intrinsics: frame.intrinsics)
    let shown = geometry.shown
    let depth = try output.plane().part(rows: shown.rows, columns: shown.columns, times: scale.factor)
    let finished = ContinuousClock.now
    let following = normalizer.range(of: depth)
    let range = lock.withLock { lockedRange } ?? following
    let endToEndMS = (frame.age + (finished - delivered)).milliseconds
    return Seen(
      pixels: frame.pixels, opened: opened, size: size, geometry: geometry, intrinsics: frame.intrinsics,
      measured: frame.measured, depth: depth,
      figures: LiveFigures(
        framesPerSecond: meter.tick(at: BenchmarkSensors.monotonicTime().milliseconds / 1000),
        inferenceMS: (inferred - delivered).milliseconds, endToEndMS: endToEndMS, range: range,
        scale: scale, thermalState: heat, computeUnits: opened.computeUnits,
        precision: opened.contract.recipe?.precision ?? "precision unknown"),
      endToEndMS: endToEndMS)
  }

  private func photo(_ pixels: CVPixelBuffer, _ visible: CGRect) throws -> CGImage {
    guard let picture = context.createCGImage(CIImage(cvPixelBuffer: pixels), from: visible) else {
      throw PictureProblem.photo
    }
    return picture
  }
}
