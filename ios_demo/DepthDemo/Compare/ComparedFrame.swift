import CoreGraphics
import DepthCore
import Foundation

/// What one model made of an image.
struct ModelView: Sendable {
  let opened: OpenedModel
  let geometry: CropGeometry
  /// Of what the model saw of the image, without bars.
  let depth: DepthPlane
  let scale: DepthScale
  /// Of the prediction alone.
  let inferenceMS: Double

  /// The depth, with its place in the image.
  var shown: ShownDepth {
    let size = geometry.uprightSize
    let region = geometry.shown(in: PixelSize(width: Int(size.width), height: Int(size.height)))
    return ShownDepth(plane: depth, region: region, scale: scale)
  }

  /// Such as `fcrn-int8, CPU + GPU: 8.2 ms`.
  var title: String { "\(opened.name), \(opened.computeUnits.title): \(String(format: "%.1f ms", inferenceMS))" }
}

/// Two models' depth of one image, in one range of colours, and how far it is apart.
struct ComparedFrame: @unchecked Sendable {
  /// Which loading the model is that the shown one is compared with.
  let model: UUID
  /// Of the first and the second, with their times.
  let titles: [String]
  /// Of the upright image: what both models show.
  let part: CGRect
  let difference: DepthDifference
  /// That both depth pictures span.
  let range: DepthRange
  /// Of the first and the second model's depth and of the difference; nil where they are not shown.
  let pictures: (first: CGImage, second: CGImage, difference: CGImage)?

  /// What stands below the pictures.
  func lines(beside figures: LiveFigures) -> [String] {
    [figures.pace, "A \(titles[0])", "B \(titles[1])", figures.scale.text(range)] + difference.lines
  }
}

/// Compares what two models make of the same images, one after the other; by one thread at a time.
struct FrameComparer {
  private var models: [UUID] = []
  private var normalizers = [DepthNormalizer(), DepthNormalizer()]

  /// Compares one image's.
  ///
  /// - Parameters:
  ///   - lockedRange: that the colours span; nil lets it follow the images.
  ///   - isDrawn: whether pictures are needed.
  /// - Throws: `PictureProblem`.
  mutating func compare(
    _ first: ModelView, _ second: ModelView, in lockedRange: DepthRange?, isDrawn: Bool
  ) throws -> ComparedFrame {
    // Ranges of one pair of models say nothing about the next.
    if models != [first.opened.id, second.opened.id] {
      (models, normalizers) = ([first.opened.id, second.opened.id], [DepthNormalizer(), DepthNormalizer()])
    }
    guard let difference = DepthDifference(first.shown, second.shown) else { throw PictureProblem.nothingInCommon }
    let following = normalizers[0].range(of: difference.first).union(normalizers[1].range(of: difference.second))
    let range = lockedRange ?? following
    return ComparedFrame(
      model: second.opened.id, titles: [first.title, second.title],
      part: first.shown.region.intersection(second.shown.region), difference: difference, range: range,
      pictures: isDrawn ? try Self.pictures(of: difference, in: range) : nil)
  }

  private static func pictures(
    of difference: DepthDifference, in range: DepthRange
  ) throws -> (first: CGImage, second: CGImage, difference: CGImage) {
    func draw(_ plane: DepthPlane, _ colours: Colormap, _ range: DepthRange) throws -> CGImage {
      try makePicture(rgba: colours.rgba(of: plane, in: range), of: plane)
    }
    return (
      try draw(difference.first, .depth, range), try draw(difference.second, .depth, range),
      try draw(difference.relative, .difference, DepthDifference.range)
    )
  }
}
