import CoreMedia
import CoreVideo
import Dispatch
import Foundation
import ImageIO

public struct AVMediaType: Hashable, Sendable {
  let name: String
  public static let video = AVMediaType(name: "vide")
  public static let depthData = AVMediaType(name: "dpth")
}

public class CALayer: NSObject {}

public class AVCaptureDevice: NSObject {
  public struct DeviceType: Hashable, Sendable {
    let name: String
    public static let builtInUltraWideCamera = DeviceType(name: "AVCaptureDeviceTypeBuiltInUltraWideCamera")
    public static let builtInTelephotoCamera = DeviceType(name: "AVCaptureDeviceTypeBuiltInTelephotoCamera")
    public static let builtInWideAngleCamera = DeviceType(name: "AVCaptureDeviceTypeBuiltInWideAngleCamera")
    public static let builtInLiDARDepthCamera = DeviceType(name: "AVCaptureDeviceTypeBuiltInLiDARDepthCamera")
  }

  public enum Position: Int, Sendable {
    case unspecified, back, front
  }

  public class RotationCoordinator: NSObject {
    public init(device: AVCaptureDevice, previewLayer: CALayer?) {}
    public var videoRotationAngleForHorizonLevelCapture: CGFloat { FakeCamera.shared.levelAngle }
  }

  public class Format: NSObject {
    public let formatDescription: CMFormatDescription
    public let supportedDepthDataFormats: [Format]
    public let isVideoBinned = false
    init(_ formatDescription: CMFormatDescription, depth: [Format] = []) {
      (self.formatDescription, supportedDepthDataFormats) = (formatDescription, depth)
    }
  }

  public static func `default`(
    _ deviceType: DeviceType, for mediaType: AVMediaType?, position: Position
  ) -> AVCaptureDevice? {
    let camera = FakeCamera.shared
    guard position == .back, camera.exists else { return nil }
    let hasIt = deviceType == .builtInLiDARDepthCamera ? camera.hasScanner : camera.lenses[deviceType] != nil
    return hasIt ? AVCaptureDevice(deviceType) : nil
  }

  init(_ deviceType: DeviceType) { self.deviceType = deviceType }

  public let deviceType: DeviceType
  /// A plain camera measures no depth; of a scanner's formats not all come with depth, nor all depth in metres.
  public private(set) lazy var formats: [Format] = {
    guard deviceType == .builtInLiDARDepthCamera else { return [] }
    let depth = [kCVPixelFormatType_DisparityFloat16, kCVPixelFormatType_DepthFloat16, kCVPixelFormatType_DepthFloat32]
      .map { Format(CMFormatDescription(mediaSubType: $0, width: 32, height: 24)) }
    let sizes: [(Int32, [Format])] = [(1920, depth), (3840, depth), (1280, [])]
    return sizes.map { Format(CMFormatDescription(mediaSubType: 0, width: $0.0, height: $0.0 / 4 * 3), depth: $0.1) }
  }()
  private var isLocked = false
  public func lockForConfiguration() throws { isLocked = true }
  public func unlockForConfiguration() { isLocked = false }
  public var activeFormat = Format(CMFormatDescription(mediaSubType: 0, width: 1280, height: 720)) {
    willSet { precondition(isLocked && formats.contains(newValue), "as AVFoundation: an exception") }
  }
  public var activeDepthDataFormat: Format? {
    willSet {
      precondition(isLocked && newValue.map { activeFormat.supportedDepthDataFormats.contains($0) } != false, "as AVFoundation: an exception")
    }
  }
  public static func requestAccess(for mediaType: AVMediaType) async -> Bool { FakeCamera.shared.isAllowed }
}

public class AVCaptureInput: NSObject {}

public class AVCaptureDeviceInput: AVCaptureInput {
  let device: AVCaptureDevice
  public init(device: AVCaptureDevice) throws { self.device = device }
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
  /// Takes the place of the delegate.
  fileprivate weak var synchronizer: AVCaptureDataOutputSynchronizer?
  private weak var delegate: (any AVCaptureVideoDataOutputSampleBufferDelegate)?
  private var queue: DispatchQueue?
  private let lock = NSLock()
  private var isBusy = false
  /// Whether the delegate has an image, or will get one.
  fileprivate var hasWork: Bool { lock.withLock { isBusy } }

