import Foundation
import Testing

@testable import DepthCore

/// Points in space, against NumPy's rays of the stored image.
struct PointCloudTests {
  private struct Case: Decodable {
    struct Point: Decodable {
      let pixel: [Int]
      let position: [Float]
    }

    let framing: String
    let rotation: Int
    let image, model, depth, shown: [Int]
    let fx, fy, cx, cy: Double
    let points: [Point]

    func geometry() throws -> CropGeometry {
      CropGeometry(
        image: PixelSize(width: image[0], height: image[1]), rotation: try #require(Rotation(rawValue: rotation)),
        model: PixelSize(width: model[0], height: model[1]), depth: PixelSize(width: depth[0], height: depth[1]),
        framing: try #require(Framing(rawValue: framing)))
    }
  }

  @Test func pixelsLieWhereNumPyPutsTheRaysOfTheStoredImage() throws {
    let cases = try Fixture.decode([Case].self, "clouds.json")
    #expect(Set(cases.map(\.rotation)) == Set(Rotation.allCases.map(\.rawValue)))
    #expect(Set(cases.map(\.framing)) == Set(Framing.allCases.map(\.rawValue)))
    for one in cases {
      let intrinsics = try #require(CameraIntrinsics(fx: one.fx, fy: one.fy, cx: one.cx, cy: one.cy))
      let camera = try #require(one.geometry().cameraOfShown(intrinsics))
      var values = [Float](repeating: .nan, count: one.shown[0] * one.shown[1])
      for point in one.points { values[point.pixel[1] * one.shown[0] + point.pixel[0]] = point.position[2] }
      let plane = try DepthPlane(width: one.shown[0], height: one.shown[1], values: values)
      let cloud = PointCloud(plane, camera: camera, rgba: [UInt8](repeating: 9, count: 4 * values.count))
      #expect(cloud.points.count == one.points.count)
      for (found, expected) in zip(cloud.points, one.points) {
        for axis in 0..<3 {
          let fault = abs(found[axis] - expected.position[axis])
          #expect(fault < 1e-4, "\(one.framing) \(one.rotation) \(one.image) \(expected.pixel)")
        }
      }
    }
  }

  /// Nine pixels, two of them without depth, and their own number as colour.
  private func nine() throws -> (cloud: PointCloud, rgba: [UInt8]) {
    let plane = try DepthPlane(width: 3, height: 3, values: [1, 2, 3, 2, .nan, 3, 1, 0, 2])
    let rgba = (0..<9).flatMap { (pixel: UInt8) -> [UInt8] in [10 * pixel + 1, 10 * pixel + 2, 10 * pixel + 3, 255] }
    let camera = try #require(CameraIntrinsics(fx: 3, fy: 4, cx: 1.6, cy: 1.4))
    return (PointCloud(plane, camera: camera, rgba: rgba), rgba)
  }

  @Test func withoutATurnAPictureIsTheDepthMapsOwn() throws {
    let (cloud, rgba) = try nine()
    #expect(cloud.points.count == 7)
    let same = cloud.rgba(PixelSize(width: 3, height: 3))
    let black: [UInt8] = [0, 0, 0, 255]
    for pixel in 0..<9 {
      let expected: [UInt8] = pixel == 4 || pixel == 7 ? black : Array(rgba[4 * pixel..<4 * pixel + 4])
      #expect(Array(same[4 * pixel..<4 * pixel + 4]) == expected, "\(pixel)")
    }
    // Four times as large, each of its pixels is one of 4×4.
    let large = cloud.rgba(PixelSize(width: 12, height: 12))
    for y in 0..<12 {
      for x in 0..<12 {
        let (from, pixel) = (4 * (y / 4 * 3 + x / 4), 4 * (y * 12 + x))
        #expect(large[pixel..<pixel + 4] == same[from..<from + 4], "\(x) \(y)")
      }
    }
  }

