import CoreMedia
import CoreVideo
import Dispatch
import Foundation

public struct AVMediaType: Hashable, Sendable {
  let name: String
  public static let video = AVMediaType(name: "vide")
}

public class CALayer: NSObject {}

public class AVCaptureDevice: NSObject {
  public struct DeviceType: Hashable, Sendable {
    let name: String
    public static let builtInWideAngleCamera = DeviceType(name: "AVCaptureDeviceTypeBuiltInWideAngleCamera")
  }

  public enum Position: Int, Sendable {
    case unspecified, back, front
  }

  public class RotationCoordinator: NSObject {
    public init(device: AVCaptureDevice, previewLayer: CALayer?) {}
    public var videoRotationAngleForHorizonLevelCapture: CGFloat { FakeCamera.shared.levelAngle }
  }

  public static func `default`(
    _ deviceType: DeviceType, for mediaType: AVMediaType?, position: Position
  ) -> AVCaptureDevice? { position == .back && FakeCamera.shared.exists ? AVCaptureDevice() : nil }
  public static func requestAccess(for mediaType: AVMediaType) async -> Bool { FakeCamera.shared.isAllowed }
}

public class AVCaptureInput: NSObject {}

public class AVCaptureDeviceInput: AVCaptureInput {
  public init(device: AVCaptureDevice) throws {}
}

public class AVCaptureOutput: NSObject {
  fileprivate weak var connected: AVCaptureConnection?
  public func connection(with mediaType: AVMediaType) -> AVCaptureConnection? { connected }
}

public class AVCaptureConnection: NSObject {
  public var videoRotationAngle: CGFloat = 0
  public var isCameraIntrinsicMatrixDeliverySupported: Bool { FakeCamera.shared.intrinsics != nil }
  public var isCameraIntrinsicMatrixDeliveryEnabled = false {
    willSet { precondition(!newValue || isCameraIntrinsicMatrixDeliverySupported, "as AVFoundation: an exception") }
  }
  public func isVideoRotationAngleSupported(_ videoRotationAngle: CGFloat) -> Bool {
    [0, 90, 180, 270].contains(videoRotationAngle)
  }
}

// Optional in Apple's protocol; required here, so that a wrong label doesn't go unseen.
public protocol AVCaptureVideoDataOutputSampleBufferDelegate: NSObjectProtocol {
  func captureOutput(
    _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection)
}

public class AVCaptureVideoDataOutput: AVCaptureOutput {
  public override init() {}
  public var videoSettings: [String: Any]! = [:]
  public var alwaysDiscardsLateVideoFrames = true
  private weak var delegate: (any AVCaptureVideoDataOutputSampleBufferDelegate)?
  private var queue: DispatchQueue?
  private let lock = NSLock()
  private var isBusy = false

  public func setSampleBufferDelegate(
    _ sampleBufferDelegate: (any AVCaptureVideoDataOutputSampleBufferDelegate)?, queue: DispatchQueue?
  ) {
    (delegate, self.queue) = (sampleBufferDelegate, queue)
  }

  /// A camera delivers colours in this one format; Core Video raises an exception for others.
  var format: OSType { videoSettings[kCVPixelBufferPixelFormatTypeKey as String] as? OSType ?? 0 }

  func deliver(_ sample: CMSampleBuffer, from connection: AVCaptureConnection) {
    let isLate = lock.withLock {
      defer { isBusy = true }
      return isBusy
    }
    if isLate, alwaysDiscardsLateVideoFrames { return }
    let work = Delivery(output: self, sample: sample, connection: connection)
    queue?.async {
      work.output.delegate?.captureOutput(work.output, didOutput: work.sample, from: work.connection)
      work.output.lock.withLock { work.output.isBusy = false }
    }
  }

  private struct Delivery: @unchecked Sendable {
    let output: AVCaptureVideoDataOutput
    let sample: CMSampleBuffer
    let connection: AVCaptureConnection
  }
}

public struct AVError: Error {
  public enum Code: Int, Sendable {
    case mediaServicesWereReset = -11819
  }
  public let code: Code
  package init(_ code: Code) { self.code = code }
}

public let AVCaptureSessionErrorKey = "AVCaptureSessionErrorKey"
public let AVCaptureSessionInterruptionReasonKey = "AVCaptureSessionInterruptionReasonKey"

public class AVCaptureSession: NSObject {
  public struct Preset: Hashable, Sendable {
    let name: String
    public static let hd1280x720 = Preset(name: "AVCaptureSessionPreset1280x720")
  }

  public enum InterruptionReason: Int, Sendable {
    case videoDeviceNotAvailableDueToSystemPressure = 5
  }

  public static let runtimeErrorNotification = NSNotification.Name("AVCaptureSessionRuntimeErrorNotification")
  public static let wasInterruptedNotification = NSNotification.Name("AVCaptureSessionWasInterruptedNotification")
  public static let interruptionEndedNotification = NSNotification.Name("AVCaptureSessionInterruptionEndedNotification")

