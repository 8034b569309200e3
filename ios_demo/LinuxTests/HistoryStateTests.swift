import DepthCore
import Foundation
import XCTest

@testable import DepthDemo

final class HistoryStateTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  private func names() throws -> [String] {
    let folder = try documentsFolder().appendingPathComponent(HistoryState.folder)
    return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  /// Measures one sample on the CPU alone.
  @MainActor private func measure() async throws -> BenchmarkState {
    try Package().write()
    let live = LiveState()
    await live.start()
    await live.waitUntilOpened()
    let benchmark = BenchmarkState(live: live)
    (benchmark.warmUp, benchmark.runs, benchmark.rounds, benchmark.coolDown) = (0, 1, 1, 0)
    for units in ComputeUnits.allCases { benchmark[isPlanned: units] = units == .cpuOnly }
    benchmark.start()
    try await eventually { !benchmark.isRunning }
    XCTAssertNil(benchmark.problem)
    await live.pause()
    return benchmark
  }

  @MainActor func testWhatWasMeasuredIsInTheHistory() async throws {
    let benchmark = try await measure()
    let history = HistoryState()
    await history.refresh()
    XCTAssertNil(history.problem)
    let entry = try XCTUnwrap(history.entries.first)
    XCTAssertEqual(history.entries.count, 1)
    XCTAssertEqual(entry.report?.results, benchmark.report?.results)
    XCTAssertEqual(entry.file.lastPathComponent, benchmark.file?.lastPathComponent)
    XCTAssertTrue(entry.title != entry.file.lastPathComponent)
    let median = try XCTUnwrap(benchmark.report?.results.first?.medianMS)
    XCTAssertEqual(entry.lines.count, 3)
    XCTAssertTrue(entry.lines[0].hasPrefix("Fix, iOS "))
    XCTAssertEqual(entry.lines[1], String(format: "Fake, vision, CPU: median %.2f ms", median))
    XCTAssertEqual(entry.lines[2], "thermal nominal at most")
  }

  @MainActor func testADamagedFileIsListedAndDeleted() async throws {
    let benchmark = try await measure()
    let file = try XCTUnwrap(benchmark.file)
    let folder = file.deletingLastPathComponent()
    let whole = try Data(contentsOf: file)
    try whole.prefix(whole.count / 2).write(to: folder.appendingPathComponent("cut.json"))
    let history = HistoryState()
    await history.refresh()
    XCTAssertNil(history.problem)
    XCTAssertEqual(history.entries.map { $0.report == nil }, [false, true])
    let damaged = history.entries[1]
    XCTAssertEqual(damaged.title, "cut.json")
    XCTAssertEqual(damaged.lines.count, 1)
    XCTAssertTrue(damaged.lines[0].hasPrefix("unreadable: "))
    await history.delete(at: [1, 7])
    XCTAssertEqual(history.entries.map(\.file.lastPathComponent), [file.lastPathComponent])
    XCTAssertEqual(try names().count, 2)
    await history.delete(at: [0])
    XCTAssertTrue(history.entries.isEmpty && history.problem == nil)
    // The samples went with it.
    XCTAssertEqual(try names(), [])
  }

  @MainActor func testAFileThatIsGoneAlreadyIsSaid() async throws {
    let benchmark = try await measure()
    let history = HistoryState()
    await history.refresh()
    try FileManager.default.removeItem(at: XCTUnwrap(benchmark.file))
    await history.delete(at: [0])
    XCTAssertTrue(history.problem != nil && history.entries.isEmpty)
  }

  @MainActor func testBeforeTheFirstBenchmarkThereIsNone() async throws {
    let history = HistoryState()
    await history.refresh()
    XCTAssertTrue(history.entries.isEmpty && history.problem == nil)
  }
}
