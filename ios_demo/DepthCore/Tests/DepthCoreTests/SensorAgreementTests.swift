import Foundation
import Testing

@testable import DepthCore

/// Agreement with a sensor's depth, against the evaluation of the command line.
struct SensorAgreementTests {
  private struct Case: Decodable {
    let model, sensor: StoredMap
    let region: [Int]
    let aligned: Bool
    let pixels: Int
    let absRel, delta1, scale: Double
  }

  @Test func figuresAreThoseOfTheCommandLine() throws {
    let cases = try Fixture.decode([Case].self, "agreement.json")
    #expect(Set(cases.map(\.aligned)) == [true, false])
    for one in cases {
      let region = CGRect(x: one.region[0], y: one.region[1], width: one.region[2], height: one.region[3])
      let found = try #require(
        try SensorAgreement(
          model: one.model.plane(), sensor: one.sensor.plane(), region: region, isAligned: one.aligned))
      #expect(found.pixels == one.pixels)
      #expect(found.isAligned == one.aligned)
      // Pillow interpolates in single precision.
      #expect(abs(found.absRel / one.absRel - 1) < 1e-5)
      #expect(found.delta1 == one.delta1)
      #expect(abs(found.scale / one.scale - 1) < 1e-6)
    }
  }

  @Test func whatOneOfThemDoesNotSeeCountsNowhere() throws {
    let sensor = try DepthPlane(width: 4, height: 1, values: [.nan, 2, 2, 0])
    let model = try DepthPlane(width: 4, height: 1, values: [1, 0, 1, 1])
    let found = try #require(SensorAgreement(model: model, sensor: sensor))
    #expect(found.pixels == 1)
    #expect(found.absRel == 0.5 && found.delta1 == 0 && found.scale == 2)
    let nothing = try DepthPlane(width: 4, height: 1, values: [.nan, .infinity, -1, 0])
    #expect(SensorAgreement(model: nothing, sensor: sensor) == nil)
    #expect(SensorAgreement(model: model, sensor: nothing) == nil)
  }

  @Test func depthWithoutAUnitIsComparedInProportion() throws {
    let sensor = try DepthPlane(width: 3, height: 1, values: [1, 2, 4])
    let found = try #require(SensorAgreement(model: sensor.part(times: 8), sensor: sensor, isAligned: true))
    #expect(found.absRel < 1e-9 && found.delta1 == 1 && abs(found.scale - 0.125) < 1e-9)
    #expect(found.text == "sensor abs_rel 0.000, δ1 100.0 %, scale 0.125, median-scaled")
  }

  @Test func aClipHasTheMeanOfItsPictures() throws {
    let sensor = try DepthPlane(width: 2, height: 1, values: [1, 1])
    let pictures = try [1, 2, 4].map { (factor: Double) in
      try #require(SensorAgreement(model: sensor.part(times: factor), sensor: sensor))
    }
    let mean = try #require(SensorAgreement.mean(of: pictures))
    #expect(mean.pixels == 6 && mean.scale == 0.5)
    #expect(abs(mean.absRel - 4.0 / 3) < 1e-12 && abs(mean.delta1 - 1.0 / 3) < 1e-12)
    #expect(SensorAgreement.mean(of: []) == nil)
  }

  @Test(arguments: Rotation.allCases)
  func aTurnedMapShowsEachPixelWhereTheTurnedImageDoes(rotation: Rotation) throws {
    let plane = try DepthPlane(width: 3, height: 2, values: [1, 2, 3, 4, 5, 6])
    let turned = plane.turned(rotation)
    let image = PixelSize(width: 3, height: 2)
    let upright = PixelSize(width: turned.width, height: turned.height)
    let geometry = CropGeometry(image: image, rotation: rotation, model: upright, depth: upright, framing: .stretch)
    for row in 0..<2 {
      for column in 0..<3 {
        let point = CGPoint(x: Double(column) + 0.5, y: Double(row) + 0.5)
        #expect(turned.depth(at: geometry.depthPoint(fromImage: point)) == plane.depth(at: point))
      }
    }
  }

  @Test(arguments: Framing.allCases)
  func theModelsPixelsLieOnThoseOfTheSensorThatShowTheSame(framing: Framing) throws {
    let image = PixelSize(width: 64, height: 36)
    let map = PixelSize(width: 32, height: 18)
    let geometry = CropGeometry(
      image: image, rotation: .none, model: PixelSize(width: 16, height: 12), depth: PixelSize(width: 16, height: 12),
      framing: framing)
    let (region, shown) = (geometry.shown(in: map), geometry.shown)
    for (corner, column, row) in [
      (CGPoint(x: region.minX, y: region.minY), shown.columns.lowerBound, shown.rows.lowerBound),
      (CGPoint(x: region.maxX, y: region.maxY), shown.columns.upperBound, shown.rows.upperBound),
    ] {
      let point = geometry.imagePoint(fromDepth: CGPoint(x: column, y: row))
      #expect(abs(corner.x * 2 - point.x) < 1e-9 && abs(corner.y * 2 - point.y) < 1e-9)
    }
  }

  @Test func agreementStandsUnderTheFigures() throws {
    let sensor = try DepthPlane(width: 1, height: 1, values: [2])
    var figures = LiveFigures(
      framesPerSecond: 30, inferenceMS: 8, endToEndMS: 21, range: DepthRange(near: 1, far: 2), scale: .uncalibrated,
      thermalState: .nominal, computeUnits: .all, precision: "fp16")
    let count = figures.lines.count
    figures.agreement = SensorAgreement(model: sensor.part(times: 1.5), sensor: sensor)
    #expect(figures.lines.count == count + 1)
    #expect(figures.lines.last == "sensor abs_rel 0.500, δ1 0.0 %, scale 0.667")
  }
}