  public private(set) var inputs: [AVCaptureInput] = []
  public var isRunning: Bool { lock.withLock { runs } }
  public var isInterrupted: Bool { FakeCamera.shared.isInterrupted }
  public var sessionPreset = Preset(name: "AVCaptureSessionPresetHigh")
  public var synchronizationClock: CMClock? { CMClock() }
  private let lock = NSLock()
  private var runs = false
  /// Whether images come with focal lengths: as it was set when the session started.
  fileprivate private(set) var delivers = false
  private(set) var output: AVCaptureVideoDataOutput?
  let connection = AVCaptureConnection()

  public override init() {
    super.init()
    FakeCamera.shared.session = self
  }

  public func canSetSessionPreset(_ preset: Preset) -> Bool { true }
  public func canAddInput(_ input: AVCaptureInput) -> Bool { inputs.isEmpty }
  public func canAddOutput(_ output: AVCaptureOutput) -> Bool { output is AVCaptureVideoDataOutput }
  public func addInput(_ input: AVCaptureInput) { inputs.append(input) }
  public func addOutput(_ output: AVCaptureOutput) {
    self.output = output as? AVCaptureVideoDataOutput
    output.connected = connection
  }
  public func beginConfiguration() {}
  public func commitConfiguration() {}
  public func startRunning() {
    delivers = connection.isCameraIntrinsicMatrixDeliveryEnabled
    lock.withLock { runs = true }
    FakeCamera.shared.started()
  }
  public func stopRunning() { lock.withLock { runs = false } }
}

/// The camera of the session that was made last. Its sensor lies as that of a phone: pictures are upright after a turn by the angle of the
/// connection.
package final class FakeCamera: @unchecked Sendable {
  package static let shared = FakeCamera()

  package var exists = true
  package var isAllowed = true
  package var isInterrupted = false
  /// Focal lengths in pixels of the images as they are delivered; nil for a camera that doesn't tell.
  package var intrinsics: SIMD2<Float>? = SIMD2(repeating: 48)
  /// What the phone's position asks for.
  package var levelAngle: CGFloat = 90
  package fileprivate(set) weak var session: AVCaptureSession?
  private let lock = NSLock()
  private var starts = 0

  package var startCount: Int { lock.withLock { starts } }
  package var rotationAngle: CGFloat? { session?.connection.videoRotationAngle }

  fileprivate func started() { lock.withLock { starts += 1 } }

  /// As if newly made, with a phone held upright.
  package func reset() {
    (exists, isAllowed, isInterrupted, levelAngle, intrinsics) = (true, true, false, 90, SIMD2(repeating: 48))
    lock.withLock { starts = 0 }
  }

  /// Delivers a picture that a sensor of this size takes, if the session runs.
  ///
  /// - Parameter scene: colour, 0 to 255, of a point in the scene, from the left and from above, in shares of what the sensor sees when
  ///   the phone is held as `levelAngle` says.
  package func deliver(
    width: Int, height: Int, seconds: Double = 0, scene: (Double, Double) -> SIMD3<Double>
  ) {
    guard let session, session.isRunning, let output = session.output else { return }
    guard output.format == kCVPixelFormatType_32BGRA else { fatalError("the camera has no pixel format \(output.format)") }
    let angle = session.connection.videoRotationAngle
    let isTurned = angle == 90 || angle == 270
    guard
      let buffer = CVBuffer(
        width: isTurned ? height : width, height: isTurned ? width : height, format: output.format)
    else { return }
    let tilt = (Int(levelAngle - angle) + 360) % 360
    for y in 0..<CVPixelBufferGetHeight(buffer) {
      for x in 0..<CVPixelBufferGetWidth(buffer) {
        let across = (Double(x) + 0.5) / Double(CVPixelBufferGetWidth(buffer))
        let down = (Double(y) + 0.5) / Double(CVPixelBufferGetHeight(buffer))
        let point: (Double, Double)
        switch tilt {
        case 90: point = (1 - down, across)
        case 180: point = (1 - across, 1 - down)
        case 270: point = (down, 1 - across)
        default: point = (across, down)
        }
        buffer[colour: x, y] = SIMD4(scene(point.0, point.1), 255)
      }
    }
    var attachments: [String: Data] = [:]
    if session.delivers, let intrinsics {
      let columns: [Float] = [intrinsics.x, 0, 0, 0, 0, intrinsics.y, 0, 0, 0, 0, 1, 0]
      attachments[kCMSampleBufferAttachmentKey_CameraIntrinsicMatrix] = columns.withUnsafeBytes { Data($0) }
    }
    let sample = CMSampleBuffer(image: buffer, time: CMTime(seconds: seconds), attachments: attachments)
    output.deliver(sample, from: session.connection)
  }

  /// Tells the app what happened to the session.
  package func post(_ name: NSNotification.Name, _ information: [String: Any] = [:]) {
    NotificationCenter.default.post(name: name, object: session, userInfo: information)
  }

  /// The session stops by itself, as after a failure.
  package func halt() { session?.stopRunning() }
}
