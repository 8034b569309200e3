import DepthCore
import Foundation
import SwiftUI

/// The pixels of a frame in space; a finger turns them.
struct CloudView: View {
  let frame: LiveFrame
  @State private var turn = PointCloud.Turn()
  /// How far the finger has gone that is on it; nowhere again when it is lifted, or the system takes it.
  @GestureState private var drag = CGSize.zero

  var body: some View {
    if let cloud = frame.cloud {
      GeometryReader { space in
        ZStack(alignment: .topLeading) {
          let shown = turn.dragged(drag, over: space.size.width)
          if let picture = try? makePicture(of: cloud, shown) { Image(decorative: picture, scale: 1).resizable() }
        }
        .contentShape(Rectangle())
        .gesture(
          DragGesture()
            .updating($drag) { value, way, _ in way = value.translation }
            .onEnded { turn = turn.dragged($0.translation, over: space.size.width) })
      }
      .aspectRatio(frame.aspect, contentMode: .fit)
      .accessibilityElement(children: .ignore)
      .accessibilityLabel("Points in space")
    } else {
      ContentUnavailableView(
        "No points", systemImage: "cube",
        description: Text("Neither the image nor the model names the focal length of its camera."))
    }
  }
}

/// A picture of points, at most 640 pixels large.
func makePicture(of cloud: PointCloud, _ turn: PointCloud.Turn) throws -> CGImage {
  let times = max(640 / max(cloud.size.width, cloud.size.height), 1)
  let size = PixelSize(width: cloud.size.width * times, height: cloud.size.height * times)
  return try makePicture(rgba: cloud.rgba(size, turn: turn), size)
}
