import Foundation
import SwiftUI

/// Starts a measurement, shows its progress, cancels it.
struct MeasuringControls<Measuring: MeasuringState>: View {
  let state: Measuring

  var body: some View {
    if state.isRunning {
      ProgressView(state.progress ?? "")
      Button("Cancel", role: .cancel) { state.cancel() }
    } else {
      Button("Run") { state.start() }
    }
  }
}

/// Hands a file to another app.
struct ShareFile: View {
  let file: URL?

  var body: some View {
    if let file {
      ShareLink(item: file) { Label("Share \(file.lastPathComponent)", systemImage: "square.and.arrow.up") }
    }
  }
}
