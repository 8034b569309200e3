import CoreGraphics
import DepthCore
import Foundation
import SwiftUI

/// Two models' depth of one image side by side, the image and the difference below; a tap reads all three at a point.
struct CompareView: View {
  let frame: LiveFrame
  let comparison: ComparedFrame
  @Binding var tapped: CGPoint?

  var body: some View {
    let readings = tapped.map { comparison.difference.readings(at: $0) }
    VStack(alignment: .leading, spacing: 8) {
      HStack(alignment: .top, spacing: 8) {
        pane(comparison.pictures?.first, readings?.first)
        pane(comparison.pictures?.second, readings?.second)
      }
      HStack(alignment: .top, spacing: 8) {
        pane(frame.photo, nil)
        pane(comparison.pictures?.difference, readings?.difference)
      }
      DifferenceLegend()
      ForEach(comparison.lines(beside: frame.figures), id: \.self) { Text($0) }
        .font(.caption.monospacedDigit())
    }
    .accessibilityElement(children: .ignore)
    .accessibilityLabel("Two models compared")
    .accessibilityValue(comparison.difference.lines[0])
  }

  private func pane(_ picture: CGImage?, _ reading: String?) -> some View {
    GeometryReader { space in
      ZStack(alignment: .topLeading) {
        if let picture { Image(decorative: picture, scale: 1).resizable() }
        if let tapped, let reading {
          Text(reading)
            .font(.caption.monospacedDigit())
            .padding(6)
            .background(.ultraThinMaterial, in: Capsule())
            .position(x: tapped.x * space.size.width, y: tapped.y * space.size.height)
        }
      }
      .contentShape(Rectangle())
      .onTapGesture { location in
        tapped = CGPoint(x: location.x / space.size.width, y: location.y / space.size.height)
      }
    }
    .aspectRatio(frame.aspect, contentMode: .fit)
  }
}

/// The colours of differences.
private struct DifferenceLegend: View {
  var body: some View {
    HStack(spacing: 8) {
      Text("B nearer \(DepthDifference.percent(DepthDifference.range.near))")
      if let colours = colourBar(.difference) { Image(decorative: colours, scale: 1).resizable().frame(height: 10) }
      Text("\(DepthDifference.percent(DepthDifference.range.far)) farther")
    }
    .font(.caption.monospacedDigit())
  }
}

/// Which model the chosen one is compared with, and where that one runs.
struct CompareSettings: View {
  let models: [FoundModel]
  @Bindable var choice: ModelChoice

  var body: some View {
    Picker("Compare with", selection: $choice.selection) {
      Text("None").tag(FoundModel?.none)
      ForEach(models) { Text($0.name).tag(FoundModel?.some($0)) }
    }
    if choice.selection != nil {
      Picker("Compared on", selection: $choice.computeUnits) {
        ForEach(ComputeUnits.allCases, id: \.self) { Text($0.title).tag($0) }
      }
    }
  }
}
