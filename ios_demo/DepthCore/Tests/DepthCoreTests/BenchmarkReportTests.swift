import Foundation
import Testing

@testable import DepthCore

struct BenchmarkReportTests {
  @Test func aReportOfTheAppIsReadWhole() throws {
    let report = try BenchmarkReport(json: Fixture.data("bench_device.json"))
    #expect(report.created == Date(timeIntervalSince1970: 1_767_323_045))
    #expect(report.machine.processor == "made-up")
    #expect(report.results.map(\.computeUnits) == [.all, .cpuOnly, .cpuAndNeuralEngine])
    #expect(report.results.map(\.mode) == [.isolated, .isolated, .live])
    #expect(report.results[0].samplesMS.count == 12)
    #expect(report.results[2].startedSeconds == 42.125)
    #expect(report.thermal?.map(\.state) == [.nominal, .fair, .fair])
    #expect(report.thermal?[1].seconds == 31.25)
  }

  @Test func aReportOfTheCommandLineIsReadWhole() throws {
    let report = try BenchmarkReport(json: Fixture.data("bench_host.json"))
    #expect(report.created == nil)
    #expect(report.thermal == nil)
    #expect(report.machine.threads == 2)
    #expect(report.machine.load1Min == 0.25)
    let result = try #require(report.results.first)
    #expect(result.mode == nil)
    #expect(LatencyStats(samplesMS: result.samplesMS)?.p95 == result.p95MS)
  }

  @Test(arguments: ["bench_device.json", "bench_host.json"])
  func whatIsWrittenIsWhatWasRead(name: String) throws {
    let original = try Fixture.data(name)
    let written = try BenchmarkReport(json: original).json()
    #expect(try BenchmarkReport(json: written) == BenchmarkReport(json: original))
    // Compared as any JSON: a key that the types forget would be missing in what was written.
    let decoder = JSONDecoder()
    let before = try decoder.decode(JSONValue.self, from: original)
    let after = try decoder.decode(JSONValue.self, from: written)
    #expect(before == after)
  }

  @Test func anotherSchemaVersionIsRefusedByNumber() throws {
    let error = thrown({ try BenchmarkReport(json: Data(#"{"schema_version": 7, "results": 1}"#.utf8)) })
    #expect("\(try #require(error))" == "the report has schema version 7, this reads version 1")
  }

  @Test func aResultCarriesTheStatisticsOfItsSamples() throws {
    let subject = BenchmarkSubject(model: "m", backend: "b", device: "d")
    let result = try #require(
      BenchmarkResult(
        subject: subject, computeUnits: .cpuOnly, mode: .live, samplesMS: [1, 2, 4], loadMS: 5, peakMemoryBytes: nil,
        startedSeconds: 0))
    #expect(result.medianMS == 2)
    #expect(result.fps == 500)
    let object = try JSONDecoder().decode([String: JSONValue].self, from: JSONEncoder().encode(result))
    #expect(object["peak_memory_bytes"] == nil)
    #expect(object["compute_units"] == .string("cpuOnly"))
  }

  private func thrown(_ body: () throws -> some Any) -> (any Error)? {
    do {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }
}
