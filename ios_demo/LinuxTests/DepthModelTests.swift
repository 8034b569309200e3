import CoreGraphics
import CoreImage
import CoreML
import CoreVideo
import DepthCore
import XCTest

@testable import DepthDemo

/// What comes out of a model must be what it saw, in the place where it saw it.
final class DepthModelTests: XCTestCase {
  override func setUp() async throws { try startOver() }

  func testBothPathsSeeTheCentreOfWideAndTallPictures() async throws {
    for output in ["image", "array"] {
      let opened = try await Package(output: output).open()
      for path in InferencePath.allCases {
        let model = try path.makeModel(opened)
        for (width, height) in [(64, 36), (36, 64), (32, 24)] {
          let plane = try model.infer(picture(width, height)).plane()
          XCTAssertEqual([plane.width, plane.height], [16, 12])
          XCTAssertLessThan(error(of: plane, aspect: Double(width) / Double(height)), rounding)
        }
      }
    }
  }

  func testAStretchedPictureIsSeenWhole() async throws {
    let opened = try await Package(framing: "stretch").open()
    for path in InferencePath.allCases {
      for (width, height) in [(64, 36), (36, 64)] {
        let plane = try path.makeModel(opened).infer(picture(width, height)).plane()
        XCTAssertLessThan(error(of: plane, aspect: 4.0 / 3), rounding)
      }
    }
  }

  func testALetterboxIsBlackBesideThePicture() async throws {
    let opened = try await Package(framing: "letterbox").open()
    let nothing = FakeModel.depth(of: SIMD4(0, 0, 0, 255))
    for path in InferencePath.allCases {
      let model = try path.makeModel(opened)
      for (scene, depth) in [(SIMD3(128.0, 64, 0), FakeModel.depth(of: SIMD4(128, 64, 0, 255)))] {
        // The second picture leaves nothing of the first beside it.
        _ = try model.infer(picture(64, 48) { _, _ in SIMD3(255, 255, 255) })
        let plane = try model.infer(picture(24, 48) { _, _ in scene }).plane()
        XCTAssertEqual(plane.values[6 * 16 + 8], depth)
        XCTAssertEqual(plane.values[6 * 16 + 2], nothing)
        XCTAssertEqual(plane.values[6 * 16 + 13], nothing)
      }
    }
  }

  func testAPictureOfTheModelsSizeIsTakenAsItIs() async throws {
    let opened = try await Package().open()
    for path in InferencePath.allCases {
      let plane = try path.makeModel(opened).infer(picture(16, 12)).plane()
      XCTAssertLessThan(error(of: plane, aspect: 4.0 / 3), rounding)
    }
  }

  func testABorderIsAsBrightAsTheMiddle() async throws {
    let opened = try await Package().open()
    for path in InferencePath.allCases {
      for (width, height) in [(8, 6), (37, 29), (64, 36)] {
        let plane = try path.makeModel(opened).infer(picture(width, height) { _, _ in SIMD3(128, 64, 0) }).plane()
        XCTAssertEqual(Set(plane.values), [6])
      }
    }
  }

  func testCoreMLWritesIntoTheSameBufferEachTime() async throws {
    let picturing = try DirectDepthModel(await Package().open())
    guard case .picture(let first) = try picturing.infer(picture(64, 36)),
      case .picture(let second) = try picturing.infer(picture(64, 36))
    else { throw DepthProblem.noResult }
    XCTAssertTrue(first === second)
    let counting = try DirectDepthModel(await Package(output: "array").open())
    guard case .array(let one) = try counting.infer(picture(64, 36)),
      case .array(let other) = try counting.infer(picture(64, 36))
    else { throw DepthProblem.noResult }
    XCTAssertTrue(one === other)
  }

  func testNothingStaysLocked() async throws {
    let opened = try await Package().open()
    for path in InferencePath.allCases {
      let image = try picture(64, 36)
      guard case .picture(let pixels) = try path.makeModel(opened).infer(image) else { throw DepthProblem.noResult }
      _ = try DepthPlane(pixels)
      XCTAssertEqual(pixels.lockCount, 0)
      XCTAssertEqual(image.lockCount, 0)
    }
  }

  func testColoursOfADepthMapAreShownInTheirOrder() throws {
    let plane = try DepthPlane(width: 2, height: 1, values: [1, 2])
    let rgba = Colormap.depth.rgba(of: plane, in: DepthRange(near: 1, far: 2))
    let shown = try makePicture(rgba: rgba, of: plane)
    XCTAssertEqual(shown.colour(0, 0), Array(rgba[0..<3]))
    XCTAssertEqual(shown.colour(1, 0), Array(rgba[4..<7]))
  }

  func testComputeUnitsAreThoseOfTheirNames() async throws {
    for units in ComputeUnits.allCases { _ = try await Package().open(on: units) }
    XCTAssertEqual(FakeCoreML.shared.loads, [.cpuAndNeuralEngine, .all, .cpuAndGPU, .cpuOnly])
  }
}
