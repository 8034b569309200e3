import DepthCore
import Foundation
import SwiftUI

/// How the live picture is shown.
enum LiveLayout: String, CaseIterable, Identifiable {
  case photo = "RGB"
  case depth = "Depth"
  case split = "Split"

  var id: Self { self }
}

/// Camera and depth map, with figures over it and settings below.
struct LiveView: View {
  @Bindable var state: LiveState
  @State private var layout = LiveLayout.split
  @State private var tapped: CGPoint?

  var body: some View {
    VStack(spacing: 12) {
      if let problem = state.problem { ProblemBanner(text: problem) }
      picture
      Picker("View", selection: $layout) {
        ForEach(LiveLayout.allCases) { Text($0.rawValue).tag($0) }
      }
      .pickerStyle(.segmented)
      settings.disabled(state.isMeasured)
    }
    .padding()
  }

  @ViewBuilder private var picture: some View {
    if let frame = state.frame {
      LivePicture(frame: frame, layout: layout, tapped: $tapped)
        .overlay(alignment: .topLeading) { HUD(figures: frame.figures) }
    } else if state.isPaused {
      ContentUnavailableView(
        "Paused", systemImage: "stopwatch", description: Text("The benchmark has the device to itself."))
    } else if state.models.isEmpty {
      ContentUnavailableView(
        "No model", systemImage: "shippingbox",
        description: Text("Put an .mlpackage of fcrn-mobile into this app's folder in Files, or into Models/ in Xcode.")
      )
    } else if state.isOpening {
      ProgressView("Preparing the model").frame(maxWidth: .infinity, maxHeight: .infinity)
    } else {
      ContentUnavailableView("No picture", systemImage: "camera", description: Text("Waiting for the camera."))
    }
  }

  private var settings: some View {
    VStack {
      Picker("Model", selection: $state.selection) {
        if state.selection == nil { Text("None").tag(FoundModel?.none) }
        ForEach(state.models) { Text($0.name).tag(FoundModel?.some($0)) }
      }
      Picker("Compute units", selection: $state.computeUnits) {
        ForEach(ComputeUnits.allCases, id: \.self) { Text($0.title).tag($0) }
      }
      Picker("Through", selection: $state.path) {
        ForEach(InferencePath.allCases) { Text($0.title).tag($0) }
      }
      .pickerStyle(.segmented)
    }
  }
}

/// Photo and depth of one frame in the same place; a tap reads the depth there.
private struct LivePicture: View {
  let frame: LiveFrame
  let layout: LiveLayout
  @Binding var tapped: CGPoint?

  var body: some View {
    GeometryReader { space in
      ZStack(alignment: .topLeading) {
        if layout != .depth { image(frame.photo) }
        if layout != .photo {
          image(frame.depthPicture)
            .mask(alignment: .trailing) {
              Rectangle().frame(width: layout == .split ? space.size.width / 2 : space.size.width)
            }
        }
        if let tapped { marker(at: tapped, in: space.size) }
      }
      .contentShape(Rectangle())
      .onTapGesture { location in
        tapped = CGPoint(x: location.x / space.size.width, y: location.y / space.size.height)
      }
    }
    .aspectRatio(CGFloat(frame.depth.width) / CGFloat(frame.depth.height), contentMode: .fit)
    .accessibilityElement(children: .ignore)
    .accessibilityLabel("Live depth")
    .accessibilityValue("\(distance(at: CGPoint(x: 0.5, y: 0.5))) ahead")
  }

  private func image(_ picture: CGImage) -> some View {
    Image(decorative: picture, scale: 1).resizable()
  }

  private func marker(at share: CGPoint, in size: CGSize) -> some View {
    Text(distance(at: share))
      .font(.caption.monospacedDigit())
      .padding(6)
      .background(.ultraThinMaterial, in: Capsule())
      .position(x: share.x * size.width, y: share.y * size.height)
  }

  /// - Parameter share: of the picture's width and height.
  private func distance(at share: CGPoint) -> String {
    let depth = frame.depth
    return frame.figures.unit.text(
      depth.depth(at: CGPoint(x: share.x * CGFloat(depth.width), y: share.y * CGFloat(depth.height))))
  }
}

/// Speed, temperature and range of the live picture.
private struct HUD: View {
  let figures: LiveFigures

  var body: some View {
    VStack(alignment: .leading, spacing: 2) {
      ForEach(figures.lines, id: \.self) { Text($0) }
    }
    .font(.caption2.monospacedDigit())
    .padding(8)
    .background(.ultraThinMaterial, in: RoundedRectangle(cornerRadius: 8))
    .padding(8)
    .accessibilityElement(children: .combine)
  }
}

/// Something went wrong, in words.
struct ProblemBanner: View {
  let text: String

  var body: some View {
    Label(text, systemImage: "exclamationmark.triangle")
      .font(.callout)
      .padding(10)
      .frame(maxWidth: .infinity, alignment: .leading)
      .background(Color.orange.opacity(0.2), in: RoundedRectangle(cornerRadius: 8))
  }
}
