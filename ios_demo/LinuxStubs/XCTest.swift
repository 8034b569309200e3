@_exported import Foundation

open class XCTestCase: NSObject {
  open func setUp() async throws {}
  public func measure(metrics: [any XCTMetric], block: () -> Void) {}
  public func measure(metrics: [any XCTMetric], options: XCTMeasureOptions, block: () -> Void) {}
}

public protocol XCTMetric: NSObjectProtocol {}
public class XCTClockMetric: NSObject, XCTMetric { public override init() {} }
public class XCTMemoryMetric: NSObject, XCTMetric { public override init() {} }
public class XCTMeasureOptions: NSObject {
  public override init() {}
  public var iterationCount = 5
}

public struct XCTSkip: Error {
  public init(_ message: @autoclosure () -> String? = nil) {}
}
public func XCTUnwrap<T>(_ expression: @autoclosure () throws -> T?) throws -> T { fatalError() }
public func XCTAssertEqual<T: Equatable>(_ first: @autoclosure () throws -> T, _ second: @autoclosure () throws -> T) {}
public func XCTAssertThrowsError<T>(_ expression: @autoclosure () throws -> T) {}
