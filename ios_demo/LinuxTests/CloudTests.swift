import AVFoundation
import CoreVideo
import DepthCore
import XCTest

@testable import DepthDemo

/// The live screen's points in space.
final class CloudTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  @MainActor private func frame(_ package: Package) async throws -> LiveFrame {
    try package.write()
    let state = LiveState()
    state.layout = .cloud
    await state.start()
    await state.waitUntilOpened()
    var frames: [LiveFrame] = []
    state.observeFrames { if $0.aspect > 1.3, FakeCamera.shared.rotationAngle == 90 { frames.append($0) } }
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return frames.count > 3
    }
    XCTAssertNil(state.problem)
    await state.pause()
    return try XCTUnwrap(frames.last)
  }

  @MainActor func testPixelsLieInSpaceWithTheirColours() async throws {
    let frame = try await frame(Package())
    XCTAssertTrue(frame.photo == nil && frame.depthPicture == nil)
    let cloud = try XCTUnwrap(frame.cloud)
    XCTAssertEqual(cloud.points.count, 16 * 12)
    // 36×27 of 36×64 pixels are seen, over 16×12: each pixel is 2.25 large. The axis goes through the middle.
    for (index, point) in cloud.points.enumerated() {
      let (column, row) = (Float(index % 16) + 0.5, Float(index / 16) + 0.5)
      let z = frame.depth.values[index]
      let (x, y) = ((column - 8) * 2.25 / 48 * z, (row - 6) * 2.25 / 48 * z)
      XCTAssertLessThan(max(abs(point.x - x), abs(point.y - y), abs(point.z - z)), 1e-4)
      let scene = slope(Double(column) / 16, 0.5 + (Double(row) / 12 - 0.5) * 27 / 64)
      for channel in 0..<3 { XCTAssertLessThan(abs(Double(cloud.colours[index][channel]) - scene[channel]), 6) }
    }
    let picture = try makePicture(of: cloud, PointCloud.Turn())
    XCTAssertEqual([picture.width, picture.height], [640, 480])
    let colour = cloud.colours[6 * 16 + 9]
    XCTAssertEqual(picture.colour(9 * 40 + 20, 6 * 40 + 20), [colour.x, colour.y, colour.z])
  }

  @MainActor func testWithoutAFocalLengthThereAreNone() async throws {
    FakeCamera.shared.intrinsics = nil
    let without = try await frame(Package())
    XCTAssertTrue(without.cloud == nil)
    // The training's then, of 0.75 widths of what is seen: 12 of 16 pixels.
    let trained = try await frame(Package(focal: 0.75))
    let cloud = try XCTUnwrap(trained.cloud)
    let corner = try XCTUnwrap(cloud.points.first)
    XCTAssertLessThan(abs(corner.x + 7.5 / 12 * corner.z), 1e-4)
  }

  func testNothingStaysLocked() throws {
    let image = try picture(64, 36)
    let geometry = CropGeometry(
      image: PixelSize(width: 64, height: 36), rotation: .none, model: PixelSize(width: 16, height: 12),
      depth: PixelSize(width: 16, height: 12), framing: .crop)
    XCTAssertEqual(try colours(of: image, geometry).count, 4 * 16 * 12)
    XCTAssertEqual(image.lockCount, 0)
  }
}
