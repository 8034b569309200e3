import Foundation

@testable import DepthCore

/// Files that scripts/make_fixtures.py wrote.
enum Fixture {
  static func data(_ name: String) throws -> Data {
    try Data(contentsOf: Bundle.module.bundleURL.appendingPathComponent("Fixtures/\(name)"))
  }

  static func decode<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: data(name))
  }

  static func floats(_ name: String) throws -> [Float] {
    try data(name).withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
    }
  }
}

/// A depth map in a file of JSON.
struct StoredMap: Decodable {
  let width, height: Int
  /// NaN where there is none.
  let floats: Data

  func plane() throws -> DepthPlane {
    let layout = try DepthLayout(width: width, height: height, scalar: .float, bytesPerRow: 4 * width)
    return try floats.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
  }
}
