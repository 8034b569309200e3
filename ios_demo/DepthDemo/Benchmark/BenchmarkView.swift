import DepthCore
import Foundation
import SwiftUI

/// Sets up a benchmark, runs it, shows and shares its results.
struct BenchmarkView: View {
  @Bindable var state: BenchmarkState

  var body: some View {
    NavigationStack {
      Form {
        if let problem = state.problem { ProblemBanner(text: problem) }
        plan.disabled(state.isRunning)
        run
        if let report = state.report { results(report) }
      }
      .navigationTitle("Benchmark")
    }
  }

  private var plan: some View {
    Section("Plan") {
      LabeledContent("Model", value: state.subject)
      Picker("Measure", selection: $state.kind) {
        ForEach(BenchmarkKind.allCases) { Text($0.rawValue).tag($0) }
      }
      ForEach(ComputeUnits.allCases, id: \.self) { units in
        Toggle(units.title, isOn: $state[isPlanned: units])
      }
      Stepper("\(state.warmUp) warm-up", value: $state.warmUp, in: 0...100, step: 5)
      if state.kind == .soak {
        Stepper("\(state.soak) minutes", value: $state.soak, in: 1...60)
      } else {
        Stepper("\(state.runs) runs", value: $state.runs, in: 10...1000, step: 10)
      }
      if state.kind == .still { Stepper("\(state.rounds) rounds", value: $state.rounds, in: 1...10) }
      Stepper(
        "\(state.coolDown.formatted()) s to cool down between", value: $state.coolDown, in: 0...120, step: 5)
    }
  }

  private var run: some View {
    Section {
      MeasuringControls(state: state)
      NavigationLink("Earlier benchmarks") { HistoryView() }
    }
  }

  private func results(_ report: BenchmarkReport) -> some View {
    Section("Results") {
      ForEach(report.results, id: \.computeUnits) { ResultRow(result: $0) }
      if let states = report.thermal?.map(\.state.rawValue) {
        LabeledContent("Thermal", value: states.joined(separator: ", "))
      }
      ShareFile(file: state.file)
    }
  }
}

/// One line of results.
private struct ResultRow: View {
  let result: BenchmarkResult

  var body: some View {
    VStack(alignment: .leading) {
      LabeledContent(result.computeUnits.title, value: String(format: "%.1f FPS", result.fps))
      Text(
        String(
          format: "median %.2f ms, p95 %.2f, p99 %.2f, loaded in %.0f ms", result.medianMS, result.p95MS, result.p99MS,
          result.loadMS)
      )
      .font(.caption.monospacedDigit())
    }
  }
}
