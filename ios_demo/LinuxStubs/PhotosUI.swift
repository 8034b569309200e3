import Foundation
import SwiftUI
import UniformTypeIdentifiers

public struct PHPickerFilter: Equatable, Hashable, Sendable {
  public static let images = PHPickerFilter(), videos = PHPickerFilter()
  public static func any(of subfilters: [PHPickerFilter]) -> PHPickerFilter { PHPickerFilter() }
}

public struct PhotosPickerItem: Equatable, Hashable {
  public struct EncodingDisambiguationPolicy: Equatable, Hashable, Sendable {
    public static let automatic = EncodingDisambiguationPolicy(), current = EncodingDisambiguationPolicy()
  }

  /// Not to be sent to other threads without care, as Apple's.
  private final class File: Hashable {
    let url: URL
    init(_ url: URL) { self.url = url }
    static func == (one: File, other: File) -> Bool { one === other }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
  }

  public let supportedContentTypes: [UTType]
  private let file: File

  package init(_ url: URL, _ types: [UTType]) { (file, supportedContentTypes) = (File(url), types) }

  /// The file is there only for as long as it is being imported.
  public func loadTransferable<T: Transferable>(type: T.Type) async throws -> sending T? {
    guard let representation = T.transferRepresentation as? FileRepresentation<T>,
      supportedContentTypes.contains(where: { $0.conforms(to: representation.type) })
    else { return nil }
    let lent = file.url.deletingLastPathComponent().appendingPathComponent("\(UUID().uuidString).mov")
    try FileManager.default.copyItem(at: file.url, to: lent)
    defer { try? FileManager.default.removeItem(at: lent) }
    return try await representation.importing(ReceivedTransferredFile(file: lent))
  }
}

public struct PhotosPicker<Label: View>: PrimitiveView {}
extension PhotosPicker where Label == Text {
  public init(
    _ titleKey: LocalizedStringKey, selection: Binding<PhotosPickerItem?>, matching filter: PHPickerFilter? = nil,
    preferredItemEncoding: PhotosPickerItem.EncodingDisambiguationPolicy = .automatic
  ) {}
}
