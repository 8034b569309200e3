import CoreVideo
import Foundation

public struct CMTime: Sendable {
  package let seconds: Double
  package init(seconds: Double) { self.seconds = seconds }
}

public class CMFormatDescription {
  public struct MediaSubType: Hashable, Sendable {
    public let rawValue: OSType
  }
  public struct Dimensions: Sendable {
    public let width: Int32
    public let height: Int32
  }
  public let mediaSubType: MediaSubType
  public let dimensions: Dimensions
  package init(mediaSubType: OSType, width: Int32, height: Int32) {
    self.mediaSubType = MediaSubType(rawValue: mediaSubType)
    dimensions = Dimensions(width: width, height: height)
  }
}

public class CMClock {
  nonisolated(unsafe) package static var seconds = 0.0
  package init() {}
}

public class CMSampleBuffer {
  let image: CVImageBuffer
  let time: CMTime

  let attachments: [String: Data]

  package init(image: CVImageBuffer, time: CMTime, attachments: [String: Data] = [:]) {
    (self.image, self.time, self.attachments) = (image, time, attachments)
  }
}

public func CMTimeSubtract(_ lhs: CMTime, _ rhs: CMTime) -> CMTime { CMTime(seconds: lhs.seconds - rhs.seconds) }
public func CMTimeGetSeconds(_ time: CMTime) -> Float64 { time.seconds }
public func CMClockGetTime(_ clock: CMClock) -> CMTime { CMTime(seconds: CMClock.seconds) }
public func CMSampleBufferGetImageBuffer(_ sbuf: CMSampleBuffer) -> CVImageBuffer? { sbuf.image }
public func CMSampleBufferGetPresentationTimeStamp(_ sbuf: CMSampleBuffer) -> CMTime { sbuf.time }
public var kCMSampleBufferAttachmentKey_CameraIntrinsicMatrix: CFString { "CameraIntrinsicMatrix" }
public func CMGetAttachment(
  _ target: CMSampleBuffer, key: CFString, attachmentModeOut: UnsafeMutablePointer<UInt32>?
) -> AnyObject? { target.attachments[key].map { $0 as NSData } }

public typealias Float64 = Double
