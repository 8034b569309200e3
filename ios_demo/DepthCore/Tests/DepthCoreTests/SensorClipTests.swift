import Foundation
import Testing

@testable import DepthCore

/// What is recorded, against the files that Python reads.
struct SensorClipTests {
  /// Millimetres of the fixture, as metres, and what no file can hold in some places.
  private func sensor() throws -> DepthPlane {
    try DepthPlane(width: 40, height: 24, values: Fixture.floats("clip_sensor.bin"))
  }

  @Test func aDepthMapIsTheFileThatPythonReads() throws {
    let png = try sensor().png()
    let expected = try Fixture.data("clip_depth.png")
    #expect(png == expected)
  }

  @Test func rowsBeyondOneBlockAreOneStream() throws {
    let plane = try DepthPlane(width: 640, height: 60, values: (0..<38_400).map { Float($0) / 1000 })
    let png = plane.png()
    // Two blocks of a head of 5 bytes; the second is the last.
    let content = 60 * (1 + 2 * 640)
    #expect(content > 0xffff)
    #expect(png.count == 8 + 25 + 12 + 2 + 2 * 5 + content + 4 + 12)
    let first = 8 + 25 + 8 + 2
    #expect(Array(png[first..<first + 5]) == [0, 0xff, 0xff, 0, 0])
    let rest = UInt16(content - 0xffff)
    let second = first + 5 + 0xffff
    #expect(Array(png[second..<second + 3]) == [1, UInt8(rest & 0xff), UInt8(rest >> 8)])
  }

  @Test func aClipIsTheFolderThatTheCommandLineReads() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("clip-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = try SensorClipWriter(folder: folder, model: "example", device: "made up")
    let plane = try sensor()
    let agreement = SensorAgreement(model: plane.part(times: 2), sensor: plane)
    let blind = try DepthPlane(width: 1, height: 1, values: [.nan])
    var sizes: [PixelSize] = []
    for depth in [plane, blind, plane] {
      try clip.add(
        depth, image: PixelSize(width: 1280, height: 768), intrinsics: CameraIntrinsics(fx: 962, fy: 962),
        agreement: agreement
      ) {
        sizes.append($0)
        return Data("picture".utf8)
      }
    }
    try clip.finish()
    // A picture without truth is none.
    #expect(clip.count == 2 && sizes == Array(repeating: PixelSize(width: 640, height: 384), count: 2))
    let files = try #require(FileManager.default.subpaths(atPath: folder.path)).filter { $0.contains(".") }
    #expect(
      files.sorted() == ["clip.json", "depth/0000.png", "depth/0001.png", "rgb/0000.jpg", "rgb/0001.jpg"])
    let stored = try Data(contentsOf: folder.appendingPathComponent("depth/0001.png"))
    #expect(stored == plane.repeated(16).png())
    let record = try JSONDecoder().decode(
      SensorClipWriter.Record.self, from: Data(contentsOf: folder.appendingPathComponent("clip.json")))
    #expect(record.spec == "folder:\(folder.lastPathComponent)?fx=481.0")
    #expect(record.frames.map(\.name) == ["0000", "0001"] && record.frames[0].fy == 481)
    #expect(record.agreement == agreement.flatMap { .mean(of: [$0, $0]) } && record.frames[0].agreement == agreement)
  }

  @Test func aPixelOfTheSensorIsASquareOfThem() throws {
    let plane = try DepthPlane(width: 2, height: 1, values: [1, 2])
    let square = plane.repeated(2)
    #expect(square.width == 4 && square.height == 2 && square.values == [1, 1, 2, 2, 1, 1, 2, 2])
  }
}
