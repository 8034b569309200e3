import Foundation
import Testing

@testable import DepthCore

/// Against what Pillow makes of an image of each orientation.
struct ImageOrientationTests {
  private struct Case: Decodable {
    let exif: Int
    let transform: [Double]
    let image, upright: [Int]
    let camera, seen: [Double]
  }

  private let cases: [Case]

  init() throws {
    cases = try Fixture.decode([Case].self, "orientations.json")
  }

  private func intrinsics(_ numbers: [Double]) throws -> CameraIntrinsics {
    try #require(CameraIntrinsics(fx: numbers[0], fy: numbers[1], cx: numbers[2], cy: numbers[3]))
  }

  @Test func exifAndATracksTransformSayTheSame() throws {
    #expect(cases.map(\.exif) == Array(1...8))
    for one in cases {
      let orientation = try #require(ImageOrientation(exif: one.exif))
      let (a, b, c, d) = (one.transform[0], one.transform[1], one.transform[2], one.transform[3])
      #expect(ImageOrientation(a: a, b: b, c: c, d: d) == orientation, "\(one.exif)")
      #expect(orientation.exif == one.exif)
      let size = orientation.upright(PixelSize(width: one.image[0], height: one.image[1]))
      #expect([size.width, size.height] == one.upright)
    }
  }

  @Test func theCameraIsTurnedWithItsImage() throws {
    for one in cases {
      let image = PixelSize(width: one.image[0], height: one.image[1])
      let orientation = try #require(ImageOrientation(exif: one.exif))
      let (stored, seen) = (try intrinsics(one.camera), try intrinsics(one.seen))
      #expect(stored.upright(orientation, of: image) == seen, "\(one.exif)")
    }
  }

  @Test(arguments: [0, 9, -1])
  func otherNumbersAreNoOrientation(exif: Int) {
    #expect(ImageOrientation(exif: exif) == nil)
    #expect(ImageOrientation(a: 0.7, b: 0.7, c: -0.7, d: 0.7) == nil)
    #expect(ImageOrientation(a: 2, b: 0, c: 0, d: 2) == nil)
    #expect(ImageOrientation(a: .nan, b: 0, c: 0, d: 1) == nil)
  }

  private struct Equivalent: Decodable {
    let millimetres, pixels: Double
    let picture: [Int]
  }

  @Test func focalLengthsInEquivalentsAreTheCommandLines() throws {
    for one in try Fixture.decode([Equivalent].self, "equivalent_focal.json") {
      let picture = PixelSize(width: one.picture[0], height: one.picture[1])
      let camera = try #require(CameraIntrinsics(equivalentFocalLength: one.millimetres, of: picture))
      #expect(abs(camera.fx - one.pixels) < 1e-9 && camera.fy == camera.fx && camera.cx == nil)
    }
    #expect(CameraIntrinsics(equivalentFocalLength: 0, of: PixelSize(width: 4, height: 3)) == nil)
  }

  @Test func aResizedImageHasAResizedCamera() throws {
    let half = try intrinsics([100, 90, 52, 31]).resized(
      from: PixelSize(width: 100, height: 60), to: PixelSize(width: 50, height: 20))
    let expected = try intrinsics([50, 30, 26, 31 * (20.0 / 60)])
    #expect(half == expected)
  }
}
