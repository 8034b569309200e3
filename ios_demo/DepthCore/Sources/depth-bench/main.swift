// Writes a report as the app does, of a predictor that only computes square roots: what `fcrn-mobile bench --import` is tried with
// where there is no device.
//
//     swift run depth-bench [RUNS]

import DepthCore
import Foundation

/// A little work.
struct Roots: DepthPredicting {
  func predict() throws {
    let sum = (1...2_000).reduce(0.0) { $0 + Double($1).squareRoot() }
    guard sum > 0 else { throw CocoaError(.featureUnsupported) }
  }
}

func benchmark() throws -> BenchmarkReport {
  let runs = CommandLine.arguments.dropFirst().first.map { Int($0) ?? 0 } ?? 30
  let plan = try BenchmarkPlan(warmUp: 3, runs: runs, computeUnits: [.cpuOnly])
  let subject = BenchmarkSubject(model: "square-roots", backend: "depth-bench", device: "no device")
  // No thermal state is read here, so none is reported.
  let sensors = BenchmarkSensors(thermalState: { .nominal }, memoryBytes: { nil })
  let created = Date()
  let results = try BenchmarkRunner(plan: plan, subject: subject, sensors: sensors).run(load: { _ in Roots() }).results
  let information = ProcessInfo.processInfo
  let machine = Machine(
    processor: "not read", cores: information.processorCount, system: information.operatingSystemVersionString,
    versions: ["depth-bench": "1"])
  return BenchmarkReport(created: created, machine: machine, results: results, thermal: nil, plan: PlanRecord(plan))
}

do {
  FileHandle.standardOutput.write(try benchmark().json() + Data("\n".utf8))
} catch {
  FileHandle.standardError.write(Data("depth-bench: \(error)\n".utf8))
  exit(2)
}
