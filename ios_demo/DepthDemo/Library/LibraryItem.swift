import CoreTransferable
import Foundation
import PhotosUI
import SwiftUI
import UniformTypeIdentifiers

/// A photo or a video of the library, which takes the place of the camera. The picker runs in a process of its own and hands over what was
/// picked and nothing else, so that no permission is needed.
enum LibraryItem: Sendable {
  case photo(CameraFrame)
  case video(LibraryVideo)

  /// Fetches what was picked, from iCloud if need be; not on the caller's actor.
  ///
  /// - Throws: `LibraryProblem`, and what Photos says.
  init(_ pick: LibraryPick) async throws {
    let picked = pick.item
    if picked.supportedContentTypes.contains(where: { $0.conforms(to: .image) }) {
      guard let data = try await picked.loadTransferable(type: Data.self) else { throw LibraryProblem.unreadable }
      self = .photo(try CameraFrame(photo: data))
    } else {
      let video = try await picked.loadTransferable(type: LibraryVideo.self)
      guard let video else { throw LibraryProblem.unreadable }
      self = .video(video)
    }
  }
}

/// What was picked, on its way to the one task that fetches it.
struct LibraryPick: @unchecked Sendable {
  let item: PhotosPickerItem
}

/// A copy of a video, which is deleted with the last use of it.
final class LibraryVideo: Transferable, Sendable {
  let url: URL

  /// - Parameter file: which the system deletes afterwards.
  /// - Throws: what the file system says.
  init(copying file: URL) throws {
    // What kind of video it is, AVFoundation tells by the suffix.
    url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).\(file.pathExtension)")
    try FileManager.default.copyItem(at: file, to: url)
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }

  static var transferRepresentation: some TransferRepresentation {
    FileRepresentation(importedContentType: .movie) { try LibraryVideo(copying: $0.file) }
  }
}

/// Why there is nothing to see of what was picked.
enum LibraryProblem: LocalizedError {
  case unreadable
  case noVideo
  case turned
  case stopped(String)

  var errorDescription: String? {
    switch self {
    case .unreadable: "This cannot be read as a photo or a video: pick another one."
    case .noVideo: "This file has no pictures: pick another video."
    case .turned: "This video is to be turned by other than quarters: save it anew in an app that edits videos."
    case .stopped(let reason): "The video cannot be read to its end: \(reason)"
    }
  }
}
