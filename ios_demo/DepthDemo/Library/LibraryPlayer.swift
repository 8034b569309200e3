import AVFoundation
import CoreImage
import CoreMedia
import CoreVideo
import DepthCore
import Foundation

/// Gives the images of the library where the camera gives its own, one at a time on the same queue.
final class LibraryPlayer: Sendable {
  private let queue: DispatchQueue
  private let onFrame: @Sendable (CameraFrame) -> Void

  /// - Parameters:
  ///   - queue: that the camera's images come on.
  ///   - onFrame: called on it.
  init(queue: DispatchQueue, onFrame: @escaping @Sendable (CameraFrame) -> Void) {
    (self.queue, self.onFrame) = (queue, onFrame)
  }

  /// Gives a photo once.
  func show(_ photo: CameraFrame) {
    queue.async { self.onFrame(photo) }
  }

  /// Plays a video frame by frame, again and again until it is cancelled.
  ///
  /// - Throws: `LibraryProblem`, what AVFoundation says, and `CancellationError`.
  func play(_ video: LibraryVideo) async throws {
    let start = ContinuousClock.now
    var pace = PlaybackPace()
    while true {
      let reading = try await VideoReading(video.url)
      var isEmpty = true
      while let next = try await onQueue({ try reading.next() }) {
        let now = (ContinuousClock.now - start).milliseconds / 1000
        try await Task.sleep(for: .seconds(pace.wait(for: next.seconds, now: now)))
        try await onQueue { self.onFrame(next.frame) }
        isEmpty = false
      }
      if isEmpty { throw LibraryProblem.noVideo }
    }
  }

  private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try Task.checkCancellation()
    return try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
      queue.async { continuation.resume(with: Result { try body() }) }
    }
  }
}

/// One pass through a video, upright as its track asks. Its frames don't tell a focal length: what EXIF is to photos, videos don't have.
private final class VideoReading: @unchecked Sendable {
  // Used by one thread at a time.
  private let reader: AVAssetReader
  private let output: AVAssetReaderTrackOutput
  private let orientation: ImageOrientation

  /// - Throws: `LibraryProblem`, and what AVFoundation says.
  init(_ url: URL) async throws {
    let asset = AVURLAsset(url: url)
    guard let track = try await asset.loadTracks(withMediaType: .video).first else { throw LibraryProblem.noVideo }
    let turn = try await track.load(.preferredTransform)
    let (a, b, c, d) = (Double(turn.a), Double(turn.b), Double(turn.c), Double(turn.d))
    guard let orientation = ImageOrientation(a: a, b: b, c: c, d: d) else { throw LibraryProblem.turned }
    self.orientation = orientation
    reader = try AVAssetReader(asset: asset)
    let colours: [String: Any] = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
    output = AVAssetReaderTrackOutput(track: track, outputSettings: colours)
    output.alwaysCopiesSampleData = false
    guard reader.canAdd(output) else { throw LibraryProblem.noVideo }
    reader.add(output)
    guard reader.startReading() else { throw problem }
  }

  /// - Returns: nil at the end.
  func next() throws -> (frame: CameraFrame, seconds: Double)? {
    while let sample = output.copyNextSampleBuffer() {
      // A sample may mark a gap.
      guard let stored = CMSampleBufferGetImageBuffer(sample) else { continue }
      let pixels = try UprightImages.shared.make(CIImage(cvPixelBuffer: stored), orientation)
      let frame = CameraFrame(pixels: pixels, intrinsics: nil, age: .zero, measured: nil)
      return (frame, CMTimeGetSeconds(CMSampleBufferGetPresentationTimeStamp(sample)))
    }
    if reader.status == .failed { throw problem }
    return nil
  }

  private var problem: LibraryProblem { .stopped(reader.error?.localizedDescription ?? "no reason given") }
}
