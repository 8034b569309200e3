import AVFoundation
import CoreML
import CoreVideo
import DepthCore
import XCTest

@testable import DepthDemo

/// Red grows to the right, green downwards.
func slope(_ x: Double, _ y: Double) -> SIMD3<Double> { SIMD3(255 * x, 255 * y, 200) }

/// A live screen with a package's model opened, and its camera started.
@MainActor func openedLive(_ package: Package) async throws -> LiveState {
  try package.write()
  let state = LiveState()
  await state.start()
  await state.waitUntilOpened()
  return state
}

/// A picture of a scene in shares of its width and height.
func picture(
  _ width: Int, _ height: Int, format: OSType = kCVPixelFormatType_32BGRA,
  _ scene: (Double, Double) -> SIMD3<Double> = slope
) throws -> CVPixelBuffer {
  let pixels = try makePixelBuffer(PixelSize(width: width, height: height), format: format)
  for y in 0..<height {
    for x in 0..<width {
      let colour = scene((Double(x) + 0.5) / Double(width), (Double(y) + 0.5) / Double(height))
      pixels[colour: x, y] = SIMD4(colour, 255)
    }
  }
  return pixels
}

/// The furthest that a depth map lies from what the fake model makes of the centred part of `slope`, width : height of the picture being
/// `aspect`.
func error(of depth: DepthPlane, aspect: Double, model: Double = 4.0 / 3) -> Float {
  let (width, height) = (min(1, model / aspect), min(1, aspect / model))
  var worst: Float = 0
  for row in 0..<depth.height {
    for column in 0..<depth.width {
      let x = 0.5 + ((Double(column) + 0.5) / Double(depth.width) - 0.5) * width
      let y = 0.5 + ((Double(row) + 0.5) / Double(depth.height) - 0.5) * height
      let expected = FakeModel.depth(of: SIMD4(slope(x, y), 255))
      worst = max(worst, abs(depth.values[row * depth.width + column] - expected))
    }
  }
  return worst
}

/// Less than this is rounding of colours and of Float16, and the border, which is level for half a pixel; a pixel further is 0.2 or more.
let rounding: Float = 0.06

/// A package in the app's folder, 16×12 pixels large, as wide as its depth.
struct Package {
  var name = "Fake"
  var output = "image"
  var units = "metres"
  var computeUnits = "cpuAndGPU"
  var precision = "fp16"
  var target = "iOS17"
  var framing = "crop"
  /// Focal length in widths of a picture.
  var focal: Double?

  var metadata: [String: String] {
    [
      "fcrn_mobile.output_units": units, "fcrn_mobile.contract": #"{"framing":"\#(framing)"}"#,
      "fcrn_mobile.camera": focal.map { #"{"focal_px":\#($0 * 640),"width_px":640}"# } ?? "{}",
      "fcrn_mobile.recipe":
        #"{"name":"r","precision":"\#(precision)","output":"\#(output)","compute_units":"\#(computeUnits)","target":"\#(target)"}"#,
    ]
  }

  @discardableResult func write() throws -> FoundModel {
    let folder = try documentsFolder().appendingPathComponent("\(name).mlpackage", isDirectory: true)
    let data = folder.appendingPathComponent("Data")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    let model = FakeModel(inputSize: [16, 12], depthSize: [16, 12], output: output, metadata: metadata)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    try encoder.encode(model).write(to: folder.appendingPathComponent("fake.json"))
    try specification.write(to: folder.appendingPathComponent("Data/model.mlmodel"))
    let manifest = #"{"rootModelIdentifier":"A","itemInfoEntries":{"A":{"path":"model.mlmodel"}}}"#
    try Data(manifest.utf8).write(to: folder.appendingPathComponent("Manifest.json"))
    return FoundModel(url: folder)
  }

  /// Version 8 and the metadata, in Protocol Buffers' wire format.
  private var specification: Data {
    func field(_ number: UInt8, _ content: Data) -> Data {
      let key = number < 16 ? Data([number << 3 | 2]) : Data([number << 3 | 0x82, number >> 4])
      return key + Data([UInt8(content.count & 0x7f) | 0x80, UInt8(content.count >> 7)]) + content
    }
    let entries = metadata.sorted { $0.key < $1.key }
      .map { field(100, field(1, Data($0.key.utf8)) + field(2, Data($0.value.utf8))) }
    return Data([1 << 3, 8]) + field(2, field(100, entries.reduce(Data(), +)))
  }

  func open(on units: ComputeUnits = .cpuOnly) async throws -> OpenedModel {
    try await ModelStore().open(write(), computeUnits: units)
  }
}

/// Takes all models away, and lets camera, lens, Core ML, videos and heat be as at the beginning.
func startOver() throws {
  for found in try FileManager.default.contentsOfDirectory(at: documentsFolder(), includingPropertiesForKeys: nil) {
    try FileManager.default.removeItem(at: found)
  }
  FakeCamera.shared.reset()
  FakeCoreML.shared.reset()
  ProcessInfo.heat = .nominal
  FakeVideo.breaks = false
  Lens.kept = .wide
}

struct NeverHappened: Error {}

/// Waits until something is so, at most half a minute.
@MainActor func eventually(_ condition: @MainActor () throws -> Bool) async throws {
  for _ in 0..<6000 {
    if try condition() { return }
    try await Task.sleep(for: .milliseconds(5))
  }
  throw NeverHappened()
}

/// Holds back whoever waits, until it is opened.
final class Gate: @unchecked Sendable {
  private let condition = NSCondition()
  private var isOpen = false
  private var waiting = 0

  var waiters: Int { condition.withLock { waiting } }

  func wait() {
    condition.withLock {
      waiting += 1
      while !isOpen { condition.wait() }
    }
  }

  func open() {
    condition.withLock {
      isOpen = true
      condition.broadcast()
    }
  }
}

/// Holds back all predictions from now on, until the gate is opened.
///
/// - Parameters:
///   - count: that have begun when this returns.
///   - begin: called until so many have.
@MainActor func holdPredictions(_ count: Int = 1, begin: @MainActor () -> Void) async throws -> Gate {
  let gate = Gate()
  // Of an image before, one model may have begun and another not.
  try await eventually { !FakeCamera.shared.isBusy }
  FakeCoreML.shared.reset { gate.wait() }
  try await eventually {
    if gate.waiters < count { begin() }
    return gate.waiters == count
  }
  return gate
}
