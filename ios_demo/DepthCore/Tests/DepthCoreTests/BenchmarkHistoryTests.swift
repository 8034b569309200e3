import Foundation
import Testing

@testable import DepthCore

struct BenchmarkHistoryTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("history-\(UUID())")

  private func write(_ content: Data, _ name: String) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try content.write(to: folder.appendingPathComponent(name))
  }

  private func device(_ change: (String, String)...) throws -> Data {
    var text = try #require(String(data: Fixture.data("bench_device.json"), encoding: .utf8))
    for (old, new) in change {
      #expect(text.contains(old))
      text = text.replacingOccurrences(of: old, with: new)
    }
    return Data(text.utf8)
  }

  @Test func theNewestComesFirst() throws {
    try write(device(), "b.json")
    try write(device(("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z")), "a.json")
    try write(Fixture.data("bench_device_v1.json"), "c.json")
    try write(Fixture.data("bench_host.json"), "0.json")
    try write(Data("x".utf8), "a.csv")
    let entries = try BenchmarkHistory(folder: folder).entries()
    #expect(entries.map(\.file.lastPathComponent) == ["a.json", "b.json", "c.json", "0.json"])
    #expect(entries.allSatisfy { $0.problem == nil && $0.report != nil })
    #expect(entries[1].report?.measuredOn == "made-up figures, example 17.4")
    #expect(entries.map { $0.report?.hottest } == [.fair, .fair, .fair, nil])
  }

  @Test func whatIsDamagedIsListedWithTheReason() throws {
    let whole = try device()
    try write(whole, "whole.json")
    try write(whole.prefix(whole.count / 2), "cut.json")
    try write(Data(), "empty.json")
    try write(Data([0xff, 0xfe, 0]), "bytes.json")
    try write(Data("[]".utf8), "list.json")
    try write(device(("\"schema_version\": 2", "\"schema_version\": 3")), "later.json")
    let machine = #""machine":{"processor":"p","cores":1,"system":"s","versions":{}}"#
    try write(Data("{\"schema_version\":2,\(machine),\"results\":[]}".utf8), "nothing.json")
    try write(device((#""sample_times_s": ["#, #""sample_times_s": [0.5,"#)), "times.json")
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("folder.json"), withIntermediateDirectories: true)
    let entries = try BenchmarkHistory(folder: folder).entries()
    #expect(
      entries.map(\.file.lastPathComponent) == [
        "whole.json", "bytes.json", "cut.json", "empty.json", "folder.json", "later.json", "list.json", "nothing.json",
        "times.json",
      ])
    #expect(entries.dropFirst().allSatisfy { $0.report == nil && $0.problem?.isEmpty == false })
    #expect(entries[5].problem == "the report has schema version 3, this reads versions 1 and 2")
    #expect(entries[7].problem == "the report has no results")
    #expect(entries[8].problem == "the report has not as many sample_times_s as samples_ms of fcrn-fp16")
  }

  @Test func aReportIsDeletedWithItsSamples() throws {
    try write(device(), "a.json")
    try write(Data("x".utf8), "a.csv")
    try write(Data("{".utf8), "b.json")
    let history = BenchmarkHistory(folder: folder)
    let entries = try history.entries()
    for entry in entries { try history.delete(entry) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    #expect(throws: (any Error).self) { try history.delete(entries[0]) }
  }

  @Test func aFolderThatIsNotThereIsEmpty() throws {
    #expect(try BenchmarkHistory(folder: folder).entries().isEmpty)
  }

  @Test func statesOfHeatHaveAnOrder() {
    #expect(ThermalState.allCases.sorted() == [.nominal, .fair, .serious, .critical])
    #expect(ThermalState.allCases.reversed().max() == .critical)
  }
}
