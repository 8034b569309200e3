import Foundation

/// What a model says of itself before Core ML opens it: read from the specification in an `.mlpackage`, or from an `.mlmodel`.
///
/// A specification is the Protocol Buffers message `Model` of coremltools' `Model.proto`.
public struct PackageMetadata: Sendable, Equatable {
  /// Of Core ML's format.
  public let specificationVersion: Int
  /// Metadata under the maker's own keys.
  public let userDefined: [String: String]

  /// - Throws: `PackageMetadataError`, or why a file cannot be read.
  public init(package url: URL) throws {
    let specification = url.pathExtension == "mlpackage" ? try Self.specification(in: url) : url
    // The weights of an .mlmodel are in it: they are not read.
    try self.init(specification: Data(contentsOf: specification, options: .mappedIfSafe))
  }

  /// - Throws: `PackageMetadataError`.
  public init(specification: Data) throws(PackageMetadataError) {
    var (version, metadata) = (0, [String: String]())
    try ProtobufMessage(specification).forEachField { field, value throws(PackageMetadataError) in
      switch (field, value) {
      case (1, .number(let number)): version = Int(clamping: number)
      case (2, .bytes(let description)): metadata = try Self.userDefined(of: description)
      default: break
      }
    }
    guard version > 0 else { throw .malformed }
    (specificationVersion, userDefined) = (version, metadata)
  }

  /// Where the recipe asks to run it; nil where there is none, or it says nothing known.
  public var computeUnits: ComputeUnits? {
    recipe?.computeUnits.flatMap(ComputeUnits.init(rawValue:))
  }

  /// The oldest iOS that opens it: as its recipe says, and as its specification needs where that is known.
  public var oldestIOS: Int? {
    let target = recipe?.target.flatMap { $0.wholeMatch(of: /iOS(\d+)/) }.flatMap { Int($0.1) }
    return [target, Self.releases[specificationVersion]].compactMap { $0 }.max()
  }

  /// Version of the specification → the iOS that came with it (`coremltools.target`).
  private static let releases = [1: 11, 2: 11, 3: 12, 4: 13, 5: 14, 6: 15, 7: 16, 8: 17, 9: 18]

  private struct Recipe: Decodable {
    let target: String?
    let computeUnits: String?

    enum CodingKeys: String, CodingKey {
      case target
      case computeUnits = "compute_units"
    }
  }

  private var recipe: Recipe? {
    userDefined[ModelMetadata.Key.recipe.rawValue].flatMap {
      try? JSONDecoder().decode(Recipe.self, from: Data($0.utf8))
    }
  }

  private struct Manifest: Decodable {
    struct Item: Decodable { let path: String }

    let rootModelIdentifier: String
    let itemInfoEntries: [String: Item]
  }

  private static func specification(in package: URL) throws -> URL {
    let content = try Data(contentsOf: package.appendingPathComponent("Manifest.json"))
    let manifest = try JSONDecoder().decode(Manifest.self, from: content)
    guard let item = manifest.itemInfoEntries[manifest.rootModelIdentifier] else {
      throw PackageMetadataError.malformed
    }
    return package.appendingPathComponent("Data").appendingPathComponent(item.path)
  }

  /// `ModelDescription.metadata.userDefined`, a map: messages of a key and a value.
  private static func userDefined(of description: Data) throws(PackageMetadataError) -> [String: String] {
    var entries: [String: String] = [:]
    try ProtobufMessage(description).forEachField { field, value throws(PackageMetadataError) in
      guard case (100, .bytes(let metadata)) = (field, value) else { return }
      try ProtobufMessage(metadata).forEachField { field, value throws(PackageMetadataError) in
        guard case (100, .bytes(let entry)) = (field, value) else { return }
        var words = ["", ""]
        try ProtobufMessage(entry).forEachField { field, value throws(PackageMetadataError) in
          if case .bytes(let text) = value, (1...2).contains(field) {
            words[field - 1] = String(decoding: text, as: UTF8.self)
          }
        }
        entries[words[0]] = words[1]
      }
    }
    return entries
  }
}

/// A file that is no model.
public enum PackageMetadataError: ExplainedError, Equatable {
  case malformed

  /// What is wrong, in one line.
  public var description: String { "it is not a Core ML specification" }
}

/// Fields of a message in Protocol Buffers' wire format.
private struct ProtobufMessage {
  enum Value {
    case number(UInt64)
    case bytes(Data)
    /// Of a fixed size.
    case other
  }

  private let content: Data

  init(_ content: Data) { self.content = content }

  func forEachField(_ body: (Int, Value) throws(PackageMetadataError) -> Void) throws(PackageMetadataError) {
    var place = content.startIndex
    while place < content.endIndex {
      let key = try varint(&place)
      let value: Value
      switch key & 7 {
      case 0: value = .number(try varint(&place))
      case 1: value = try skip(8, &place)
      case 2: value = .bytes(try part(varint(&place), &place))
      case 5: value = try skip(4, &place)
      default: throw .malformed
      }
      try body(Int(clamping: key >> 3), value)
    }
  }

  private func varint(_ place: inout Int) throws(PackageMetadataError) -> UInt64 {
    var number: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard place < content.endIndex else { throw .malformed }
      let byte = content[place]
      place += 1
      number |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return number }
    }
    throw .malformed
  }

  private func part(_ length: UInt64, _ place: inout Int) throws(PackageMetadataError) -> Data {
    guard length <= UInt64(content.endIndex - place) else { throw .malformed }
    defer { place += Int(length) }
    return content[place..<place + Int(length)]
  }

  private func skip(_ length: UInt64, _ place: inout Int) throws(PackageMetadataError) -> Value {
    _ = try part(length, &place)
    return .other
  }
}
