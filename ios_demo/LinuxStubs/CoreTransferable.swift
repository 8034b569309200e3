import Foundation
import UniformTypeIdentifiers

public protocol TransferRepresentation<Item>: Sendable {
  associatedtype Item: Transferable
}

public protocol Transferable: Sendable {
  associatedtype Representation: TransferRepresentation
  @TransferRepresentationBuilder<Self> static var transferRepresentation: Representation { get }
}

@resultBuilder public struct TransferRepresentationBuilder<Item: Transferable> {
  public static func buildBlock<Content: TransferRepresentation>(_ content: Content) -> Content
  where Content.Item == Item { content }
}

public struct ReceivedTransferredFile: Sendable {
  public let file: URL
  package init(file: URL) { self.file = file }
}

public struct FileRepresentation<Item: Transferable>: TransferRepresentation {
  package let type: UTType
  package let importing: @Sendable (ReceivedTransferredFile) async throws -> Item

  public init(
    importedContentType: UTType, shouldAttemptToOpenInPlace: Bool = false,
    importing: @escaping @Sendable (ReceivedTransferredFile) async throws -> Item
  ) {
    (type, self.importing) = (importedContentType, importing)
  }
}

extension URL: Transferable {
  public static var transferRepresentation: some TransferRepresentation {
    FileRepresentation(importedContentType: .data) { $0.file }
  }
}

extension Data: Transferable {
  public static var transferRepresentation: some TransferRepresentation {
    FileRepresentation(importedContentType: .data) { try Data(contentsOf: $0.file) }
  }
}
