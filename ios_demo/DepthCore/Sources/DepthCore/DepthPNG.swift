import Foundation

extension DepthPlane {
  /// The depth that 16 bits of millimetres can hold; readers take the largest number for a sensor's "nothing".
  static let storableMillimetres: ClosedRange<Float> = 1...65_534

  /// A PNG of 16-bit grey in millimetres, rounded, as the command line reads it; 0 where there is no depth, or one that 16 bits cannot hold.
  ///
  /// Written by the specification (W3C, third edition): one chunk of rows, each after filter 0, in a stream of zlib (RFC 1950) whose blocks are
  /// stored (RFC 1951, 3.2.4). Compression would need a library that not every system has.
  public func png() -> Data {
    var rows: [UInt8] = []
    rows.reserveCapacity(height * (1 + 2 * width))
    for row in 0..<height {
      rows.append(0)
      for column in 0..<width {
        let depth = millimetres(values[row * width + column])
        rows.append(UInt8(depth >> 8))
        rows.append(UInt8(depth & 0xff))
      }
    }
    // 16 bits, grey; the only compression and filter there are, not interlaced.
    let header = bigEndian(UInt32(width)) + bigEndian(UInt32(height)) + [16, 0, 0, 0, 0]
    let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
    return Data(signature + chunk("IHDR", header) + chunk("IDAT", zlibStored(rows)) + chunk("IEND", []))
  }

  private func millimetres(_ metres: Float) -> UInt16 {
    let thousandths = (metres * 1000).rounded()
    return Self.storableMillimetres.contains(thousandths) ? UInt16(thousandths) : 0
  }
}

private func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
  let named = Array(name.utf8) + content
  return bigEndian(UInt32(content.count)) + named + bigEndian(crc32(named))
}

/// A stream that holds bytes as they are.
private func zlibStored(_ bytes: [UInt8]) -> [UInt8] {
  let longest = 0xffff
  // Window of 32 KiB, least effort: a multiple of 31.
  var stream: [UInt8] = [0x78, 0x01]
  for start in stride(from: 0, to: bytes.count, by: longest) {
    let block = bytes[start..<min(start + longest, bytes.count)]
    let length = UInt16(block.count)
    stream.append(block.endIndex == bytes.count ? 1 : 0)
    stream += bigEndian(length.byteSwapped) + bigEndian((~length).byteSwapped) + block
  }
  return stream + bigEndian(adler32(bytes))
}

/// Checksum of zlib, RFC 1950, section 8.2.
private func adler32(_ bytes: [UInt8]) -> UInt32 {
  var (a, b): (UInt32, UInt32) = (1, 0)
  for byte in bytes {
    a = (a + UInt32(byte)) % 65_521
    b = (b + a) % 65_521
  }
  return b << 16 | a
}

/// Checksum of a chunk: ISO 3309's polynomial, bits from the lowest.
private func crc32(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(UInt32.max) { checksum, byte in
    checksum >> 8 ^ crcTable[Int((checksum ^ UInt32(byte)) & 0xff)]
  }
}

private let crcTable: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { checksum, _ in checksum >> 1 ^ (checksum & 1 == 1 ? 0xedb8_8320 : 0) }
}

private func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.bigEndian) { Array($0) }
}
