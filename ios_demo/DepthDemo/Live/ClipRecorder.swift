import CoreGraphics
import CoreImage
import CoreVideo
import DepthCore
import Foundation

/// A recording that ended.
struct RecordedClip: Sendable {
  let folder: URL
  let count: Int
  /// Over all its pictures; nil where none could be compared.
  let agreement: SensorAgreement?

  /// Such as `clip-2026-01-02T03-04-05Z: 12 pictures, sensor abs_rel …`.
  var title: String {
    let figures = agreement.map { ", \($0.text)" } ?? ""
    return "\(folder.lastPathComponent): \(count) pictures\(figures)"
  }
}

/// Writes images and what a scanner saw of them into a folder, five a second at most; from any thread.
final class ClipRecorder: @unchecked Sendable {
  private let context = CIContext(options: [.cacheIntermediates: false])
  private let lock = NSLock()
  // Guarded by `lock`.
  private var writer: SensorClipWriter?
  private var limiter = FrameRateLimiter()
  /// What ended the recording by itself.
  private var problem: (any Error)?

  private static let framesPerSecond = 5.0

  /// Begins.
  ///
  /// - Throws: what the file system says, also of a folder that is there already.
  func start(in folder: URL, model: String) throws {
    let writer = try SensorClipWriter(folder: folder, model: model, device: Device.machine.processor)
    lock.withLock { (self.writer, limiter, problem) = (writer, FrameRateLimiter(), nil) }
  }

  /// Adds an image, if something is being recorded; after a failure nothing more is, and `end` says why.
  func add(
    _ pixels: CVPixelBuffer, size: PixelSize, intrinsics: CameraIntrinsics?, measured: DepthPlane,
    agreement: SensorAgreement?
  ) {
    lock.withLock {
      let seconds = BenchmarkSensors.monotonicTime().milliseconds / 1000
      guard let writer, problem == nil, limiter.admits(at: seconds, limit: Self.framesPerSecond) else { return }
      do {
        try writer.add(measured, image: size, intrinsics: intrinsics, agreement: agreement) {
          try jpeg(pixels, size, scaledTo: $0)
        }
      } catch {
        problem = error
      }
    }
  }

  /// Ends.
  ///
  /// - Returns: nil where nothing was being recorded.
  /// - Throws: what kept it from being written.
  func end() throws -> RecordedClip? {
    try lock.withLock {
      guard let writer else { return nil }
      self.writer = nil
      if let problem { throw problem }
      try writer.finish()
      return RecordedClip(folder: writer.folder, count: writer.count, agreement: writer.agreement)
    }
  }

  private func jpeg(_ pixels: CVPixelBuffer, _ size: PixelSize, scaledTo target: PixelSize) throws -> Data {
    let frame = CGRect(x: 0, y: 0, width: CGFloat(target.width), height: CGFloat(target.height))
    // Beyond the border lies nothing, which would darken the pixels beside it.
    let picture = CIImage(cvPixelBuffer: pixels).clampedToExtent()
      .transformed(
        by: CGAffineTransform(
          scaleX: frame.width / CGFloat(size.width), y: frame.height / CGFloat(size.height)),
        highQualityDownsample: true
      )
      .cropped(to: frame)
    guard let bytes = context.jpegRepresentation(of: picture, colorSpace: CGColorSpaceCreateDeviceRGB()) else {
      throw PictureProblem.jpeg
    }
    return bytes
  }
}
