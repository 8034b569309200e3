import CoreGraphics
import CoreImage
import CoreVideo
import DepthCore
import Foundation

/// What the screen shows of one camera image.
struct LiveFrame: @unchecked Sendable {
  /// Which loading of a model worked on it.
  let model: UUID
  /// The part of the camera image that the model saw.
  let photo: CGImage
  let depthPicture: CGImage
  let depth: DepthPlane
  /// From the capture of the image to the finished depth map.
  let endToEndMS: Double
  let figures: LiveFigures
}

/// What became of one camera image.
struct LiveResult: @unchecked Sendable {
  /// Which loading of a model worked on it.
  let model: UUID
  let frame: Result<LiveFrame, any Error>
}

/// Turns camera images into depth maps, one at a time on the camera's queue, with the model that is chosen at the time.
final class LivePipeline: @unchecked Sendable {
  /// Newest frame only: a screen that is busy never makes the camera wait.
  let results: AsyncStream<LiveResult>

  private let continuation: AsyncStream<LiveResult>.Continuation
  private let context = CIContext(options: [.cacheIntermediates: false])
  private let lock = NSLock()
  // Guarded by `lock`.
  private var current: (model: any DepthModel, opened: OpenedModel)?
  // Touched by `process` only, which the camera's queue calls.
  private var shown: ObjectIdentifier?
  private var normalizer = DepthNormalizer()
  private var meter = FPSMeter()

  init() {
    (results, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Uses another model from the next image on. Not on the caller's actor: Vision prepares the model here.
  func use(_ opened: OpenedModel, path: InferencePath) async throws {
    let model = try path.makeModel(opened)
    if Task.isCancelled { return }
    lock.withLock { current = (model, opened) }
  }

  /// Lets images pass from now on, and lets go of the model.
  func pause() {
    lock.withLock { current = nil }
  }

  /// Works on one image; called on the camera's queue.
  func process(_ frame: CameraFrame) {
    guard let (model, opened) = lock.withLock({ current }) else { return }
    let shown = Result {
      // Apple asks apps to do next to nothing then, and figures of such a device say nothing.
      if Device.thermalState == .critical { throw PictureProblem.tooHot }
      return try show(frame, model, opened)
    }
    continuation.yield(LiveResult(model: opened.id, frame: shown))
  }

  private func show(_ frame: CameraFrame, _ model: any DepthModel, _ opened: OpenedModel) throws -> LiveFrame {
    startOver(with: model)
    let delivered = ContinuousClock.now
    let output = try model.infer(frame.pixels)
    let inferred = ContinuousClock.now
    let depth = try output.plane()
    let finished = ContinuousClock.now
    let range = normalizer.range(of: depth)
    let endToEndMS = (frame.age + (finished - delivered)).milliseconds
    return LiveFrame(
      model: opened.id,
      photo: try photo(frame.pixels, opened.contract),
      depthPicture: try makePicture(rgba: Colormap.depth.rgba(of: depth, in: range), of: depth),
      depth: depth,
      endToEndMS: endToEndMS,
      figures: LiveFigures(
        framesPerSecond: meter.tick(at: BenchmarkSensors.monotonicTime().milliseconds / 1000),
        inferenceMS: (inferred - delivered).milliseconds, endToEndMS: endToEndMS, range: range,
        unit: opened.contract.unit, thermalState: Device.thermalState, computeUnits: opened.computeUnits,
        precision: opened.contract.recipe?.precision ?? "precision unknown"))
  }

  /// Neither range nor rate of one model say anything about the next.
  private func startOver(with model: any DepthModel) {
    guard shown != ObjectIdentifier(model) else { return }
    shown = ObjectIdentifier(model)
    (normalizer, meter) = (DepthNormalizer(), FPSMeter())
  }

  private func photo(_ pixels: CVPixelBuffer, _ contract: ModelContract) throws -> CGImage {
    let size = PixelSize(width: CVPixelBufferGetWidth(pixels), height: CVPixelBufferGetHeight(pixels))
    let crop = contract.geometry(of: size).crop
    guard let picture = context.createCGImage(CIImage(cvPixelBuffer: pixels), from: crop) else {
      throw PictureProblem.photo
    }
    return picture
  }
}
