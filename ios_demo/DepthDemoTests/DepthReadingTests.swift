import CoreML
import CoreVideo
import DepthCore
import XCTest

@testable import DepthDemo

/// Reading of what Core ML hands over, from real buffers: DepthCore's own tests cannot make any.
final class DepthReadingTests: XCTestCase {
  func testRowsOfAPixelBufferMayBePadded() throws {
    let size = PixelSize(width: 13, height: 7)
    let pixels = try makePixelBuffer(size, format: kCVPixelFormatType_OneComponent32Float)
    XCTAssertEqual(CVPixelBufferLockBaseAddress(pixels, []), kCVReturnSuccess)
    let base = try XCTUnwrap(CVPixelBufferGetBaseAddress(pixels))
    for row in 0..<size.height {
      for column in 0..<size.width {
        let offset = row * CVPixelBufferGetBytesPerRow(pixels) + column * 4
        base.storeBytes(of: Float(row * 100 + column), toByteOffset: offset, as: Float.self)
      }
    }
    CVPixelBufferUnlockBaseAddress(pixels, [])
    let plane = try DepthOutput.picture(pixels).plane()
    XCTAssertEqual(plane.width, size.width)
    XCTAssertEqual(plane.values[6 * 13 + 12], 612)
    XCTAssertEqual(plane.values.count, 91)
  }

  func testAMultiArrayIsReadByItsStrides() throws {
    let array = try MLMultiArray(shape: [1, 1, 3, 5], dataType: .float32)
    for index in 0..<15 { array[index] = NSNumber(value: Float(index)) }
    XCTAssertEqual(try DepthOutput.array(array).plane().values, (0..<15).map(Float.init))
  }

  func testAnArrayThatIsNoDepthMapIsRefused() throws {
    let array = try MLMultiArray(shape: [1, 2, 3, 5], dataType: .float32)
    XCTAssertThrowsError(try DepthOutput.array(array).plane())
  }
}
