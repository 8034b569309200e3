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
    #expect(report.plan?.rounds == 3)
    #expect(report.plan?.coolDown == 5)
    #expect(report.power?.map(\.level) == [0.8, nil])
    #expect(report.power?.first?.isLowPowerMode == true)
    #expect(report.results[0].operators?.map(\.unit) == [.neuralEngine, .cpu])
    #expect(report.results[0].loadKind == .cold)
    #expect(report.results[0].spans == .prediction)
  }

  @Test func aReportOfTheFirstVersionIsReadStill() throws {
    let report = try BenchmarkReport(json: Fixture.data("bench_device_v1.json"))
    #expect(report.schemaVersion == 1)
    #expect(report.results.count == 3)
    #expect(report.results[0].sampleTimes == nil)
    #expect(report.plan == nil)
    #expect(report.power == nil)
  }

  @Test func samplesStandInLinesForSpreadsheets() throws {
    let subject = BenchmarkSubject(model: #"a "b", c"#, backend: "coreml", device: "d")
    let result = try #require(
      BenchmarkResult(
        subject: subject, computeUnits: .all, mode: .isolated, samplesMS: [1.5, 2], loadMS: 1, peakMemoryBytes: nil,
        startedSeconds: 0, details: .init(sampleTimes: [0.25, 0.5])))
    let machine = Machine(processor: "p", cores: 1, system: "s", versions: [:])
    let report = BenchmarkReport(created: nil, machine: machine, results: [result], thermal: nil)
    let lines: [String] = report.csv().components(separatedBy: "\r\n")
    let expected: [String] = [
      "model,backend,device,compute_units,mode,sample,t_s,ms", #""a ""b"", c",coreml,d,all,isolated,1,0.25,1.5"#,
      #""a ""b"", c",coreml,d,all,isolated,2,0.5,2.0"#, "",
    ]
    #expect(lines == expected)
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

  @Test(arguments: ["bench_device.json", "bench_device_v1.json", "bench_host.json"])
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
    #expect("\(try #require(error))" == "the report has schema version 7, this reads versions 1 and 2")
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
