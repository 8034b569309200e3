import Foundation
import Observation
import PhotosUI
import SwiftUI

/// Where the live view's images come from: the camera through one of its lenses, the camera beside its scanner, or the library.
@MainActor @Observable
final class LiveSource {
  /// What is shown in place of the camera's images; nil while the camera is.
  private(set) var item: LibraryItem?
  /// Whether something is on its way from the library.
  private(set) var isLoading = false
  /// Of this device, when the camera was started last.
  private(set) var lenses = Lens.available
  /// Whether this device has a LiDAR scanner.
  let hasSensor = DepthSensor.device != nil
  /// Whether images come with what the scanner measures.
  var usesSensor = false {
    didSet { if usesSensor != oldValue { change { await $0.changeCamera() } } }
  }
  /// The one that was chosen, which is kept; the wide one where the device doesn't have that now.
  var lens: Lens {
    get { lenses.contains(chosenLens) ? chosenLens : .wide }
    set {
      if newValue == lens { return }
      (chosenLens, Lens.kept) = (newValue, newValue)
      change { await $0.changeCamera() }
    }
  }
  /// Whether nothing of the library is taken: what is shown of it makes way for the camera.
  var isCameraOnly = false {
    didSet { if isCameraOnly { showCamera() } }
  }
  /// What keeps the camera from giving images, while they are to come from it.
  var cameraProblem: CameraProblem? { item == nil ? lastCameraProblem : nil }
  /// What keeps the library from it, in words.
  private(set) var libraryProblem: String?
  /// Called before images come from another camera, and, with true, after what was picked was exchanged.
  var onChange: @MainActor (_ isOtherItem: Bool) async -> Void = { _ in }

  private var lastCameraProblem: CameraProblem?
  private var chosenLens = Lens.kept
  /// Whether nothing is to be worked on.
  private var isStopped = true
  @ObservationIgnored private var changing: Task<Void, Never>?
  @ObservationIgnored private var playing: Task<Void, Never>?
  private let pipeline: LivePipeline
  private let camera: Camera
  private let player: LibraryPlayer

  init(pipeline: LivePipeline) {
    let (problems, report) = AsyncStream<CameraProblem?>.makeStream()
    // Buffers of one image are let go of before the next one comes.
    let queue = DispatchQueue(label: "images", qos: .userInteractive, autoreleaseFrequency: .workItem)
    camera = Camera(queue: queue, onFrame: { pipeline.process($0) }, onProblem: { report.yield($0) })
    player = LibraryPlayer(queue: queue) { pipeline.process($0) }
    self.pipeline = pipeline
    Task { [weak self] in
      for await problem in problems { self?.lastCameraProblem = problem }
    }
  }

  deinit {
    playing?.cancel()
  }

  /// Lets images come, of the camera or of what was picked.
  func start() async {
    isStopped = false
    await change { await $0.startImages() }.value
  }

  /// Returns when none comes any more.
  func stop() async {
    isStopped = true
    await change { await $0.stopImages() }.value
  }

  /// Returns when images come from where they are to come.
  func wait() async {
    await changing?.value
  }

  /// Shows a photo or plays a video of the library in place of the camera's images.
  func show(_ picked: PhotosPickerItem) async {
    let pick = LibraryPick(item: picked)
    await change { await $0.load(pick) }.value
  }

  /// Goes back to the camera; what is returned ends when it has.
  @discardableResult
  func showCamera() -> Task<Void, Never> {
    change { await $0.leaveLibrary() }
  }

  /// In the background there is no GPU, and a video would go on.
  func rest() {
    change { await $0.stopPlaying() }
  }

  /// Gives a photo again, of which something else is to be made; it comes once by itself.
  func repeatPhoto() {
    guard case .photo(let photo) = item, !isStopped, !isCameraOnly else { return }
    pipeline.startOver()
    player.show(photo)
  }

  /// One change after the other.
  @discardableResult
  private func change(_ body: @escaping @MainActor (LiveSource) async -> Void) -> Task<Void, Never> {
    let task = Task { [previous = changing] in
      await previous?.value
      await body(self)
    }
    changing = task
    return task
  }

  private func startImages() async {
    if isStopped { return }
    switch item {
    case nil: await startCamera()
    case .photo: repeatPhoto()
    case .video(let video): play(video)
    }
  }

  private func startCamera() async {
    lenses = Lens.available
    pipeline.startOver()
    do {
      if try await camera.start(lens, measuring: usesSensor) { lastCameraProblem = nil }
    } catch {
      lastCameraProblem = CameraProblem(error)
    }
  }

  private func changeCamera() async {
    await onChange(false)
    if item == nil, !isStopped { await startCamera() }
  }

  private func load(_ pick: LibraryPick) async {
    if isCameraOnly { return }
    isLoading = true
    defer { isLoading = false }
    do {
      let next = try await LibraryItem(pick)
      if !isCameraOnly { await exchange(for: next) }
    } catch {
      libraryProblem = error.localizedDescription
    }
  }

  private func leaveLibrary() async {
    if item == nil { libraryProblem = nil } else { await exchange(for: nil) }
  }

  private func exchange(for next: LibraryItem?) async {
    await onChange(false)
    await stopImages()
    (item, libraryProblem) = (next, nil)
    await onChange(true)
    await startImages()
  }

  private func stopImages() async {
    await stopPlaying()
    await camera.stop()
  }

  private func stopPlaying() async {
    playing?.cancel()
    await playing?.value
    playing = nil
  }

  private func play(_ video: LibraryVideo) {
    if playing != nil { return }
    pipeline.startOver()
    playing = Task { [weak self, player] in
      do {
        try await player.play(video)
      } catch {
        if !Task.isCancelled { self?.libraryProblem = error.localizedDescription }
      }
    }
  }
}
