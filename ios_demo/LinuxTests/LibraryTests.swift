import AVFoundation
import CoreML
import CoreVideo
import DepthCore
import ImageIO
import PhotosUI
import UniformTypeIdentifiers
import XCTest

@testable import DepthDemo

/// Photos and videos that a picker that is not there hands over.
final class LibraryTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  @MainActor private func live(_ package: Package = Package()) async throws -> LiveState {
    try await openedLive(package)
  }

  private func item(_ content: Data, _ types: [UTType]) throws -> PhotosPickerItem {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).picked")
    try content.write(to: file)
    return PhotosPickerItem(file, types)
  }

  private func item(_ photo: FakePhoto) throws -> PhotosPickerItem { try item(photo.data, [.jpeg]) }

  private func item(_ video: FakeVideo) throws -> PhotosPickerItem {
    try item(JSONEncoder().encode(video), [.quickTimeMovie])
  }

  /// A photo that is 64×36 pixels large when it is upright.
  private func photo(_ orientation: Int? = nil) -> FakePhoto {
    let isTurned = (orientation ?? 1) > 4
    return FakePhoto(isTurned ? 36 : 64, isTurned ? 64 : 36, orientation: orientation, scene: slope)
  }

  /// A frame that comes after something was done: the first one, or the first after some that may be of what was before.
  @MainActor private func frame(
    of state: LiveState, after count: Int = 0, _ action: () async throws -> Void
  ) async throws -> LiveFrame {
    var frames: [LiveFrame] = []
    state.observeFrames { frames.append($0) }
    defer { state.observeFrames(nil) }
    try await action()
    try await eventually { frames.count > count }
    return try XCTUnwrap(frames.last)
  }

  @MainActor func testAPhotoIsUprightWhateverItsOrientation() async throws {
    let state = try await live()
    for orientation in [nil, 1, 2, 3, 4, 5, 6, 7, 8] {
      let frame = try await frame(of: state) { await state.source.show(try item(photo(orientation))) }
      XCTAssertLessThan(error(of: frame.depth, aspect: 64.0 / 36), rounding)
      let shown = try XCTUnwrap(frame.photo)
      XCTAssertEqual([shown.width, shown.height], [48, 36])
      XCTAssertNil(state.problem)
      XCTAssertNil(frame.figures.framesPerSecond)
    }
  }

  @MainActor func testMetresOfAPhotoAreThoseThatItsFileTells() async throws {
    let state = try await live(Package(focal: 0.5))
    var one = photo(6)
    var frame = try await frame(of: state) { await state.source.show(try item(one)) }
    XCTAssertEqual(frame.figures.scale, .uncalibrated)
    // 48 of 64 pixels across are seen.
    one.equivalentFocalLength = 26
    frame = try await self.frame(of: state) { await state.source.show(try item(one)) }
    let equivalent = 26 * (64.0 * 64 + 36 * 36).squareRoot() / (36.0 * 36 + 24 * 24).squareRoot()
    XCTAssertLessThan(abs(frame.figures.scale.factor - equivalent / 48 / 0.5), 1e-6)
    // Of the image as it is stored, twice as large: turned, its rows are what its columns were.
    one.calibration = [100, 110, 36, 64, 72, 128]
    frame = try await self.frame(of: state) { await state.source.show(try item(one)) }
    XCTAssertLessThan(abs(frame.figures.scale.factor - 55.0 / 48 / 0.5), 1e-6)
    XCTAssertLessThan(error(of: frame.depth.part(times: 48 * 0.5 / 55), aspect: 64.0 / 36), rounding)
  }

  @MainActor func testAPhotoIsNoLargerThanTheCamerasImages() throws {
    let frame = try CameraFrame(photo: FakePhoto(1600, 4, orientation: 6, scene: slope).data)
    XCTAssertEqual([CVPixelBufferGetWidth(frame.pixels), CVPixelBufferGetHeight(frame.pixels)], [3, 1280])
    XCTAssertThrowsError(try CameraFrame(photo: Data("no photo".utf8)))
  }

  @MainActor func testAPhotoComesOnceAndAgainWhereSomethingElseIsMadeOfIt() async throws {
    let state = try await live()
    _ = try await frame(of: state) { await state.source.show(try item(photo())) }
    // The camera stands still.
    for _ in 0..<5 { FakeCamera.shared.deliver(width: 64, height: 36, scene: slope) }
    for _ in 0..<20 { try await Task.sleep(for: .milliseconds(5)) }
    XCTAssertEqual(FakeCoreML.shared.predictions.count, 1)
    let deep = try await frame(of: state) { state.layout = .depth }
    XCTAssertTrue(deep.photo == nil && deep.depthPicture != nil)
    let own = deep.figures.range
    state.toggleRange()
    XCTAssertEqual(state.lockedRange, own)
    let other = try await frame(of: state) {
      state.computeUnits = .all
      await state.waitUntilOpened()
    }
    XCTAssertEqual(other.figures.computeUnits, .all)
  }

  @MainActor func testTheRangeOfAPhotoIsItsOwn() async throws {
    let state = try await live()
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36) { _, _ in SIMD3(255, 255, 0) }
      return state.frame.map { $0.figures.range.near > 8 } == true
    }
    let frame = try await frame(of: state) { await state.source.show(try item(photo())) }
    var normalizer = DepthNormalizer()
    XCTAssertEqual(frame.figures.range, normalizer.range(of: frame.depth))
  }

  /// What a player gives until there are so many frames: the colours of one place in them, and when they came.
  private func played(_ video: FakeVideo, _ count: Int) async throws -> (colours: [SIMD4<Double>], times: [Double]) {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mov")
    try JSONEncoder().encode(video).write(to: file)
    let frames = Frames()
    let player = LibraryPlayer(queue: DispatchQueue(label: "test")) { frames.add($0) }
    let copy = try LibraryVideo(copying: file)
    let playing = Task { try await player.play(copy) }
    try await eventually { frames.all.count >= count }
    playing.cancel()
    _ = await playing.result
    let all = frames.all.prefix(count)
    return (all.map { $0.0.pixels[colour: 2, 2] }, all.map(\.1))
  }

  func testAVideoPlaysFrameByFrameAtItsRateAgainAndAgain() async throws {
    let photos = (0..<3).map { index in FakePhoto(8, 6) { _, _ in SIMD3(Double(50 * index), 9, 9) } }
    let start = BenchmarkSensors.monotonicTime().milliseconds / 1000
    let (colours, times) = try await played(FakeVideo(photos, seconds: [5, 5.125, 5.375]), 7)
    XCTAssertEqual(colours.map(\.x), [0, 50, 100, 0, 50, 100, 0])
    // The last one stays as long as the one before it. Whatever comes late, none comes early.
    for (time, due) in zip(times, [0, 0.125, 0.375, 0.625, 0.75, 1, 1.25]) { XCTAssertLessThan(due, time - start) }
  }

  @MainActor func testAVideoIsUprightAsItsTrackAsks() async throws {
    let state = try await live(Package(focal: 1))
    let transforms: [(Int, [Double])] = [
      (1, [1, 0, 0, 1, 0, 0]), (6, [0, 1, -1, 0, 36, 0]), (3, [-1, 0, 0, -1, 64, 36]), (8, [0, -1, 1, 0, 0, 36]),
      (2, [-1, 0, 0, 1, 64, 0]),
    ]
    for (orientation, transform) in transforms {
      let video = FakeVideo([photo(orientation)], seconds: [0], transform: transform)
      await state.source.showCamera().value
      let frame = try await frame(of: state, after: 3) { await state.source.show(try item(video)) }
      XCTAssertLessThan(error(of: frame.depth, aspect: 64.0 / 36), rounding)
      XCTAssertEqual(frame.figures.scale, .uncalibrated)
      XCTAssertNil(state.problem)
    }
  }

  @MainActor func testWhatCannotBeShownIsSaidAndTheCameraGoesOn() async throws {
    let state = try await live()
    await state.source.show(try item(Data("no photo".utf8), [.jpeg]))
    XCTAssertEqual(state.problem, LibraryProblem.unreadable.localizedDescription)
    await state.source.show(try item(Data("no video".utf8), []))
    XCTAssertEqual(state.problem, LibraryProblem.unreadable.localizedDescription)
    XCTAssertTrue(state.source.item == nil && !state.source.isLoading)
    _ = try await frame(of: state) {
      try await eventually {
        FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
        return state.frame != nil
      }
    }
    await state.source.showCamera().value
    XCTAssertNil(state.problem)
  }

  @MainActor func testAVideoThatCannotBePlayedIsSaid() async throws {
    let state = try await live()
    var silent = FakeVideo([], seconds: [])
    await state.source.show(try item(silent))
    try await eventually { state.problem == LibraryProblem.noVideo.localizedDescription }
    silent.hasPictures = false
    await state.source.show(try item(silent))
    try await eventually { state.problem == LibraryProblem.noVideo.localizedDescription }
    await state.source.show(try item(FakeVideo([photo()], seconds: [0], transform: [0.7, 0.7, -0.7, 0.7, 0, 0])))
    try await eventually { state.problem == LibraryProblem.turned.localizedDescription }
    FakeVideo.breaks = true
    await state.source.show(try item(FakeVideo([photo()], seconds: [0])))
    try await eventually { state.problem?.hasPrefix("The video cannot be read to its end") == true }
  }

  @MainActor func testAVideoRestsInTheBackgroundAndGoesOn() async throws {
    let state = try await live()
    _ = try await frame(of: state) { await state.source.show(try item(FakeVideo([photo()], seconds: [0]))) }
    state.source.rest()
    await state.source.wait()
    let count = FakeCoreML.shared.predictions.count
    for _ in 0..<20 { try await Task.sleep(for: .milliseconds(5)) }
    XCTAssertEqual(FakeCoreML.shared.predictions.count, count)
    _ = try await frame(of: state) { await state.start() }
    await state.pause()
    XCTAssertTrue(state.source.item != nil)
    _ = try await frame(of: state) { await state.start() }
  }

  @MainActor func testTheCopyOfAVideoIsDeletedWithItsLastUse() async throws {
    let state = try await live()
    await state.source.show(try item(FakeVideo([photo()], seconds: [0])))
    let file = try XCTUnwrap(copy(state))
    XCTAssertEqual(file.pathExtension, "mov")
    XCTAssertTrue(FileManager.default.fileExists(atPath: file.path))
    await state.source.showCamera().value
    XCTAssertTrue(state.source.item == nil)
    try await eventually { !FileManager.default.fileExists(atPath: file.path) }
  }

  @MainActor private func copy(_ state: LiveState) -> URL? {
    if case .video(let video) = state.source.item { video.url } else { nil }
  }

  @MainActor func testAMeasuredViewShowsTheCamera() async throws {
    let state = try await live()
    _ = try await frame(of: state) { await state.source.show(try item(photo())) }
    // Another one may be on its way, and a third one comes too late.
    let picked = try item(photo(6))
    let showing = Task { await state.source.show(picked) }
    await Task.yield()
    state.isMeasured = true
    await state.source.show(try item(photo()))
    await showing.value
    await state.waitUntilOpened()
    XCTAssertTrue(state.source.item == nil)
    let count = FakeCoreML.shared.predictions.count
    try await eventually {
      FakeCamera.shared.deliver(width: 64, height: 36, scene: slope)
      return FakeCoreML.shared.predictions.count > count
    }
  }

  @MainActor func testADeniedCameraDoesNotKeepPhotosFromBeingShown() async throws {
    FakeCamera.shared.isAllowed = false
    let state = try await live()
    XCTAssertTrue(state.cameraProblem?.isDenied == true)
    _ = try await frame(of: state) { await state.source.show(try item(photo())) }
    XCTAssertNil(state.problem)
    await state.source.showCamera().value
    XCTAssertTrue(state.cameraProblem?.isDenied == true)
  }
}

/// Frames in the order in which they came.
private final class Frames: @unchecked Sendable {
  private let lock = NSLock()
  private var frames: [(CameraFrame, Double)] = []

  var all: [(CameraFrame, Double)] { lock.withLock { frames } }

  func add(_ frame: CameraFrame) {
    let seconds = BenchmarkSensors.monotonicTime().milliseconds / 1000
    lock.withLock { frames.append((frame, seconds)) }
  }
}
