import CoreVideo
import DepthCore
import Foundation
import ObjectiveC

/// Runs a model on the pictures that lie beside it, on each compute unit, and compares what it gives with what its package gave on the host.
struct DeviceFidelity: Sendable {
  let found: FoundModel
  let path: InferencePath
  let store: ModelStore

  /// Runs away from the main thread.
  ///
  /// - Throws: `CancellationError`, `HostOutputsError`, `FidelityError`, `ModelProblem`, or what Core ML says.
  func run(onUnits: @escaping @Sendable (ComputeUnits) -> Void) async throws -> FidelityReport {
    let host = try await store.hostOutputs(for: found)
    let created = Date()
    var results: [FidelityResult] = []
    for units in ComputeUnits.allCases {
      onUnits(units)
      try Task.checkCancellation()
      let opened = try await store.open(found, computeUnits: units)
      guard host.belong(to: opened.contract) else { throw HostOutputsError.otherModel(found.name) }
      let work = Task.detached(priority: .userInitiated) { try outputs(of: opened, for: host) }
      let planes = try await withTaskCancellationHandler {
        try await work.value
      } onCancel: {
        work.cancel()
      }
      results += try FidelityResult.results(of: planes, against: host, backend: path.rawValue, on: units)
    }
    return FidelityReport(created: created, machine: Device.machine, host: host, results: results)
  }

  private func outputs(of opened: OpenedModel, for host: HostOutputs) throws -> [DepthPlane] {
    let model = try path.makeModel(opened)
    return try host.frames.map { frame in
      try Task.checkCancellation()
      let pixels = try makePixelBuffer(rgb: frame.rgb, of: host.inputSize)
      return try autoreleasepool { try model.infer(pixels).plane() }
    }
  }
}

/// A picture of red, green and blue bytes, row by row.
func makePixelBuffer(rgb: Data, of size: PixelSize) throws -> CVPixelBuffer {
  let pixels = try makePixelBuffer(size, format: kCVPixelFormatType_32BGRA)
  let status = CVPixelBufferLockBaseAddress(pixels, [])
  guard status == kCVReturnSuccess else { throw DepthProblem.noMemory(status) }
  defer { CVPixelBufferUnlockBaseAddress(pixels, []) }
  guard let base = CVPixelBufferGetBaseAddress(pixels) else { throw DepthProblem.noResult }
  let bytesPerRow = CVPixelBufferGetBytesPerRow(pixels)
  rgb.withUnsafeBytes { (colours: UnsafeRawBufferPointer) in
    for row in 0..<size.height {
      for column in 0..<size.width {
        let (place, colour) = (row * bytesPerRow + 4 * column, 3 * (row * size.width + column))
        let (red, green, blue) = (colours[colour], colours[colour + 1], colours[colour + 2])
        for (byte, value) in [blue, green, red, 255].enumerated() {
          base.storeBytes(of: value, toByteOffset: place + byte, as: UInt8.self)
        }
      }
    }
  }
  return pixels
}
