import Foundation
import Testing

@testable import DepthCore

struct CropGeometryTests {
  private struct Case: Decodable {
    struct Pair: Decodable { let depth, image: [Double] }

    let framing: String
    let rotation: Int
    let image, model, depth: [Int]
    let shown: [[Int]]
    let points: [Pair]

    func geometry() throws -> CropGeometry {
      CropGeometry(
        image: PixelSize(width: image[0], height: image[1]), rotation: try #require(Rotation(rawValue: rotation)),
        model: PixelSize(width: model[0], height: model[1]), depth: PixelSize(width: depth[0], height: depth[1]),
        framing: try #require(Framing(rawValue: framing)))
    }
  }

  private func near(_ left: CGPoint, _ right: CGPoint) -> Bool {
    abs(left.x - right.x) < 1e-9 && abs(left.y - right.y) < 1e-9
  }

  @Test func pointsLieWhereNumPyTurnsCropsAndSamplesThem() throws {
    let cases = try Fixture.decode([Case].self, "geometry.json")
    for rotation in Rotation.allCases {
      let framings = Set(cases.filter { $0.rotation == rotation.rawValue }.map(\.framing))
      #expect(framings == Set(Framing.allCases.map(\.rawValue)))
    }
    for one in cases {
      let geometry = try one.geometry()
      let shown = geometry.shown
      #expect([shown.rows.lowerBound, shown.rows.upperBound - 1] == one.shown[0], "\(one.framing) \(one.image)")
      #expect([shown.columns.lowerBound, shown.columns.upperBound - 1] == one.shown[1], "\(one.framing) \(one.image)")
      for pair in one.points {
        let depth = CGPoint(x: pair.depth[0], y: pair.depth[1])
        let image = CGPoint(x: pair.image[0], y: pair.image[1])
        #expect(near(geometry.imagePoint(fromDepth: depth), image), "\(one.framing) \(one.rotation) \(depth)")
        #expect(near(geometry.depthPoint(fromImage: image), depth), "\(one.framing) \(one.rotation) \(image)")
      }
    }
  }

  @Test(arguments: Rotation.allCases, Framing.allCases)
  func thereAndBackIsWhereItStarted(rotation: Rotation, framing: Framing) {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      func size() -> PixelSize {
        PixelSize(width: .random(in: 1...4032, using: &random), height: .random(in: 1...4032, using: &random))
      }
      let geometry = CropGeometry(image: size(), rotation: rotation, model: size(), depth: size(), framing: framing)
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
      depth: PixelSize(width: 160, height: 112), framing: .crop)
    #expect(wide.uprightSize == CGSize(width: 1080, height: 1920))
    #expect(wide.crop == CGRect(x: 0, y: 582, width: 1080, height: 756))
  }

  @Test func pointsThatTheModelDidNotSeeLieOutsideTheMap() {
    let geometry = CropGeometry(
      image: PixelSize(width: 400, height: 200), rotation: .none, model: PixelSize(width: 10, height: 10),
      depth: PixelSize(width: 50, height: 50), framing: .crop)
    #expect(geometry.depthPoint(fromImage: CGPoint(x: 50, y: 100)).x < 0)
    #expect(geometry.depthPoint(fromImage: CGPoint(x: 350, y: 100)).x > 50)
  }

  @Test func barsAreNoPartOfWhatIsShown() {
    let tall = CropGeometry(
      image: PixelSize(width: 720, height: 1280), rotation: .none, model: PixelSize(width: 320, height: 224),
      depth: PixelSize(width: 160, height: 112), framing: .letterbox)
    #expect(tall.visible == CGRect(x: 0, y: 0, width: 720, height: 1280))
    // 720 · 112 / 1280 = 63 of 160 columns, from 48.5 to 111.5: 62 of them wholly.
    #expect(tall.shown.columns == 49..<111)
    #expect(tall.shown.rows == 0..<112)
  }
}
