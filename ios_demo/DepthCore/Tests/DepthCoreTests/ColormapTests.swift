import Foundation
import Testing

@testable import DepthCore

struct ColormapTests {
  @Test func theTableIsMatplotlibsByteForByte() throws {
    #expect(try Data(Colormap.depth.table) == Fixture.data("colours.bin"))
  }

  @Test func aDepthMapHasTheColoursOfTheCommandLine() throws {
    let plane = try halfPlane()
    var normalizer = DepthNormalizer()
    let rgba = Colormap.depth.rgba(of: plane, in: normalizer.range(of: plane))
    let rgb = rgba.enumerated().filter { $0.offset % 4 != 3 }.map(\.element)
    #expect(try Data(rgb) == Fixture.data("colour_map.bin"))
    #expect(stride(from: 3, to: rgba.count, by: 4).allSatisfy { rgba[$0] == 255 })
  }

  @Test func whatLiesOutsideTheRangeTakesTheColourOfItsEnd() throws {
    let plane = try DepthPlane(width: 4, height: 1, values: [-1, 2, 4, 100])
    let rgba = Colormap.depth.rgba(of: plane, in: DepthRange(near: 2, far: 4))
    #expect(rgba[0..<4] == rgba[4..<8])
    #expect(rgba[8..<12] == rgba[12..<16])
    #expect(rgba[0..<3].elementsEqual(Colormap.depth.table.prefix(3)))
    #expect(rgba[8..<11].elementsEqual(Colormap.depth.table.suffix(3)))
  }

  @Test func unknownDepthIsGray() throws {
    let plane = try DepthPlane(width: 3, height: 1, values: [.nan, .infinity, -.infinity])
    let rgba = Colormap.depth.rgba(of: plane, in: DepthRange(near: 0, far: 1))
    #expect(rgba == [128, 128, 128, 255, 128, 128, 128, 255, 128, 128, 128, 255])
  }

  @Test func aRangeWithoutExtentIsShownAllTheSame() throws {
    let plane = try DepthPlane(width: 1, height: 1, values: [3])
    let rgba = Colormap.depth.rgba(of: plane, in: DepthRange(near: 3, far: 3))
    #expect(rgba.prefix(3).elementsEqual(Colormap.depth.table.prefix(3)))
  }
}

struct DepthNormalizerTests {
  private func plane(_ metres: [Float]) throws -> DepthPlane {
    try DepthPlane(width: metres.count, height: 1, values: metres)
  }

  @Test func theFirstFrameIsTakenAsItIs() throws {
    var normalizer = DepthNormalizer(weight: 0.1)
    let range = normalizer.range(of: try plane((0...100).map(Float.init)))
    #expect(range == DepthRange(near: 2, far: 98))
  }

  @Test func laterFramesMoveTheRangeByTheirWeight() throws {
    var normalizer = DepthNormalizer(weight: 0.25)
    _ = normalizer.range(of: try plane([4, 4, 4]))
    #expect(normalizer.range(of: try plane([8, 8, 8])) == DepthRange(near: 5, far: 5))
    #expect(normalizer.range(of: try plane([5, 5, 5])) == DepthRange(near: 5, far: 5))
  }

  @Test func framesWithoutDepthLeaveTheRangeAlone() throws {
    var normalizer = DepthNormalizer(weight: 0.5)
    #expect(normalizer.range(of: try plane([.nan])) == DepthRange(near: 0, far: 1))
    _ = normalizer.range(of: try plane([2, 2]))
    #expect(normalizer.range(of: try plane([.nan, .infinity])) == DepthRange(near: 2, far: 2))
  }

  @Test func samplingALargeFrameHardlyMovesItsRange() throws {
    let metres = (0..<100_000).map { Float($0 * 7919 % 100_003) / 10_000 }
    let frame = try DepthPlane(width: 500, height: 200, values: metres)
    var whole = DepthNormalizer(sampleLimit: .max / 2)
    var sampled = DepthNormalizer(sampleLimit: 5000)
    let exact = whole.range(of: frame)
    let near = sampled.range(of: frame)
    #expect(abs(exact.near - near.near) < 0.1 && abs(exact.far - near.far) < 0.1)
  }
}
