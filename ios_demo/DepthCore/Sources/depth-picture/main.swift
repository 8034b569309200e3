// Shows a depth map as the app does, without a screen: colours into a PPM file, the lines of the HUD and one distance to standard output.
//
//     swift run depth-picture METRES WIDTH HEIGHT X Y PRECISION OUT.ppm
//
// METRES holds float32 values row by row, in metres of the camera that took the picture; X and Y are the point to read, in pixels of the
// depth map; PRECISION is that of the model.

import DepthCore
import Foundation

struct Usage: Error {}

func show(_ words: [String]) throws {
  guard words.count == 7, let width = Int(words[1]), let height = Int(words[2]), let x = Double(words[3]),
    let y = Double(words[4])
  else { throw Usage() }
  let content = try Data(contentsOf: URL(fileURLWithPath: words[0]))
  let layout = try DepthLayout(width: width, height: height, scalar: .float, bytesPerRow: 4 * width)
  let plane = try content.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
  let scale = DepthScale.metres(times: 1)
  var normalizer = DepthNormalizer()
  let range = normalizer.range(of: plane)
  let rgba = Colormap.depth.rgba(of: plane, in: range)
  let rgb = (0..<width * height).flatMap { rgba[4 * $0..<4 * $0 + 3] }
  try (Data("P6 \(width) \(height) 255\n".utf8) + Data(rgb)).write(to: URL(fileURLWithPath: words[6]))
  // Nothing was timed here: the figures of a device stay dashes.
  let figures = LiveFigures(
    framesPerSecond: nil, inferenceMS: nil, endToEndMS: nil, range: range, scale: scale, thermalState: nil,
    computeUnits: nil, precision: words[5])
  print(figures.lines.joined(separator: "\n"))
  print(scale.text(plane.depth(at: CGPoint(x: x, y: y))))
}

do {
  try show(Array(CommandLine.arguments.dropFirst()))
} catch is Usage {
  FileHandle.standardError.write(Data("usage: depth-picture METRES WIDTH HEIGHT X Y PRECISION OUT.ppm\n".utf8))
  exit(2)
} catch {
  FileHandle.standardError.write(Data("depth-picture: \(error)\n".utf8))
  exit(2)
}
