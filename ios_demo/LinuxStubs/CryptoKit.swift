import Foundation

public struct SHA256Digest: Sequence, Sendable {
  public func makeIterator() -> Array<UInt8>.Iterator { fatalError() }
}

public struct SHA256: Sendable {
  public init() {}
  public mutating func update<D: DataProtocol>(data: D) {}
  public func finalize() -> SHA256Digest { fatalError() }
}
