import CoreGraphics
import CoreImage
import CoreVideo
import DepthCore
import Foundation

/// What the screen shows of one camera image.
struct LiveFrame: @unchecked Sendable {
  /// The part of the camera image that the model saw.
  let photo: CGImage
  let depthPicture: CGImage
  let depth: DepthPlane
  let range: DepthRange
  let inferenceMS: Double
  /// From the capture of the image to the finished depth map.
  let endToEndMS: Double
  let framesPerSecond: Double?
  let computeUnits: ComputeUnits
}

/// Turns camera images into depth maps, one at a time on the camera's queue, with the model that is chosen at the time.
final class LivePipeline: @unchecked Sendable {
  /// Newest frame only: a screen that is busy never makes the camera wait.
  let frames: AsyncStream<Result<LiveFrame, any Error>>

  private let continuation: AsyncStream<Result<LiveFrame, any Error>>.Continuation
  private let context = CIContext(options: [.cacheIntermediates: false])
  private let lock = NSLock()
  // Guarded by `lock`.
  private var current: (model: any DepthModel, opened: OpenedModel)?
  // Touched by `process` only, which the camera's queue calls.
  private var normalizer = DepthNormalizer()
  private var meter = FPSMeter()

  init() {
    (frames, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Uses another model from the next image on; nil pauses.
  func use(_ opened: OpenedModel?, path: InferencePath) throws {
    let next = try opened.map { (model: try path.makeModel($0), opened: $0) }
    lock.withLock { current = next }
  }

  /// Works on one image; called on the camera's queue.
  func process(_ frame: CameraFrame) {
    guard let (model, opened) = lock.withLock({ current }) else { return }
    continuation.yield(Result { try show(frame, model, opened) })
  }

  private func show(_ frame: CameraFrame, _ model: any DepthModel, _ opened: OpenedModel) throws -> LiveFrame {
    let delivered = ContinuousClock.now
    let output = try model.infer(frame.pixels)
    let inferred = ContinuousClock.now
    let depth = try output.plane()
    let finished = ContinuousClock.now
    let range = normalizer.range(of: depth)
    return LiveFrame(
      photo: try photo(frame.pixels, opened.contract),
      depthPicture: try makePicture(rgba: Colormap.depth.rgba(of: depth, in: range), of: depth),
      depth: depth,
      range: range,
      inferenceMS: (inferred - delivered).milliseconds,
      endToEndMS: (frame.age + (finished - delivered)).milliseconds,
      framesPerSecond: meter.tick(at: BenchmarkSensors.monotonicTime().milliseconds / 1000),
      computeUnits: opened.computeUnits)
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
