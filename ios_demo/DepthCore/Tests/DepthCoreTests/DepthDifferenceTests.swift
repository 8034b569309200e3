import Foundation
import Testing

@testable import DepthCore

/// Differences of two models' depth, against NumPy's.
struct DepthDifferenceTests {
  private struct Case: Decodable {
    struct Shown: Decodable {
      let width, height: Int
      let floats: Data
      let region: [Double]
      let unit: String

      func depth() throws -> ShownDepth {
        ShownDepth(
          plane: try StoredMap(width: width, height: height, floats: floats).plane(),
          region: CGRect(x: region[0], y: region[1], width: region[2], height: region[3]),
          scale: unit == "metres" ? .metres(times: 1) : .relative)
      }
    }
    let maps: [Shown]
    let aligned: String
    let relative: StoredMap
    let median: Double
    let pixels: Int
    let factors: [Double]
  }

  @Test func differencesAreNumPys() throws {
    let cases = try Fixture.decode([Case].self, "difference.json")
    #expect(Set(cases.map(\.aligned)) == ["none", "first", "second"] && cases.count == 12)
    for one in cases {
      let found = try #require(try DepthDifference(one.maps[0].depth(), one.maps[1].depth()))
      let expected = try one.relative.plane()
      #expect(found.relative.width == expected.width && found.relative.height == expected.height)
      for (own, python) in zip(found.relative.values, expected.values) {
        #expect(own.isNaN == python.isNaN && (own.isNaN || abs(own - python) <= 1e-6 * max(1, abs(python))))
      }
      #expect(found.pixels == one.pixels)
      #expect(abs(found.medianRelative - one.median) < 1e-6)
      let factors = found.alignment.factors
      #expect(abs(factors.first / one.factors[0] - 1) < 1e-12 && abs(factors.second / one.factors[1] - 1) < 1e-12)
      switch found.alignment {
      case .none: #expect(one.aligned == "none")
      case .first: #expect(one.aligned == "first")
      case .second: #expect(one.aligned == "second")
      }
    }
  }

  private let square = CGRect(x: 0, y: 0, width: 40, height: 20)

  private func shown(_ values: [Float], _ scale: DepthScale, in region: CGRect? = nil) throws -> ShownDepth {
    ShownDepth(
      plane: try DepthPlane(width: values.count / 2, height: 2, values: values), region: region ?? square, scale: scale)
  }

  @Test func metresAreComparedAsTheyAre() throws {
    let first = try shown([1, 2, 3, 4, 5, 6, 7, 8], .metres(times: 1.5))
    for (scale, both, words) in [
      (DepthScale.metres(times: 1.2), DepthScale.metres(times: 1.5), "compared in metres"),
      (.uncalibrated, .uncalibrated, "compared in metres, uncalibrated"),
    ] {
      let second = ShownDepth(plane: first.plane.part(times: 1.1), region: square, scale: scale)
      let found = try #require(DepthDifference(first, second))
      #expect(found.alignment == .none && found.scale == both && found.pixels == 8)
      #expect(found.relative.values.allSatisfy { abs($0 - 0.1) < 1e-6 })
      #expect(found.lines == ["10.0 % apart in the median", words])
      let back = try #require(DepthDifference(second, first))
      #expect(back.relative.values.allSatisfy { abs($0 + 1 / 11) < 1e-6 })
    }
  }

  @Test func theMapWithoutAUnitTakesTheOthers() throws {
    let metres = try shown([1, 2, 3, 4, 5, 6, 7, 8], .uncalibrated)
    let proportions = ShownDepth(plane: metres.plane.part(times: 4), region: square, scale: .relative)
    let found = try #require(DepthDifference(metres, proportions))
    #expect(found.alignment == .second(times: 0.25) && found.scale == .uncalibrated && found.medianRelative == 0)
    #expect(found.second == metres.plane && found.first == metres.plane)
    #expect(found.lines[1] == "B has no unit: × 0.250 by the medians")
    let turned = try #require(DepthDifference(proportions, metres))
    #expect(turned.alignment == .first(times: 0.25) && turned.scale == .uncalibrated)
    #expect(turned.first == metres.plane && turned.lines[1] == "A has no unit: × 0.250 by the medians")
    let neither = try #require(DepthDifference(proportions, proportions))
    #expect(neither.alignment == .second(times: 1) && neither.scale == .relative)
  }

  @Test func onlyWhatBothShowIsKept() throws {
    let whole = try shown([1, 2, 3, 4, 5, 6, 7, 8], .uncalibrated)
    let half = try shown([3, 4, 7, 8], .uncalibrated, in: CGRect(x: 20, y: 0, width: 20, height: 20))
    let found = try #require(DepthDifference(whole, half))
    #expect(found.first.values == [3, 4, 7, 8] && found.second.values == [3, 4, 7, 8])
    #expect(found.relative.values == [0, 0, 0, 0] && found.pixels == 4)
    let readings = found.readings(at: CGPoint(x: 0.75, y: 0.25))
    #expect(readings.first == "4.00 m, uncalibrated" && readings.second == readings.first)
    #expect(readings.difference == "+0.0 %" && found.readings(at: CGPoint(x: 1.5, y: 0)).difference == "no depth")
    let elsewhere = try shown([1, 1, 1, 1], .uncalibrated, in: CGRect(x: 50, y: 0, width: 20, height: 20))
    #expect(DepthDifference(whole, elsewhere) == nil)
    #expect(DepthDifference(whole, try shown([.nan, 0, -1, .infinity], .uncalibrated)) == nil)
  }

  @Test func coloursAreTheCommandLines() throws {
    #expect(try Data(Colormap.difference.table) == Fixture.data("difference_colours.bin"))
    let plane = try DepthPlane(width: 4, height: 1, values: [-1, 0, 1, .nan])
    let rgba = Colormap.difference.rgba(of: plane, in: DepthDifference.range)
    // Nearer is blue, farther red, the same nearly white, unknown gray.
    #expect(rgba[2] > rgba[0] && rgba[8] > rgba[10] && rgba[4..<7].allSatisfy { $0 > 240 })
    #expect(rgba[12..<15].allSatisfy { $0 == Colormap.unknown })
  }

  @Test func bothPicturesHaveOneRange() {
    let union = DepthRange(near: 1, far: 3).union(DepthRange(near: 0.5, far: 2))
    #expect(union == DepthRange(near: 0.5, far: 3))
  }
}
