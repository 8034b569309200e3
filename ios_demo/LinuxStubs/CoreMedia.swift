import CoreVideo
import Foundation

public struct CMTime: Sendable {}
public class CMClock {}
public class CMSampleBuffer {}

public func CMTimeSubtract(_ lhs: CMTime, _ rhs: CMTime) -> CMTime { fatalError() }
public func CMTimeGetSeconds(_ time: CMTime) -> Float64 { fatalError() }
public func CMClockGetTime(_ clock: CMClock) -> CMTime { fatalError() }
public func CMSampleBufferGetImageBuffer(_ sbuf: CMSampleBuffer) -> CVImageBuffer? { fatalError() }
public func CMSampleBufferGetPresentationTimeStamp(_ sbuf: CMSampleBuffer) -> CMTime { fatalError() }

public typealias Float64 = Double
