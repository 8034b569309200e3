import DepthCore
import Foundation
import PhotosUI
import SwiftUI
import UIKit

/// Camera and depth map, with figures over it and settings below, or beside it where there is little height.
///
/// What changes with every frame, and what doesn't, are views of their own: 30 frames a second don't build menus anew.
struct LiveView: View {
  let state: LiveState
  @Environment(\.verticalSizeClass) private var height
  @Environment(\.dynamicTypeSize) private var typeSize

  var body: some View {
    if height == .compact {
      HStack(alignment: .top, spacing: 12) {
        LivePane(state: state)
        ScrollView {
          VStack(spacing: 12) {
            LiveProblem(state: state)
            LiveSettings(state: state)
          }
        }
        .frame(maxWidth: 320)
      }
      .padding()
    } else if typeSize.isAccessibilitySize {
      ScrollView { stack }
    } else {
      stack
    }
  }

  private var stack: some View {
    VStack(spacing: 12) {
      LiveProblem(state: state)
      LivePane(state: state)
      LiveSettings(state: state)
    }
    .padding()
  }
}

/// What keeps the view from running, and the way to change it.
private struct LiveProblem: View {
  let state: LiveState

  var body: some View {
    if let problem = state.problem {
      ProblemBanner(text: problem)
      if state.cameraProblem?.isDenied == true, let settings = URL(string: UIApplication.openSettingsURLString) {
        Link("Open Settings", destination: settings)
      }
    }
  }
}

/// The picture, or why there is none.
private struct LivePane: View {
  let state: LiveState
  @State private var tapped: CGPoint?

  var body: some View {
    if let frame = state.frame {
      VStack(spacing: 8) {
        if let comparison = frame.comparison {
          CompareView(frame: frame, comparison: comparison, tapped: $tapped)
        } else {
          LivePane.picture(of: frame, state.layout, $tapped)
            .overlay(alignment: .topLeading) { HUD(figures: frame.figures) }
        }
        if state.layout == .depth || state.layout == .split || frame.comparison != nil {
          Legend(figures: frame.figures, isLocked: state.lockedRange != nil) { state.toggleRange() }
        }
      }
    } else if state.isMeasured {
      ContentUnavailableView(
        "Measured", systemImage: "stopwatch", description: Text("Nothing is drawn while the camera is measured."))
    } else if state.isPaused {
      ContentUnavailableView(
        "Paused", systemImage: "stopwatch", description: Text("The benchmark has the device to itself."))
    } else if state.models.isEmpty {
      ContentUnavailableView(
        "No model", systemImage: "shippingbox",
        description: Text("Put an .mlpackage of fcrn-mobile into this app's folder in Files, or into Models/ in Xcode.")
      )
    } else if state.isOpening || state.source.isLoading {
      ProgressView(state.isOpening ? "Preparing the model" : "Fetching from the library")
        .frame(maxWidth: .infinity, maxHeight: .infinity)
    } else {
      ContentUnavailableView("No picture", systemImage: "camera", description: Text("Waiting for images."))
    }
  }

  @ViewBuilder
  private static func picture(of frame: LiveFrame, _ layout: LiveLayout, _ tapped: Binding<CGPoint?>) -> some View {
    if layout == .cloud { CloudView(frame: frame) } else { LivePicture(frame: frame, layout: layout, tapped: tapped) }
  }
}

/// What is shown, and which model runs how.
private struct LiveSettings: View {
  @Bindable var state: LiveState

  var body: some View {
    VStack {
      if state.compared.selection == nil {
        Picker("View", selection: $state.layout) {
          ForEach(LiveLayout.allCases) { Text($0.rawValue).tag($0) }
        }
        .pickerStyle(.segmented)
      }
      VStack {
        Picker("Model", selection: $state.selection) {
          if state.selection == nil { Text("None").tag(FoundModel?.none) }
          ForEach(state.models) { Text($0.name).tag(FoundModel?.some($0)) }
        }
        Picker("Compute units", selection: $state.computeUnits) {
          ForEach(ComputeUnits.allCases, id: \.self) { Text($0.title).tag($0) }
        }
        CompareSettings(models: state.models, choice: state.compared)
        Picker("Through", selection: $state.path) {
          ForEach(InferencePath.allCases) { Text($0.title).tag($0) }
        }
        .pickerStyle(.segmented)
      }
      .disabled(state.isMeasured)
      LiveImages(source: state.source).disabled(state.isMeasured)
      if state.source.hasSensor, state.source.item == nil {
        LiveSensor(state: state, source: state.source).disabled(state.isMeasured)
      }
    }
  }
}

/// Photos and videos of the library, or the camera and its lenses.
private struct LiveImages: View {
  @Bindable var source: LiveSource
  @State private var picked: PhotosPickerItem?

  var body: some View {
    HStack {
      PhotosPicker(
        "Photo or video", selection: $picked, matching: .any(of: [.images, .videos]), preferredItemEncoding: .current)
      if source.item != nil { Button("Back to the camera") { source.showCamera() } }
    }
    .onChange(of: picked) { _, next in
      guard let next else { return }
      // The same one may be picked again.
      picked = nil
      Task { await source.show(next) }
    }
    if source.item == nil, source.lenses.count > 1, !source.usesSensor {
      Picker("Lens", selection: $source.lens) {
        ForEach(source.lenses) { Text($0.title).tag($0) }
      }
      .pickerStyle(.segmented)
    }
  }
}

/// Comparison with the LiDAR scanner, and recordings of it.
private struct LiveSensor: View {
  let state: LiveState
  @Bindable var source: LiveSource

  var body: some View {
    Toggle("Compare with LiDAR", isOn: $source.usesSensor)
    if source.usesSensor {
      if state.isRecording {
        Button("Stop recording") { Task { await state.endRecording() } }
      } else {
        Button("Record") { state.startRecording() }
      }
    }
    if let clip = state.clip {
      ShareLink(item: clip.folder) { Label("Share \(clip.title)", systemImage: "square.and.arrow.up") }
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
        if layout != .depth, let photo = frame.photo { image(photo) }
        if layout != .photo, let depth = frame.depthPicture {
          image(depth)
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
    .aspectRatio(frame.aspect, contentMode: .fit)
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
    return frame.figures.scale.text(
      depth.depth(at: CGPoint(x: share.x * CGFloat(depth.width), y: share.y * CGFloat(depth.height))))
  }
}

/// The colours from near to far, and whether their range follows the pictures.
private struct Legend: View {
  let figures: LiveFigures
  let isLocked: Bool
  let toggle: @MainActor () -> Void

  var body: some View {
    HStack(spacing: 8) {
      Text(String(format: "%.1f", Double(figures.range.near)))
      if let colours = colourBar(.depth) { Image(decorative: colours, scale: 1).resizable().frame(height: 10) }
      Text(String(format: "%.1f", Double(figures.range.far)))
      Button(isLocked ? "Unlock range" : "Lock range", action: toggle)
    }
    .font(.caption.monospacedDigit())
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
    // It covers a part of the picture, whose depth can be read there too, and must leave most of it to see.
    .allowsHitTesting(false)
    .dynamicTypeSize(...DynamicTypeSize.xxxLarge)
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
