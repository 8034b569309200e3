import CoreVideo
import Foundation

public struct CMTime: Sendable {
  package let seconds: Double
  package init(seconds: Double) { self.seconds = seconds }
}

public class CMClock {
  nonisolated(unsafe) package static var seconds = 0.0
  package init() {}
}

public class CMSampleBuffer {
  let image: CVImageBuffer
  let time: CMTime

  package init(image: CVImageBuffer, time: CMTime) { (self.image, self.time) = (image, time) }
}

public func CMTimeSubtract(_ lhs: CMTime, _ rhs: CMTime) -> CMTime { CMTime(seconds: lhs.seconds - rhs.seconds) }
public func CMTimeGetSeconds(_ time: CMTime) -> Float64 { time.seconds }
public func CMClockGetTime(_ clock: CMClock) -> CMTime { CMTime(seconds: CMClock.seconds) }
public func CMSampleBufferGetImageBuffer(_ sbuf: CMSampleBuffer) -> CVImageBuffer? { sbuf.image }
public func CMSampleBufferGetPresentationTimeStamp(_ sbuf: CMSampleBuffer) -> CMTime { sbuf.time }

public typealias Float64 = Double
