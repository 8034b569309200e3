import Foundation
import Testing

@testable import DepthCore

/// One entry of planes.json.
private struct StoredPlane: Decodable {
  let scalar: String
  let width, height, bytesPerRow: Int

  func layout() throws -> DepthLayout {
    let scalars: [String: DepthLayout.Scalar] = ["half": .half, "float": .float, "double": .double]
    return try DepthLayout(
      width: width, height: height, scalar: #require(scalars[scalar]), bytesPerRow: bytesPerRow)
  }
}

/// The same numbers, NaN being like NaN.
func same(_ left: [Float], _ right: [Float]) -> Bool {
  left.count == right.count && zip(left, right).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN }
}

func halfPlane() throws -> DepthPlane {
  let stored = try #require(try Fixture.decode([StoredPlane].self, "planes.json").first)
  return try Fixture.data("plane_half.bin").withUnsafeBytes { try DepthPlane(copying: $0, layout: stored.layout()) }
}

struct DepthPlaneTests {
  @Test func paddingOfRowsIsNeverReadAsDepth() throws {
    let planes = try Fixture.decode([StoredPlane].self, "planes.json")
    #expect(planes.map(\.scalar) == ["half", "float", "double"])
    for stored in planes {
      let layout = try stored.layout()
      #expect(layout.bytesPerRow > stored.width * layout.scalar.size)
      let plane = try Fixture.data("plane_\(stored.scalar).bin").withUnsafeBytes {
        try DepthPlane(copying: $0, layout: layout)
      }
      #expect(same(plane.values, try Fixture.floats("plane_\(stored.scalar)_expected.bin")), "\(stored.scalar)")
    }
  }

  #if !(os(macOS) && arch(x86_64))
    @Test func everyHalfPrecisionNumberIsReadAsTheProcessorReadsIt() {
      let wrong = (0...UInt16.max).filter { bits in
        !same([floatFromHalf(bits)], [Float(Float16(bitPattern: bits))])
      }
      #expect(wrong.isEmpty)
    }
  #endif

  @Test func theLastRowNeedsNoPadding() throws {
    let bytes: [UInt8] = [0, 0x3c, 9, 9, 0, 0x40]
    let layout = try DepthLayout(width: 1, height: 2, scalar: .half, bytesPerRow: 4)
    let plane = try bytes.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
    #expect(plane.values == [1, 2])
  }

  @Test func columnsMayLieApart() throws {
    let values: [Float] = [1, 9, 2, 9, 3, 9, 4, 9]
    let layout = try DepthLayout(width: 2, height: 2, scalar: .float, bytesPerRow: 16, bytesPerColumn: 8)
    let plane = try values.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
    #expect(plane.values == [1, 2, 3, 4])
  }

  @Test func layoutsThatReachOutOfTheBufferAreRefused() throws {
    let layout = try DepthLayout(width: 4, height: 3, scalar: .float, bytesPerRow: 20)
    let bytes = [UInt8](repeating: 0, count: 55)
    #expect(throws: DepthPlaneError.count(found: 55, needed: 56)) {
      try bytes.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
    }
  }

  @Test func layoutsThatCannotBeAreRefused() {
    #expect(throws: DepthPlaneError.size(width: 0, height: 3)) {
      try DepthLayout(width: 0, height: 3, scalar: .half, bytesPerRow: 64)
    }
    #expect(throws: DepthPlaneError.stride(7, least: 8)) {
      try DepthLayout(width: 4, height: 3, scalar: .half, bytesPerRow: 7)
    }
    #expect(throws: DepthPlaneError.stride(2, least: 4)) {
      try DepthLayout(width: 4, height: 3, scalar: .float, bytesPerRow: 64, bytesPerColumn: 2)
    }
    #expect(throws: DepthPlaneError.stride(.max, least: 8)) {
      try DepthLayout(width: 4, height: 3, scalar: .half, bytesPerRow: .max)
    }
    #expect(throws: DepthPlaneError.count(found: 5, needed: 6)) {
      try DepthPlane(width: 2, height: 3, values: [1, 2, 3, 4, 5])
    }
  }

  @Test func aTapReadsThePixelItFallsInto() throws {
    let plane = try DepthPlane(width: 3, height: 2, values: [1, 2, 3, 4, .nan, 0])
    #expect(plane.depth(at: CGPoint(x: 0, y: 0)) == 1)
    #expect(plane.depth(at: CGPoint(x: 2.99, y: 0.99)) == 3)
    #expect(plane.depth(at: CGPoint(x: 0.5, y: 1)) == 4)
    for nothing in [
      CGPoint(x: 1.5, y: 1.5), CGPoint(x: 2.5, y: 1.5), CGPoint(x: 3, y: 0), CGPoint(x: -0.01, y: 0),
      CGPoint(x: 0, y: 2), CGPoint(x: CGFloat.nan, y: 0),
    ] {
      #expect(plane.depth(at: nothing) == nil)
    }
  }

  @Test func aPartHasItsOwnRowsAndColumns() throws {
    let plane = try DepthPlane(width: 3, height: 3, values: [1, 2, 3, 4, 5, 6, 7, 8, .nan])
    #expect(Array(plane.part(rows: 0..<3, columns: 0..<3).values.prefix(8)) == Array(plane.values.prefix(8)))
    let part = plane.part(rows: 1..<3, columns: 1..<3, times: 2)
    #expect(part.width == 2 && part.height == 2)
    #expect(Array(part.values.prefix(3)) == [10, 12, 16] as [Float])
    #expect(part.values[3].isNaN)
  }
}
