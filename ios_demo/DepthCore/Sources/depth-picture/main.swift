// Shows depth maps as the app does, without a screen: colours into PPM files, the lines of the screen and what a tap reads to standard output.
//
//     swift run depth-picture METRES WIDTH HEIGHT X Y PRECISION OUT.ppm
//     swift run depth-picture compare METRES METRES WIDTH HEIGHT X Y OUT
//
// METRES holds float32 values row by row, in metres of the camera that took the picture; X and Y are the point to read, in pixels of the
// depth map; PRECISION is that of the model. Two models' maps of one picture are written as OUT-first.ppm, OUT-second.ppm in one range of
// colours, their difference as OUT-difference.ppm, and the colours of a legend as OUT-depths.ppm and OUT-differences.ppm.

import DepthCore
import Foundation

struct Usage: Error {}

/// Size of the maps, and a point to read.
struct Frame {
  let width, height: Int
  let point: CGPoint

  init(_ words: ArraySlice<String>) throws {
    let numbers = words.compactMap { Double($0) }
    guard numbers.count == 4, numbers.allSatisfy({ (0...16_384).contains($0) }) else { throw Usage() }
    (width, height) = (Int(numbers[0]), Int(numbers[1]))
    point = CGPoint(x: numbers[2], y: numbers[3])
  }

  func read(_ path: String) throws -> DepthPlane {
    let content = try Data(contentsOf: URL(fileURLWithPath: path))
    let layout = try DepthLayout(width: width, height: height, scalar: .float, bytesPerRow: 4 * width)
    return try content.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
  }
}

func write(_ plane: DepthPlane, _ colours: Colormap, in range: DepthRange, to path: String) throws {
  let rgba = colours.rgba(of: plane, in: range)
  let rgb = (0..<plane.values.count).flatMap { rgba[4 * $0..<4 * $0 + 3] }
  try (Data("P6 \(plane.width) \(plane.height) 255\n".utf8) + Data(rgb)).write(to: URL(fileURLWithPath: path))
}

func show(_ words: [String]) throws {
  guard words.count == 7 else { throw Usage() }
  let frame = try Frame(words[1..<5])
  let plane = try frame.read(words[0])
  let scale = DepthScale.metres(times: 1)
  var normalizer = DepthNormalizer()
  let range = normalizer.range(of: plane)
  try write(plane, .depth, in: range, to: words[6])
  // Nothing was timed here: the figures of a device stay dashes.
  let figures = LiveFigures(
    framesPerSecond: nil, inferenceMS: nil, endToEndMS: nil, range: range, scale: scale, thermalState: nil,
    computeUnits: nil, precision: words[5])
  print(figures.lines.joined(separator: "\n"))
  print(scale.text(plane.depth(at: frame.point)))
}

func compare(_ words: [String]) throws {
  guard words.count == 7 else { throw Usage() }
  let frame = try Frame(words[2..<6])
  let region = CGRect(x: 0, y: 0, width: frame.width, height: frame.height)
  let shown = try words.prefix(2).map {
    ShownDepth(plane: try frame.read($0), region: region, scale: .metres(times: 1))
  }
  guard let difference = DepthDifference(shown[0], shown[1]) else { throw Usage() }
  var normalizers = [DepthNormalizer(), DepthNormalizer()]
  let range = normalizers[0].range(of: difference.first).union(normalizers[1].range(of: difference.second))
  let out = words[6]
  try write(difference.first, .depth, in: range, to: "\(out)-first.ppm")
  try write(difference.second, .depth, in: range, to: "\(out)-second.ppm")
  try write(difference.relative, .difference, in: DepthDifference.range, to: "\(out)-difference.ppm")
  let steps = try DepthPlane(width: 256, height: 1, values: (0..<256).map { (Float($0) + 0.5) / 256 })
  try write(steps, .depth, in: DepthRange(near: 0, far: 1), to: "\(out)-depths.ppm")
  try write(steps, .difference, in: DepthRange(near: 0, far: 1), to: "\(out)-differences.ppm")
  let readings = difference.readings(at: CGPoint(x: frame.point.x / region.width, y: frame.point.y / region.height))
  print(([difference.scale.text(range)] + difference.lines).joined(separator: "\n"))
  print(([DepthDifference.range.near, DepthDifference.range.far].map(DepthDifference.percent)).joined(separator: "\n"))
  print("\(readings.first)\n\(readings.second)\n\(readings.difference)")
}

do {
  let words = Array(CommandLine.arguments.dropFirst())
  if words.first == "compare" { try compare(Array(words.dropFirst())) } else { try show(words) }
} catch is Usage {
  let usage = """
    usage: depth-picture METRES WIDTH HEIGHT X Y PRECISION OUT.ppm
           depth-picture compare METRES METRES WIDTH HEIGHT X Y OUT

    """
  FileHandle.standardError.write(Data(usage.utf8))
  exit(2)
} catch {
  FileHandle.standardError.write(Data("depth-picture: \(error)\n".utf8))
  exit(2)
}
