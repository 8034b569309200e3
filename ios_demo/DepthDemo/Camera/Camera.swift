import AVFoundation
import CoreMedia
import CoreVideo
import DepthCore
import Foundation

/// One upright image, of the camera or of the library. Whoever has it only reads its pixels.
struct CameraFrame: @unchecked Sendable {
  let pixels: CVPixelBuffer
  /// Of this image; nil where neither camera nor file tells.
  let intrinsics: CameraIntrinsics?
  /// Time from the capture of the image to its delivery; none for one that was stored.
  let age: Duration
  /// What a scanner saw of all of the image, in metres; nil without one.
  let measured: DepthPlane?
}

/// The back camera, with one of its lenses or its scanner. Images are delivered one at a time on a queue; those that come while one is being worked
/// on are dropped, never queued.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
  // All mutable state is touched on `queue` only.
  private let queue: DispatchQueue
  private let session = AVCaptureSession()
  private var output = AVCaptureVideoDataOutput()
  private var sensor: DepthSensor?
  private let onFrame: @Sendable (CameraFrame) -> Void
  private let onProblem: @Sendable (CameraProblem?) -> Void
  private var rotation: AVCaptureDevice.RotationCoordinator?
  private var observers: [any NSObjectProtocol] = []
  /// Whether it was started, and not stopped since.
  private var isWanted = false
  /// What it is set up for; nil where it is not set up.
  private var setup: Setup?

  private struct Setup: Equatable {
    let lens: Lens
    let isMeasuring: Bool
  }

  /// - Parameters:
  ///   - queue: where it works, one thing after the other.
  ///   - onFrame: called on `queue`.
  ///   - onProblem: called on any queue, when the camera stops by itself; with nil when it goes on.
  init(
    queue: DispatchQueue, onFrame: @escaping @Sendable (CameraFrame) -> Void,
    onProblem: @escaping @Sendable (CameraProblem?) -> Void
  ) {
    self.queue = queue
    self.onFrame = onFrame
    self.onProblem = onProblem
  }

  deinit {
    observers.forEach(NotificationCenter.default.removeObserver)
  }

  /// Asks for permission if needed, and starts.
  ///
  /// - Parameters:
  ///   - lens: that images are taken with.
  ///   - isMeasuring: whether they come with what a LiDAR scanner measures, which has a camera of its own.
  /// - Returns: whether images come from now on; false while the camera is interrupted, of which `onProblem` has heard.
  /// - Throws: `CameraProblem`.
  func start(_ lens: Lens, measuring isMeasuring: Bool) async throws -> Bool {
    guard await AVCaptureDevice.requestAccess(for: .video) else { throw CameraProblem.denied }
    return try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Bool, any Error>) in
      queue.async {
        continuation.resume(
          with: Result {
            let setup = Setup(lens: lens, isMeasuring: isMeasuring)
            if self.setup != setup { try self.configure(setup) }
            self.isWanted = true
            if !self.session.isRunning { self.session.startRunning() }
            return !self.session.isInterrupted
          })
      }
    }
  }

  /// Returns when the camera stands still.
  func stop() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      queue.async {
        self.isWanted = false
        if self.session.isRunning { self.session.stopRunning() }
        continuation.resume()
      }
    }
  }

  private func configure(_ next: Setup) throws {
    let device = next.isMeasuring ? DepthSensor.device : next.lens.device
    guard let device else { throw CameraProblem.missing }
    let input = try AVCaptureDeviceInput(device: device)
    // Focal lengths are to be asked for while it stands still.
    if session.isRunning { session.stopRunning() }
    session.beginConfiguration()
    defer { session.commitConfiguration() }
    setup = nil
    session.inputs.forEach(session.removeInput)
    session.outputs.forEach(session.removeOutput)
    (output, sensor) = (AVCaptureVideoDataOutput(), nil)
    guard session.canAddInput(input), session.canAddOutput(output) else { throw CameraProblem.refused }
    session.addInput(input)
    session.addOutput(output)
    output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
    output.alwaysDiscardsLateVideoFrames = true
    if next.isMeasuring {
      sensor = try DepthSensor(device, in: session, beside: output, queue: queue) { [weak self] in
        self?.deliver($0, from: $1, measured: $2)
      }
    } else {
      if session.canSetSessionPreset(.hd1280x720) { session.sessionPreset = .hd1280x720 }
      output.setSampleBufferDelegate(self, queue: queue)
    }
    // To be set before the session runs. Without it, metres are said to be uncalibrated.
    if let connection = output.connection(with: .video), connection.isCameraIntrinsicMatrixDeliverySupported {
      connection.isCameraIntrinsicMatrixDeliveryEnabled = true
    }
    rotation = AVCaptureDevice.RotationCoordinator(device: device, previewLayer: nil)
    if observers.isEmpty { observeSession() }
    setup = next
  }

  private func observeSession() {
    observe(AVCaptureSession.runtimeErrorNotification) { [weak self] note in
      let error = note.userInfo?[AVCaptureSessionErrorKey] as? any Error
      if let self, (error as? AVError)?.code == .mediaServicesWereReset {
        self.restart()
        return nil
      }
      return .stopped(error?.localizedDescription ?? "no reason given")
    }
    // The session goes on by itself afterwards.
    observe(AVCaptureSession.wasInterruptedNotification) { note in
      let reason = (note.userInfo?[AVCaptureSessionInterruptionReasonKey] as? Int)
        .flatMap(AVCaptureSession.InterruptionReason.init(rawValue:))
      return reason == .videoDeviceNotAvailableDueToSystemPressure ? .pressure : .interrupted
    }
    observe(AVCaptureSession.interruptionEndedNotification) { _ in nil }
  }

  /// Goes on after the system's media services began anew.
  private func restart() {
    queue.async {
      if self.isWanted, !self.session.isRunning { self.session.startRunning() }
    }
  }

  private func observe(_ name: Notification.Name, problem: @escaping @Sendable (Notification) -> CameraProblem?) {
    observers.append(
      NotificationCenter.default.addObserver(forName: name, object: session, queue: nil) { [onProblem] note in
        onProblem(problem(note))
      })
  }

  func captureOutput(
    _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
  ) {
    deliver(sampleBuffer, from: connection, measured: nil)
  }

  private func deliver(_ sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection, measured: DepthPlane?) {
    turnUpright(connection)
    // One that was on its way when it was stopped is none that anybody waits for.
    guard isWanted, let pixels = CMSampleBufferGetImageBuffer(sampleBuffer) else { return }
    onFrame(
      CameraFrame(
        pixels: pixels, intrinsics: intrinsics(of: sampleBuffer), age: age(of: sampleBuffer), measured: measured))
  }

  /// Focal lengths of this very image: focusing changes them.
  private func intrinsics(of sampleBuffer: CMSampleBuffer) -> CameraIntrinsics? {
    let key = kCMSampleBufferAttachmentKey_CameraIntrinsicMatrix
    let attached = CMGetAttachment(sampleBuffer, key: key, attachmentModeOut: nil) as? Data
    return attached.flatMap { CameraIntrinsics(matrix: $0) }
  }

  /// Lets the camera deliver images whose horizon is level, however the phone is held.
  private func turnUpright(_ connection: AVCaptureConnection) {
    guard let angle = rotation?.videoRotationAngleForHorizonLevelCapture,
      connection.videoRotationAngle != angle, connection.isVideoRotationAngleSupported(angle)
    else { return }
    connection.videoRotationAngle = angle
  }

  private func age(of sampleBuffer: CMSampleBuffer) -> Duration {
    guard let clock = session.synchronizationClock else { return .zero }
    let captured = CMSampleBufferGetPresentationTimeStamp(sampleBuffer)
    let seconds = CMTimeGetSeconds(CMTimeSubtract(CMClockGetTime(clock), captured))
    return seconds.isFinite && seconds > 0 ? .seconds(seconds) : .zero
  }
}

/// Why there are no images.
enum CameraProblem: LocalizedError {
  case denied
  case missing
  case refused
  case interrupted
  case pressure
  case stopped(String)

  init(_ error: any Error) {
    self = error as? CameraProblem ?? .stopped(error.localizedDescription)
  }

  /// Whether the user can change it in Settings.
  var isDenied: Bool {
    if case .denied = self { true } else { false }
  }

  var errorDescription: String? {
    switch self {
    case .denied: "No access to the camera: allow it in Settings."
    case .missing: "This device has no back camera."
    case .refused: "The camera cannot be used now: another app may hold it."
    case .interrupted: "Something else uses the camera; it goes on when that ends."
    case .pressure: "The camera is off to spare the device, which is hot or low on power; it goes on when that ends."
    case .stopped(let reason): "The camera stopped: \(reason) Leave the app and come back to start it again."
    }
  }
}
