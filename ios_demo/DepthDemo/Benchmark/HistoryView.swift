import DepthCore
import Foundation
import SwiftUI

/// Benchmarks of before: to look at, share and delete.
struct HistoryView: View {
  @State private var state = HistoryState()

  var body: some View {
    List {
      if let problem = state.problem { ProblemBanner(text: problem) }
      ForEach(state.entries) { EntryRow(entry: $0) }
        .onDelete { places in Task { await state.delete(at: places) } }
    }
    .navigationTitle("Earlier benchmarks")
    .task { await state.refresh() }
  }
}

/// One file.
private struct EntryRow: View {
  let entry: BenchmarkEntry

  var body: some View {
    VStack(alignment: .leading) {
      Text(entry.title)
      ForEach(entry.lines, id: \.self) { Text($0) }
        .font(.caption.monospacedDigit())
      ShareFile(file: entry.file)
    }
  }
}
