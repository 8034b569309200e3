import CoreMedia
import Dispatch
import Foundation

public struct AVMediaType: Hashable, Sendable {
  public static var video: AVMediaType { fatalError() }
}

public class CALayer: NSObject {}

public class AVCaptureDevice: NSObject {
  public struct DeviceType: Hashable, Sendable {
    public static var builtInWideAngleCamera: DeviceType { fatalError() }
  }

  public enum Position: Int, Sendable {
    case unspecified, back, front
  }

  public class RotationCoordinator: NSObject {
    public init(device: AVCaptureDevice, previewLayer: CALayer?) {}
    public var videoRotationAngleForHorizonLevelCapture: CGFloat { fatalError() }
  }

  public static func `default`(
    _ deviceType: DeviceType, for mediaType: AVMediaType?, position: Position
  ) -> AVCaptureDevice? { fatalError() }
  public static func requestAccess(for mediaType: AVMediaType) async -> Bool { fatalError() }
}

public class AVCaptureInput: NSObject {}

public class AVCaptureDeviceInput: AVCaptureInput {
  public init(device: AVCaptureDevice) throws {}
}

public class AVCaptureOutput: NSObject {}

public class AVCaptureConnection: NSObject {
  public var videoRotationAngle: CGFloat = 0
  public func isVideoRotationAngleSupported(_ videoRotationAngle: CGFloat) -> Bool { fatalError() }
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
  public func setSampleBufferDelegate(
    _ sampleBufferDelegate: (any AVCaptureVideoDataOutputSampleBufferDelegate)?, queue: DispatchQueue?
  ) {}
}

public var AVCaptureSessionErrorKey: String { fatalError() }
public var AVCaptureSessionInterruptionReasonKey: String { fatalError() }

public class AVCaptureSession: NSObject {
  public struct Preset: Hashable, Sendable {
    public static var hd1280x720: Preset { fatalError() }
  }

  public enum InterruptionReason: Int, Sendable {
    case videoDeviceNotAvailableDueToSystemPressure = 5
  }

  public static var runtimeErrorNotification: NSNotification.Name { fatalError() }
  public static var wasInterruptedNotification: NSNotification.Name { fatalError() }
  public static var interruptionEndedNotification: NSNotification.Name { fatalError() }
  public override init() {}
  public var inputs: [AVCaptureInput] { fatalError() }
  public var isRunning: Bool { fatalError() }
  public var isInterrupted: Bool { fatalError() }
  public var sessionPreset: Preset {
    get { fatalError() }
    set {}
  }
  public var synchronizationClock: CMClock? { fatalError() }
  public func canSetSessionPreset(_ preset: Preset) -> Bool { fatalError() }
  public func canAddInput(_ input: AVCaptureInput) -> Bool { fatalError() }
  public func canAddOutput(_ output: AVCaptureOutput) -> Bool { fatalError() }
  public func addInput(_ input: AVCaptureInput) {}
  public func addOutput(_ output: AVCaptureOutput) {}
  public func beginConfiguration() {}
  public func commitConfiguration() {}
  public func startRunning() {}
  public func stopRunning() {}
}