  /// One point to the right of the axis, two metres ahead, and one behind it: the nearer one goes with the finger, and covers the other.
  @Test func whatIsNearFollowsTheFingerAndCoversWhatIsFar() throws {
    var values = [Float](repeating: .nan, count: 25)
    (values[12], values[13]) = (1, 2)
    let plane = try DepthPlane(width: 5, height: 5, values: values)
    let rgba = (0..<25).flatMap { (pixel: UInt8) -> [UInt8] in [pixel, 0, 0, 255] }
    let camera = try #require(CameraIntrinsics(fx: 5, fy: 5, cx: 2.5, cy: 2.5))
    let cloud = PointCloud(plane, camera: camera, rgba: rgba)
    func place(_ turn: PointCloud.Turn, _ colour: UInt8) -> [Int] {
      let picture = cloud.rgba(PixelSize(width: 5, height: 5), turn: turn)
      return (0..<25).filter { picture[4 * $0] == colour }
    }
    // The pivot is two metres ahead: the near point at (0, 0, 1) goes by sin 20° to the right, to z = 2 - cos 20°: 5 · 0.342 / 1.06 = 1.6 pixels.
    let turn = PointCloud.Turn().dragged(CGSize(width: 50, height: 0), over: 300)
    #expect(abs(turn.yaw - .pi / 9) < 1e-6 && turn.pitch == 0)
    #expect(place(turn, 12).contains(14) && !place(turn, 12).contains(12))
    // Downwards likewise.
    #expect(place(PointCloud.Turn(pitch: .pi / 9), 12).contains(22))
    // From that side the far one, 0.4 m to the right in the middle of the turn, stays behind or beside it.
    #expect(place(PointCloud.Turn(yaw: .pi / 18), 12).contains(13))
    #expect(!place(PointCloud.Turn(yaw: .pi / 18), 13).contains(13))
  }

  @Test func aTurnEndsWhereThereIsNothingToSee() {
    #expect(PointCloud.Turn(yaw: 9, pitch: -9) == PointCloud.Turn(yaw: .pi / 3, pitch: -.pi / 3))
    #expect(PointCloud.Turn().dragged(CGSize(width: 5, height: 5), over: 0) == PointCloud.Turn())
  }

  /// A whole side is 120°: 20° and 10° to the right, then 50° back; 15° down, then beyond what can be seen, and from there up again.
  @Test func aDragGoesOnFromWhereTheLastOneEnded() {
    let drags = [CGSize(width: 50, height: 37.5), CGSize(width: 25, height: 900), CGSize(width: -125, height: -50)]
    let degrees: [(Float, Float)] = [(20, 15), (30, 60), (-20, 40)]
    var turn = PointCloud.Turn()
    for (drag, (yaw, pitch)) in zip(drags, degrees) {
      turn = turn.dragged(drag, over: 300)
      #expect(abs(turn.yaw * 180 / .pi - yaw) < 1e-3 && abs(turn.pitch * 180 / .pi - pitch) < 1e-3)
    }
  }

  @Test func nothingIsDrawnOfNoDepth() throws {
    let plane = try DepthPlane(width: 2, height: 1, values: [.nan, -1])
    let camera = try #require(CameraIntrinsics(fx: 1, fy: 1))
    let cloud = PointCloud(plane, camera: camera, rgba: [UInt8](repeating: 7, count: 8))
    #expect(cloud.points.isEmpty)
    #expect(cloud.rgba(PixelSize(width: 2, height: 1)) == [0, 0, 0, 255, 0, 0, 0, 255])
  }

  private func contract(camera: String) throws -> ModelContract {
    let size = PixelSize(width: 4, height: 3)
    return try ModelContract(
      ModelInterface(
        inputs: [.init(name: "image", kind: .colourImage(size))],
        outputs: [.init(name: "depth", kind: .halfImage(size))],
        metadata: [
          "fcrn_mobile.output_units": "metres", "fcrn_mobile.camera": camera,
          "fcrn_mobile.contract": #"{"framing":"crop"}"#,
        ]))
  }

  @Test func whereTheCameraDoesNotTellTheTrainingsIsTaken() throws {
    let known = try contract(camera: #"{"focal_px": 320, "width_px": 640}"#)
    let geometry = known.geometry(of: PixelSize(width: 80, height: 30))
    // 40 of 80 pixels are seen, over 4 of the depth map: half their width is 2 of those.
    #expect(known.cameraOfShown(geometry, intrinsics: nil) == CameraIntrinsics(fx: 2, fy: 2, cx: 2, cy: 1.5))
    let own = CameraIntrinsics(fx: 60, fy: 60, cx: 42, cy: 15)
    let seen = try #require(known.cameraOfShown(geometry, intrinsics: own))
    #expect(abs(seen.fx - 6) < 1e-9 && abs(seen.fy - 6) < 1e-9)
    let (cx, cy) = (try #require(seen.cx), try #require(seen.cy))
    #expect(abs(cx - 2.2) < 1e-9 && abs(cy - 1.5) < 1e-9)
    let unknown = try contract(camera: "{}").cameraOfShown(geometry, intrinsics: nil)
    #expect(unknown == nil)
  }

  /// Of an image that was turned after the camera wrote its matrix the axis would lie far from the middle.
  @Test func anAxisFarFromTheMiddleIsNotBelieved() throws {
    let geometry = try contract(camera: "{}").geometry(of: PixelSize(width: 30, height: 40))
    let stale = try #require(CameraIntrinsics(fx: 30, fy: 30, cx: 20, cy: 15))
    let camera = try #require(geometry.cameraOfShown(stale))
    #expect(camera.cx == 2 && camera.cy == 1.5)
  }
}
