import AVFoundation
import CoreMedia
import CoreVideo
import DepthCore
import Foundation

/// The LiDAR scanner beside a camera. It sees what the camera sees, in maps of the same shape; the system gives images and maps of one
/// time together.
final class DepthSensor: NSObject, AVCaptureDataOutputSynchronizerDelegate {
  private let output = AVCaptureDepthDataOutput()
  private let video: AVCaptureVideoDataOutput
  private let synchronizer: AVCaptureDataOutputSynchronizer
  private let onImage: (CMSampleBuffer, AVCaptureConnection, DepthPlane?) -> Void

  /// The camera with a scanner; nil on a device that has none.
  static var device: AVCaptureDevice? {
    AVCaptureDevice.default(.builtInLiDARDepthCamera, for: .video, position: .back)
  }

  /// - Parameters:
  ///   - session: that has the device and `video` already, and is being configured.
  ///   - onImage: called on `queue` with each image, its connection, and in metres what the scanner is sure of.
  init(
    _ device: AVCaptureDevice, in session: AVCaptureSession, beside video: AVCaptureVideoDataOutput,
    queue: DispatchQueue, onImage: @escaping (CMSampleBuffer, AVCaptureConnection, DepthPlane?) -> Void
  ) throws {
    guard session.canAddOutput(output), let formats = DepthSensor.formats(of: device) else {
      throw CameraProblem.refused
    }
    session.addOutput(output)
    session.sessionPreset = .inputPriority
    try device.lockForConfiguration()
    device.activeFormat = formats.image
    device.activeDepthDataFormat = formats.depth
    device.unlockForConfiguration()
    // Filtered maps are without holes: what the scanner is not sure of would be made up.
    output.isFilteringEnabled = false
    output.alwaysDiscardsLateDepthData = true
    self.video = video
    self.onImage = onImage
    synchronizer = AVCaptureDataOutputSynchronizer(dataOutputs: [video, output])
    super.init()
    synchronizer.setDelegate(self, queue: queue)
  }

  /// The largest images up to 1920 pixels across that come with depth in metres, and the largest, then most precise of its maps.
  private static func formats(
    of device: AVCaptureDevice
  ) -> (image: AVCaptureDevice.Format, depth: AVCaptureDevice.Format)? {
    device.formats.compactMap { format in
      let depth = format.supportedDepthDataFormats
        .filter { scalarsInMetres.contains($0.formatDescription.mediaSubType.rawValue) }
        .max { rank($0) < rank($1) }
      return depth.map { (image: format, depth: $0) }
    }
    .filter { width($0.image) <= 1920 && !$0.image.isVideoBinned }
    .max { width($0.image) < width($1.image) }
  }

  /// From the less precise on.
  private static let scalarsInMetres = [kCVPixelFormatType_DepthFloat16, kCVPixelFormatType_DepthFloat32]

  private static func width(_ format: AVCaptureDevice.Format) -> Int32 { format.formatDescription.dimensions.width }

  private static func rank(_ format: AVCaptureDevice.Format) -> (Int32, Int) {
    let scalar = scalarsInMetres.firstIndex(of: format.formatDescription.mediaSubType.rawValue)
    return (width(format), scalar ?? -1)
  }

  func dataOutputSynchronizer(
    _ synchronizer: AVCaptureDataOutputSynchronizer,
    didOutput synchronizedDataCollection: AVCaptureSynchronizedDataCollection
  ) {
    let image = synchronizedDataCollection.synchronizedData(for: video) as? AVCaptureSynchronizedSampleBufferData
    guard let image, !image.sampleBufferWasDropped, let connection = video.connection(with: .video) else { return }
    let depth = synchronizedDataCollection.synchronizedData(for: output) as? AVCaptureSynchronizedDepthData
    onImage(image.sampleBuffer, connection, depth.flatMap { plane($0, as: connection) })
  }

  /// The map, turned as the connection turns its images; nil where the scanner was not sure of all of it.
  private func plane(_ depth: AVCaptureSynchronizedDepthData, as connection: AVCaptureConnection) -> DepthPlane? {
    guard !depth.depthDataWasDropped, depth.depthData.depthDataQuality == .high,
      let plane = try? DepthPlane(depth.depthData.depthDataMap)
    else { return nil }
    let own = output.connection(with: .depthData)?.videoRotationAngle ?? 0
    let angle = (Int(connection.videoRotationAngle) - Int(own) + 360) % 360
    return Rotation(rawValue: angle).map(plane.turned)
  }
}