  public func setSampleBufferDelegate(
    _ sampleBufferDelegate: (any AVCaptureVideoDataOutputSampleBufferDelegate)?, queue: DispatchQueue?
  ) {
    (delegate, self.queue) = (sampleBufferDelegate, queue)
  }

  /// A camera delivers colours in this one format; Core Video raises an exception for others.
  var format: OSType { videoSettings[kCVPixelBufferPixelFormatTypeKey as String] as? OSType ?? 0 }

  func deliver(_ sample: CMSampleBuffer, _ depth: AVDepthData?, from connection: AVCaptureConnection) {
    if let synchronizer { return synchronizer.deliver(sample, depth) }
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

public class AVDepthData: NSObject {
  public enum Quality: Int, Sendable {
    case low, high
  }
  public let depthDataMap: CVPixelBuffer
  public let depthDataQuality: Quality
  public let cameraCalibrationData: AVCameraCalibrationData?
  init(_ depthDataMap: CVPixelBuffer, quality: Quality, calibration: AVCameraCalibrationData? = nil) {
    (self.depthDataMap, depthDataQuality, cameraCalibrationData) = (depthDataMap, quality, calibration)
  }

  /// The stub's files have a calibration and no depth.
  public convenience init(fromDictionaryRepresentation imageSourceAuxDataInfoDictionary: [AnyHashable: Any]) throws {
    guard let numbers = imageSourceAuxDataInfoDictionary[FakePhoto.calibrationKey] as? [Double],
      let nothing = CVBuffer(width: 1, height: 1, format: kCVPixelFormatType_DepthFloat32)
    else { throw AVError(.fileFormatNotRecognized) }
    self.init(nothing, quality: .low, calibration: AVCameraCalibrationData(numbers))
  }
}

public struct matrix_float3x3: Sendable {
  public var columns: (SIMD3<Float>, SIMD3<Float>, SIMD3<Float>)
}

public class AVCameraCalibrationData: NSObject {
  public let intrinsicMatrix: matrix_float3x3
  public let intrinsicMatrixReferenceDimensions: CGSize
  init(_ numbers: [Double]) {
    let axis = SIMD3(Float(numbers[2]), Float(numbers[3]), 1)
    intrinsicMatrix = matrix_float3x3(columns: (SIMD3(Float(numbers[0]), 0, 0), SIMD3(0, Float(numbers[1]), 0), axis))
    intrinsicMatrixReferenceDimensions = CGSize(width: numbers[4], height: numbers[5])
  }
}

public class AVCaptureDepthDataOutput: AVCaptureOutput {
  public override init() {}
  public var isFilteringEnabled = true
  public var alwaysDiscardsLateDepthData = true
}

public class AVCaptureSynchronizedData: NSObject {}

public class AVCaptureSynchronizedSampleBufferData: AVCaptureSynchronizedData {
  public let sampleBuffer: CMSampleBuffer
  public let sampleBufferWasDropped = false
  init(_ sampleBuffer: CMSampleBuffer) { self.sampleBuffer = sampleBuffer }
}

public class AVCaptureSynchronizedDepthData: AVCaptureSynchronizedData {
  public let depthData: AVDepthData
  public let depthDataWasDropped = false
  init(_ depthData: AVDepthData) { self.depthData = depthData }
}

public class AVCaptureSynchronizedDataCollection: NSObject {
  private let data: [(AVCaptureOutput, AVCaptureSynchronizedData)]
  init(_ data: [(AVCaptureOutput, AVCaptureSynchronizedData)]) { self.data = data }
  public func synchronizedData(for captureOutput: AVCaptureOutput) -> AVCaptureSynchronizedData? {
    data.first { $0.0 === captureOutput }?.1
  }
}

public protocol AVCaptureDataOutputSynchronizerDelegate: NSObjectProtocol {
  func dataOutputSynchronizer(
    _ synchronizer: AVCaptureDataOutputSynchronizer,
    didOutput synchronizedDataCollection: AVCaptureSynchronizedDataCollection)
}

/// Takes the place of its outputs' delegates.
public class AVCaptureDataOutputSynchronizer: NSObject {
  private let video: AVCaptureVideoDataOutput
  private let depth: AVCaptureDepthDataOutput
  private weak var delegate: (any AVCaptureDataOutputSynchronizerDelegate)?
  private var queue: DispatchQueue?
  private let lock = NSLock()
  private var isBusy = false

  /// The stub's takes one camera and one scanner.
  public init(dataOutputs: [AVCaptureOutput]) {
    guard let video = dataOutputs.first as? AVCaptureVideoDataOutput,
      let depth = dataOutputs.last as? AVCaptureDepthDataOutput, dataOutputs.count == 2
    else { fatalError("a camera and a scanner, in this order") }
    (self.video, self.depth) = (video, depth)
    super.init()
    video.synchronizer = self
  }

  public func setDelegate(_ delegate: (any AVCaptureDataOutputSynchronizerDelegate)?, queue: DispatchQueue?) {
    (self.delegate, self.queue) = (delegate, queue)
  }

  fileprivate func deliver(_ sample: CMSampleBuffer, _ measured: AVDepthData?) {
    let isLate = lock.withLock {
      defer { isBusy = true }
      return isBusy
    }
    if isLate { return }
    let data: [(AVCaptureOutput, AVCaptureSynchronizedData)] =
      [(video, AVCaptureSynchronizedSampleBufferData(sample))]
      + (measured.map { [(depth, AVCaptureSynchronizedDepthData($0))] } ?? [])
    let work = Delivery(synchronizer: self, data: AVCaptureSynchronizedDataCollection(data))
    queue?.async {
      work.synchronizer.delegate?.dataOutputSynchronizer(work.synchronizer, didOutput: work.data)
      work.synchronizer.lock.withLock { work.synchronizer.isBusy = false }
    }
  }

  private struct Delivery: @unchecked Sendable {
    let synchronizer: AVCaptureDataOutputSynchronizer
    let data: AVCaptureSynchronizedDataCollection
  }
}

public struct AVError: Error {
  public enum Code: Int, Sendable {
    case mediaServicesWereReset = -11819
    case fileFormatNotRecognized = -11828
    case decodeFailed = -11821
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
    public static let inputPriority = Preset(name: "AVCaptureSessionPresetInputPriority")
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
  fileprivate private(set) var depthOutput: AVCaptureDepthDataOutput?
  private(set) var connection = AVCaptureConnection()
  /// Depth stays as the sensor lies, unless it is asked for otherwise.
  let depthConnection = AVCaptureConnection()

  public override init() {
    super.init()
    FakeCamera.shared.session = self
  }

  public func canSetSessionPreset(_ preset: Preset) -> Bool { true }
  public func canAddInput(_ input: AVCaptureInput) -> Bool { inputs.isEmpty }
  public var outputs: [AVCaptureOutput] { [output, depthOutput].compactMap { $0 } }
  public func canAddOutput(_ output: AVCaptureOutput) -> Bool {
    let hasDepth = (inputs.first as? AVCaptureDeviceInput)?.device.deviceType == .builtInLiDARDepthCamera
    return output is AVCaptureDepthDataOutput ? hasDepth && depthOutput == nil : self.output == nil
  }
  public func addInput(_ input: AVCaptureInput) { inputs.append(input) }
  public func removeInput(_ input: AVCaptureInput) { inputs.removeAll { $0 === input } }
  public func addOutput(_ output: AVCaptureOutput) {
    if let depth = output as? AVCaptureDepthDataOutput {
      depthOutput = depth
      output.connected = depthConnection
    } else {
      self.output = output as? AVCaptureVideoDataOutput
      connection = AVCaptureConnection()
      output.connected = connection
    }
  }
  public func removeOutput(_ output: AVCaptureOutput) {
    if output === depthOutput { depthOutput = nil }
    if output === self.output { self.output = nil }
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
  /// Whether there is a LiDAR scanner.
  package var hasScanner = false
  /// What the scanner says of its depth.
  package var isSure = true
  package var isInterrupted = false
  /// Focal lengths in pixels of the images as they are delivered; nil for a camera that doesn't tell.
  package var intrinsics: SIMD2<Float>? = SIMD2(repeating: 48)
  /// The lenses that there are, each with how many times as long its focal length is.
  package var lenses: [AVCaptureDevice.DeviceType: Float] = [.builtInWideAngleCamera: 1]
  /// What the phone's position asks for.
  package var levelAngle: CGFloat = 90
  package fileprivate(set) weak var session: AVCaptureSession?
  private let lock = NSLock()
  private var starts = 0

  package var startCount: Int { lock.withLock { starts } }
  /// Whether the app works on an image that was delivered.
  package var isBusy: Bool { session?.output?.hasWork == true }
  package var rotationAngle: CGFloat? { session?.connection.videoRotationAngle }

  fileprivate func started() { lock.withLock { starts += 1 } }

  /// As if newly made, with a phone held upright.
  package func reset() {
    (exists, isAllowed, isInterrupted, levelAngle, intrinsics) = (true, true, false, 90, SIMD2(repeating: 48))
    (hasScanner, isSure, lenses) = (false, true, [.builtInWideAngleCamera: 1])
    lock.withLock { starts = 0 }
  }

  /// Delivers a picture that a sensor of this size takes, if the session runs.
  ///
  /// - Parameters:
  ///   - depth: in metres, of a point in the scene, if a scanner measures it: a quarter as many pixels along each side.
  ///   - scene: colour, 0 to 255, of a point in the scene, from the left and from above, in shares of what the sensor sees when
  ///     the phone is held as `levelAngle` says.
  package func deliver(
    width: Int, height: Int, seconds: Double = 0, depth: ((Double, Double) -> Float)? = nil,
    scene: (Double, Double) -> SIMD3<Double>
  ) {
    guard let session, session.isRunning, let output = session.output else { return }
    guard output.format == kCVPixelFormatType_32BGRA else { fatalError("the camera has no pixel format \(output.format)") }
    let picture = look(width, height, output.format, session.connection) { buffer, x, y, point in
      buffer[colour: x, y] = SIMD4(scene(point.0, point.1), 255)
    }
    guard let picture else { return }
    var attachments: [String: Data] = [:]
    if session.delivers, let intrinsics {
      let lens = (session.inputs.first as? AVCaptureDeviceInput).flatMap { lenses[$0.device.deviceType] } ?? 1
      let axis = (Float(CVPixelBufferGetWidth(picture)) / 2, Float(CVPixelBufferGetHeight(picture)) / 2)
      let columns: [Float] = [intrinsics.x * lens, 0, 0, 0, 0, intrinsics.y * lens, 0, 0, axis.0, axis.1, 1, 0]
      attachments[kCMSampleBufferAttachmentKey_CameraIntrinsicMatrix] = columns.withUnsafeBytes { Data($0) }
    }
    let sample = CMSampleBuffer(image: picture, time: CMTime(seconds: seconds), attachments: attachments)
    output.deliver(sample, measured(width / 4, height / 4, depth), from: session.connection)
  }

  private func measured(_ width: Int, _ height: Int, _ depth: ((Double, Double) -> Float)?) -> AVDepthData? {
    guard let depth, let session, let output = session.depthOutput,
      let device = (session.inputs.first as? AVCaptureDeviceInput)?.device,
      let format = device.activeDepthDataFormat?.formatDescription.mediaSubType.rawValue
    else { return nil }
    return look(width, height, format, session.depthConnection) { buffer, x, y, point in
      // Filtering fills what the scanner is not sure of.
      let metres = depth(point.0, point.1)
      buffer[depth: x, y] = metres.isNaN && output.isFilteringEnabled ? 1 : metres
    }.map { AVDepthData($0, quality: isSure ? .high : .low) }
  }

  /// What a sensor of this size sees, turned as a connection asks.
  private func look(
    _ width: Int, _ height: Int, _ format: OSType, _ connection: AVCaptureConnection,
    _ set: (CVBuffer, Int, Int, (Double, Double)) -> Void
  ) -> CVBuffer? {
    let angle = connection.videoRotationAngle
    let isTurned = angle == 90 || angle == 270
    guard let buffer = CVBuffer(width: isTurned ? height : width, height: isTurned ? width : height, format: format)
    else { return nil }
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
        set(buffer, x, y, point)
      }
    }
    return buffer
  }

  /// Tells the app what happened to the session.
  package func post(_ name: NSNotification.Name, _ information: [String: Any] = [:]) {
    NotificationCenter.default.post(name: name, object: session, userInfo: information)
  }

  /// The session stops by itself, as after a failure.
  package func halt() { session?.stopRunning() }
}

public class AVAsset: NSObject {}

/// A file that `FakeVideo` wrote.
public class AVURLAsset: AVAsset {
  private let url: URL
  public init(url URL: URL, options: [String: Any]? = nil) { url = URL }

  public func loadTracks(withMediaType mediaType: AVMediaType) async throws -> [AVAssetTrack] {
    guard let video = (try? Data(contentsOf: url)).flatMap({ try? JSONDecoder().decode(FakeVideo.self, from: $0) }) else {
      throw AVError(.fileFormatNotRecognized)
    }
    return mediaType == .video && video.hasPictures ? [AVAssetTrack(video)] : []
  }
}

public struct AVAsyncProperty<Root, T>: Sendable {}
extension AVAsyncProperty where Root == AVAssetTrack, T == CGAffineTransform {
  public static var preferredTransform: AVAsyncProperty { AVAsyncProperty() }
}

public class AVAssetTrack: NSObject {
  fileprivate let video: FakeVideo
  init(_ video: FakeVideo) { self.video = video }
  public func load(_ property: AVAsyncProperty<AVAssetTrack, CGAffineTransform>) async throws -> CGAffineTransform {
    CGAffineTransform(video.transform)
  }
}

public class AVAssetReaderOutput: NSObject {
  /// Only samples that are not copied are as fast as they can be.
  public var alwaysCopiesSampleData = true
  fileprivate var isStarted = false
  fileprivate var onEnd: () -> Void = {}
  public func copyNextSampleBuffer() -> CMSampleBuffer? { nil }
}

public class AVAssetReaderTrackOutput: AVAssetReaderOutput {
  private let video: FakeVideo
  private let format: OSType
  private var next = 0

  public init(track: AVAssetTrack, outputSettings: [String: Any]?) {
    video = track.video
    format = outputSettings?[kCVPixelBufferPixelFormatTypeKey as String] as? OSType ?? 0
  }

  /// As stored, whatever the track's transform.
  public override func copyNextSampleBuffer() -> CMSampleBuffer? {
    precondition(isStarted, "as AVFoundation: an exception")
    guard next < video.photos.count else {
      onEnd()
      return nil
    }
    defer { next += 1 }
    let photo = video.photos[next]
    guard let buffer = CVBuffer(width: photo.width, height: photo.height, format: format) else { return nil }
    for y in 0..<photo.height { for x in 0..<photo.width { buffer[colour: x, y] = photo.colour(x, y) } }
    return CMSampleBuffer(image: buffer, time: CMTime(seconds: video.seconds[next]))
  }
}

public class AVAssetReader: NSObject {
  public enum Status: Int, Sendable {
    case unknown, reading, completed, failed, cancelled
  }
  public private(set) var status = Status.unknown
  public private(set) var error: (any Error)?
  private let asset: AVAsset
  private var output: AVAssetReaderOutput?

  public init(asset: AVAsset) throws { self.asset = asset }
  public func canAdd(_ output: AVAssetReaderOutput) -> Bool { self.output == nil }
  public func add(_ output: AVAssetReaderOutput) { self.output = output }
  public func startReading() -> Bool {
    output?.isStarted = true
    status = .reading
    let breaks = FakeVideo.breaks
    output?.onEnd = { [unowned self] in
      (status, error) = breaks ? (.failed, AVError(.decodeFailed)) : (.completed, nil)
    }
    return output != nil
  }
}

/// A file with pictures of certain times, and the transform that makes them upright.
package struct FakeVideo: Codable {
  package var photos: [FakePhoto]
  package var seconds: [Double]
  package var transform: [Double] = [1, 0, 0, 1, 0, 0]
  /// As a file with sound alone.
  package var hasPictures = true

  package init(_ photos: [FakePhoto], seconds: [Double], transform: [Double] = [1, 0, 0, 1, 0, 0]) {
    (self.photos, self.seconds, self.transform) = (photos, seconds, transform)
  }

  /// Whether reading fails after the last picture.
  nonisolated(unsafe) package static var breaks = false
}
