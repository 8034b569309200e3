import CoreML
import CoreVideo
import DepthCore
import Foundation

extension DepthPlane {
  /// Copies a one-channel pixel buffer of depth.
  public init(_ pixels: CVPixelBuffer) throws {
    let format = CVPixelBufferGetPixelFormatType(pixels)
    let scalar: DepthLayout.Scalar
    switch format {
    case kCVPixelFormatType_OneComponent16Half, kCVPixelFormatType_DepthFloat16: scalar = .half
    case kCVPixelFormatType_OneComponent32Float, kCVPixelFormatType_DepthFloat32: scalar = .float
    default: throw DepthProblem.pixelFormat(format)
    }
    let layout = try DepthLayout(
      width: CVPixelBufferGetWidth(pixels), height: CVPixelBufferGetHeight(pixels), scalar: scalar,
      bytesPerRow: CVPixelBufferGetBytesPerRow(pixels))
    let status = CVPixelBufferLockBaseAddress(pixels, .readOnly)
    guard status == kCVReturnSuccess else { throw DepthProblem.noMemory(status) }
    defer { CVPixelBufferUnlockBaseAddress(pixels, .readOnly) }
    guard let base = CVPixelBufferGetBaseAddress(pixels) else { throw DepthProblem.noResult }
    let bytes = UnsafeRawBufferPointer(start: base, count: CVPixelBufferGetDataSize(pixels))
    try self.init(copying: bytes, layout: layout)
  }

  /// Copies a 1×1×h×w multi-array of depth.
  public init(_ array: MLMultiArray) throws {
    let scalar: DepthLayout.Scalar
    switch array.dataType {
    case .float16: scalar = .half
    case .float32: scalar = .float
    case .double: scalar = .double
    default: throw DepthProblem.arrayType(array.dataType.rawValue)
    }
    let shape = array.shape.map(\.intValue)
    let strides = array.strides.map(\.intValue)
    guard shape.count >= 2, strides.count == shape.count, shape.dropLast(2).allSatisfy({ $0 == 1 }) else {
      throw DepthProblem.arrayShape(shape)
    }
    let layout = try DepthLayout(
      width: shape[shape.count - 1], height: shape[shape.count - 2], scalar: scalar,
      bytesPerRow: strides[shape.count - 2] * scalar.size, bytesPerColumn: strides[shape.count - 1] * scalar.size)
    self = try array.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
  }
}
