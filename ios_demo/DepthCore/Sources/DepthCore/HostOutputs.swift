import Foundation

/// Pictures of a model's size, and what its package made of them on another machine: `fcrn-mobile ios-install` puts them beside the package,
/// as `NAME.fidelity.json`.
public struct HostOutputs: Decodable, Sendable, Equatable {
  /// What is read.
  public static let schemaVersion = 1
  /// After a package's name.
  public static let suffix = "fidelity.json"

  /// Name of the package.
  public let model: String
  /// Hash of the package that was installed.
  public let exportedSHA256: String
  /// Hash of its copy in the app, see `hashedFolder`.
  public let packageSHA256: String
  /// Hash of the checkpoint that it was exported from; nil where it isn't known.
  public let checkpointSHA256: String?
  /// Settings of its export; nil where it has none.
  public let recipe: JSONValue?
  /// Arithmetic → what computed the outputs.
  public let hosts: [String: String]
  /// Where the pictures come from, as a data spec.
  public let data: String
  /// Of the depth.
  public let unit: String
  /// A frame whose abs_rel is above it differs.
  public let tolerance: Double
  /// Of the pictures.
  public let inputSize: PixelSize
  /// Of the outputs.
  public let outputSize: PixelSize
  /// At least one.
  public let frames: [Frame]

  /// The folder of a package whose files `packageSHA256` is of, in the order of `readPackage`.
  public static let hashedFolder = "Data"

  /// One picture.
  public struct Frame: Sendable, Equatable {
    /// In its source.
    public let name: String
    /// Red, green and blue of each pixel, row by row.
    public let rgb: Data
    /// Arithmetic → the output.
    public let outputs: [String: DepthPlane]
  }

  /// Reads the file.
  ///
  /// - Throws: `HostOutputsError`.
  public init(json: Data) throws(HostOutputsError) {
    do {
      self = try JSONDecoder().decode(Self.self, from: json)
    } catch let error as HostOutputsError {
      throw error
    } catch {
      throw .malformed
    }
  }

  /// Reads it from JSON.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let version = try container.decode(Int.self, forKey: .schemaVersion)
    guard version == Self.schemaVersion else { throw HostOutputsError.schemaVersion(version) }
    model = try container.decode(String.self, forKey: .model)
    exportedSHA256 = try container.decode(String.self, forKey: .exportedSHA256)
    packageSHA256 = try container.decode(String.self, forKey: .packageSHA256)
    checkpointSHA256 = try container.decodeIfPresent(String.self, forKey: .checkpointSHA256)
    recipe = try container.decodeIfPresent(JSONValue.self, forKey: .recipe)
    let hosts = try container.decode([String: String].self, forKey: .hosts)
    data = try container.decode(String.self, forKey: .data)
    unit = try container.decode(String.self, forKey: .unit)
    tolerance = try container.decode(Double.self, forKey: .tolerance)
    let input = try Self.size(container.decode([Int].self, forKey: .inputSize))
    let output = try Self.size(container.decode([Int].self, forKey: .outputSize))
    let stored = try container.decode([[String: String]].self, forKey: .frames)
    frames = try stored.map { try Self.frame($0, hosts.keys, input, output) }
    (self.hosts, inputSize, outputSize) = (hosts, input, output)
    guard !frames.isEmpty, !hosts.isEmpty else { throw HostOutputsError.malformed }
  }

  /// Whether a loaded model is the one that they are of, as far as it tells: its hash is that of a package, which Xcode compiles away.
  public func belong(to contract: ModelContract) -> Bool {
    (inputSize, outputSize) == (contract.inputSize, contract.depthSize) && recipe == contract.recipeJSON
      && checkpointSHA256 == contract.checkpointSHA256
  }

  private static func size(_ sides: [Int]) throws -> PixelSize {
    guard sides.count == 2, sides.allSatisfy((1...16_384).contains) else { throw HostOutputsError.malformed }
    return PixelSize(width: sides[1], height: sides[0])
  }

  private static func frame(
    _ stored: [String: String], _ hosts: Dictionary<String, String>.Keys, _ input: PixelSize, _ output: PixelSize
  ) throws -> Frame {
    guard let name = stored["name"], let rgb = stored["rgb"].flatMap({ Data(base64Encoded: $0) }),
      rgb.count == 3 * input.width * input.height
    else { throw HostOutputsError.malformed }
    let layout = try DepthLayout(
      width: output.width, height: output.height, scalar: .float, bytesPerRow: 4 * output.width)
    var outputs: [String: DepthPlane] = [:]
    for host in hosts {
      guard let values = stored[host].flatMap({ Data(base64Encoded: $0) }),
        values.count == 4 * output.width * output.height
      else { throw HostOutputsError.malformed }
      outputs[host] = try values.withUnsafeBytes { try DepthPlane(copying: $0, layout: layout) }
    }
    return Frame(name: name, rgb: rgb, outputs: outputs)
  }

  enum CodingKeys: String, CodingKey {
    case model, recipe, hosts, data, unit, frames
    case schemaVersion = "schema_version"
    case exportedSHA256 = "exported_sha256"
    case packageSHA256 = "package_sha256"
    case checkpointSHA256 = "checkpoint_sha256"
    case tolerance = "tolerance_abs_rel"
    case inputSize = "input_size"
    case outputSize = "output_size"
  }
}

/// Host outputs that cannot be compared with.
public enum HostOutputsError: ExplainedError, Equatable {
  /// There are none.
  case missing(String)
  /// It is no such file.
  case malformed
  /// Of a later version.
  case schemaVersion(Int)
  /// They are not this model's.
  case otherModel(String)

  /// What is wrong, in one line.
  public var description: String {
    switch self {
    case .missing(let model):
      "\(model) has no \(model).\(HostOutputs.suffix) beside it to compare with: install it with fcrn-mobile ios-install"
    case .malformed: "the host's outputs cannot be read: install the model again with fcrn-mobile ios-install"
    case .schemaVersion(let version):
      "the host's outputs have schema version \(version), this reads version \(HostOutputs.schemaVersion): update the app"
    case .otherModel(let model):
      "\(model).\(HostOutputs.suffix) is of another \(model): install it again with fcrn-mobile ios-install --force"
    }
  }
}
