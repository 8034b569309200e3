import DepthCore
import Foundation
import SwiftUI

/// Compares a model's outputs on this device with those of its package on the host, shows and shares how far they are apart.
struct FidelityView: View {
  let state: FidelityState

  var body: some View {
    NavigationStack {
      Form {
        if let problem = state.problem { ProblemBanner(text: problem) }
        Section("Outputs here beside the host's") {
          LabeledContent("Model", value: state.subject)
          MeasuringControls(state: state)
        }
        if let report = state.report { results(report) }
      }
      .navigationTitle("Fidelity")
    }
  }

  private func results(_ report: FidelityReport) -> some View {
    Section("Results") {
      ForEach(report.results, id: \.title) { FidelityRow(result: $0) }
      ShareFile(file: state.file)
    }
  }
}

extension FidelityResult {
  /// For people.
  fileprivate var title: String { "\(computeUnits.title), host in \(host)" }
}

/// One line of results.
private struct FidelityRow: View {
  let result: FidelityResult

  var body: some View {
    VStack(alignment: .leading) {
      LabeledContent(result.title, value: result.absRel.map { String(format: "abs_rel %.5f", $0) } ?? "no number")
      Text(
        [
          result.psnrDB.map { String(format: "%.1f dB", $0) },
          result.maxAbs.map { String(format: "at most %.4f apart", $0) },
          result.firstDifference.map { "differs from \($0) on" } ?? "no frame differs",
        ].compactMap { $0 }.joined(separator: ", ")
      )
      .font(.caption.monospacedDigit())
    }
  }
}
