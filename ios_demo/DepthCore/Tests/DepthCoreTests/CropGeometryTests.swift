import Foundation
import Testing

@testable import DepthCore

struct CropGeometryTests {
  private struct Case: Decodable {
    struct Pair: Decodable { let depth, image: [Double] }

    let mode: String
    let rotation: Int
    let image, model, depth: [Int]
    let points: [Pair]

    func geometry() throws -> CropGeometry {
      CropGeometry(
        image: PixelSize(width: image[0], height: image[1]), rotation: try #require(Rotation(rawValue: rotation)),
        model: PixelSize(width: model[0], height: model[1]), depth: PixelSize(width: depth[0], height: depth[1]),
        mode: try #require(CropMode(rawValue: mode)))
    }
  }

  private func near(_ left: CGPoint, _ right: CGPoint) -> Bool {
    abs(left.x - right.x) < 1e-9 && abs(left.y - right.y) < 1e-9
  }

  @Test func pointsLieWhereNumPyTurnsCropsAndSamplesThem() throws {
    let cases = try Fixture.decode([Case].self, "geometry.json")
    for rotation in Rotation.allCases {
      let modes = Set(cases.filter { $0.rotation == rotation.rawValue }.map(\.mode))
      #expect(modes == Set(CropMode.allCases.map(\.rawValue)))
    }
    for one in cases {
      let geometry = try one.geometry()
      for pair in one.points {
        let depth = CGPoint(x: pair.depth[0], y: pair.depth[1])
        let image = CGPoint(x: pair.image[0], y: pair.image[1])
        #expect(near(geometry.imagePoint(fromDepth: depth), image), "\(one.mode) \(one.rotation) \(depth)")
        #expect(near(geometry.depthPoint(fromImage: image), depth), "\(one.mode) \(one.rotation) \(image)")
      }
    }
  }

  @Test(arguments: Rotation.allCases, CropMode.allCases)
  func thereAndBackIsWhereItStarted(rotation: Rotation, mode: CropMode) {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      func size() -> PixelSize {
        PixelSize(width: .random(in: 1...4032, using: &random), height: .random(in: 1...4032, using: &random))
      }
      let geometry = CropGeometry(image: size(), rotation: rotation, model: size(), depth: size(), mode: mode)
      let point = CGPoint(
        x: CGFloat.random(in: 0...1, using: &random) * CGFloat(geometry.image.width),
        y: CGFloat.random(in: 0...1, using: &random) * CGFloat(geometry.image.height))
      let back = geometry.imagePoint(fromDepth: geometry.depthPoint(fromImage: point))
      #expect(near(back, point), "\(geometry) \(point) \(back)")
    }
  }

  @Test func theCropLiesInTheMiddleAndHasTheModelsShape() {
    let wide = CropGeometry(
      image: PixelSize(width: 1920, height: 1080), rotation: .right, model: PixelSize(width: 320, height: 224),
      depth: PixelSize(width: 160, height: 112), mode: .centerCrop)
    #expect(wide.uprightSize == CGSize(width: 1080, height: 1920))
    #expect(wide.crop == CGRect(x: 0, y: 582, width: 1080, height: 756))
  }

  @Test func pointsThatTheModelDidNotSeeLieOutsideTheMap() {
    let geometry = CropGeometry(
      image: PixelSize(width: 400, height: 200), rotation: .none, model: PixelSize(width: 10, height: 10),
      depth: PixelSize(width: 50, height: 50), mode: .centerCrop)
    #expect(geometry.depthPoint(fromImage: CGPoint(x: 50, y: 100)).x < 0)
    #expect(geometry.depthPoint(fromImage: CGPoint(x: 350, y: 100)).x > 50)
  }
}
