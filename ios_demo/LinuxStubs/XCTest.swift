@_exported import Foundation

open class XCTestCase: NSObject {
  public override required init() {}
  open func setUp() async throws {}
  public func measure(metrics: [any XCTMetric], block: () -> Void) { block() }
  public func measure(metrics: [any XCTMetric], options: XCTMeasureOptions, block: () -> Void) {
    for _ in 0..<options.iterationCount { block() }
  }
}

public protocol XCTMetric: NSObjectProtocol {}
public class XCTClockMetric: NSObject, XCTMetric { public override init() {} }
public class XCTMemoryMetric: NSObject, XCTMetric { public override init() {} }
public class XCTMeasureOptions: NSObject {
  public override init() {}
  public var iterationCount = 5
}

public struct XCTSkip: Error {
  let reason: String?
  public init(_ message: @autoclosure () -> String? = nil) { reason = message() }
}

struct NoValue: Error {}

public func XCTUnwrap<T>(
  _ expression: @autoclosure () throws -> T?, file: StaticString = #filePath, line: UInt = #line
) throws -> T {
  if let value = try expression() { return value }
  TestRun.shared.fail("there is no value", file, line)
  throw NoValue()
}

public func XCTAssertEqual<T: Equatable>(
  _ first: @autoclosure () throws -> T, _ second: @autoclosure () throws -> T, file: StaticString = #filePath,
  line: UInt = #line
) {
  check(file, line) {
    let (one, other) = (try first(), try second())
    return one == other ? nil : "\(one) is not \(other)"
  }
}

public func XCTAssertLessThan<T: Comparable>(
  _ first: @autoclosure () throws -> T, _ second: @autoclosure () throws -> T, file: StaticString = #filePath,
  line: UInt = #line
) {
  check(file, line) {
    let (one, other) = (try first(), try second())
    return one < other ? nil : "\(one) is not less than \(other)"
  }
}

public func XCTAssertTrue(
  _ expression: @autoclosure () throws -> Bool, file: StaticString = #filePath, line: UInt = #line
) {
  check(file, line) { try expression() ? nil : "it is not true" }
}

public func XCTAssertNil(
  _ expression: @autoclosure () throws -> Any?, file: StaticString = #filePath, line: UInt = #line
) {
  check(file, line) { try expression().map { "\($0) is not nil" } }
}

public func XCTAssertThrowsError<T>(
  _ expression: @autoclosure () throws -> T, file: StaticString = #filePath, line: UInt = #line
) {
  do { _ = try expression() } catch { return }
  TestRun.shared.fail("nothing was thrown", file, line)
}

private func check(_ file: StaticString, _ line: UInt, _ fault: () throws -> String?) {
  do {
    if let fault = try fault() { TestRun.shared.fail(fault, file, line) }
  } catch {
    TestRun.shared.fail("threw \(error)", file, line)
  }
}

/// Runs tests one after the other and counts what failed; with `FCRN_FIRST_FAILURE` set, up to the first.
package final class TestRun: @unchecked Sendable {
  package static let shared = TestRun()

  private let lock = NSLock()
  private var failures: [String] = []
  private var (passed, failed, skipped) = (0, 0, 0)

  func fail(_ reason: String, _ file: StaticString, _ line: UInt) {
    lock.withLock { failures.append("\(file):\(line): \(reason)") }
  }

  /// A test that hangs ends the process.
  package func run(_ name: String, _ test: @Sendable () async throws -> Void) async {
    let deadline = Task.detached {
      if (try? await Task.sleep(for: .seconds(60))) != nil {
        print("failed: \(name): it does not end")
        exit(1)
      }
    }
    defer { deadline.cancel() }
    lock.withLock { failures = [] }
    do {
      try await test()
    } catch let skip as XCTSkip {
      skipped += 1
      print("skipped: \(name): \(skip.reason ?? "no reason given")")
      return
    } catch {
      lock.withLock { failures.append("threw \(error)") }
    }
    let faults = lock.withLock { failures }
    for fault in faults { print("failed: \(name): \(fault)") }
    if faults.isEmpty { passed += 1 } else { failed += 1 }
    if failed > 0, ProcessInfo.processInfo.environment["FCRN_FIRST_FAILURE"] != nil { end() }
  }

  /// Prints a summary and ends the process: 0 if all passed.
  package func end() -> Never {
    print("\(passed) passed, \(failed) failed, \(skipped) skipped")
    exit(failed == 0 && passed > 0 ? 0 : 1)
  }
}
