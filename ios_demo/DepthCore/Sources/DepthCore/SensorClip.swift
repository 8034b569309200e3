import Foundation

/// A clip of pictures with a sensor's depth, written as the command line's `folder:` reads it: `rgb/0000.jpg`, `depth/0000.png` in millimetres,
/// and `clip.json` with the spec to read it by, focal lengths, and how a model agreed with the sensor.
///
/// Call it from one thread at a time.
public final class SensorClipWriter {
  /// What `clip.json` holds.
  struct Record: Codable {
    /// What to give the command line, where the folder lies in the current one; the median of the focal lengths.
    var spec: String
    var model: String
    var device: String
    /// Over all frames.
    var agreement: SensorAgreement?
    var frames: [Frame]
  }

  /// One picture.
  struct Frame: Codable {
    let name: String
    /// Of the picture, in pixels.
    let width, height: Int
    /// Focal lengths in pixels of the picture; nil where the camera didn't tell.
    let fx, fy: Double?
    let agreement: SensorAgreement?
  }

  /// Where the clip lies.
  public let folder: URL
  private var record: Record

  /// Pictures so far.
  public var count: Int { record.frames.count }
  /// Over all pictures so far; nil before the first that could be compared.
  public var agreement: SensorAgreement? { SensorAgreement.mean(of: record.frames.compactMap(\.agreement)) }

  /// Begins a clip in a folder that doesn't exist yet.
  ///
  /// - Parameters:
  ///   - model: whose depth is compared with the sensor's.
  ///   - device: that records.
  /// - Throws: what the file system says.
  public init(folder: URL, model: String, device: String) throws {
    self.folder = folder
    record = Record(spec: "", model: model, device: device, agreement: nil, frames: [])
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    for part in ["rgb", "depth"] {
      try FileManager.default.createDirectory(
        at: folder.appendingPathComponent(part), withIntermediateDirectories: false)
    }
  }

  /// Adds a picture; one whose sensor saw nothing is left out, as it holds no truth.
  ///
  /// Picture and depth are of one size: the least multiple of the sensor's whose longer side has 640 pixels or more. Each of the sensor's pixels
  /// is repeated, so that no depth is made up between them.
  ///
  /// - Parameters:
  ///   - depth: the sensor's, upright, of all that the image shows; of its shape.
  ///   - image: size of the camera's upright image.
  ///   - intrinsics: of the image; nil where the camera doesn't tell.
  ///   - agreement: of the model's depth of this image; nil where it couldn't be compared.
  ///   - jpeg: gives the upright image, scaled to this size, without an orientation of its own.
  /// - Throws: what `jpeg` throws, and what the file system says.
  public func add(
    _ depth: DepthPlane, image: PixelSize, intrinsics: CameraIntrinsics?, agreement: SensorAgreement?,
    jpeg: (PixelSize) throws -> Data
  ) throws {
    guard depth.values.contains(where: { DepthPlane.storableMillimetres.contains(($0 * 1000).rounded()) }) else {
      return
    }
    let times = (Self.leastSide - 1) / max(depth.width, depth.height) + 1
    let size = PixelSize(width: depth.width * times, height: depth.height * times)
    let name = String(format: "%04d", count)
    try jpeg(size).write(to: folder.appendingPathComponent("rgb/\(name).jpg"))
    try depth.repeated(times).png().write(to: folder.appendingPathComponent("depth/\(name).png"))
    let (across, down) = (
      Double(size.width) / Double(image.width), Double(size.height) / Double(image.height)
    )
    record.frames.append(
      Frame(
        name: name, width: size.width, height: size.height, fx: intrinsics.map { $0.fx * across },
        fy: intrinsics.map { $0.fy * down }, agreement: agreement))
  }

  /// Of the longer side, in pixels: that of the pictures that networks for rooms learn from.
  private static let leastSide = 640

  /// Writes `clip.json`.
  ///
  /// - Throws: what the file system says.
  public func finish() throws {
    let focal = record.frames.compactMap(\.fx).sorted()
    let option = focal.isEmpty ? "" : String(format: "?fx=%.1f", focal[focal.count / 2])
    record.spec = "folder:\(folder.lastPathComponent)\(option)"
    record.agreement = agreement
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(record).write(to: folder.appendingPathComponent("clip.json"))
  }
}

extension DepthPlane {
  /// Each pixel as a square of pixels.
  func repeated(_ times: Int) -> DepthPlane {
    DepthPlane(
      width: width * times, height: height * times,
      packed: (0..<height * times).flatMap { y in
        (0..<width * times).map { x in values[y / times * width + x / times] }
      })
  }
}
