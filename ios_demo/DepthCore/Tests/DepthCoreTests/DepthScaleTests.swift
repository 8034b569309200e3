import Foundation
import Testing

@testable import DepthCore

/// Depth for the focal length of the camera, against what NumPy's matrices give.
struct DepthScaleTests {
  private struct Case: Decodable {
    let image, model: [Int]
    let fx, fy, factor, stretched: Double
    let rotation: Int
    let framing: String
    let camera: TrainingCamera
    let matrix: Data

    func contract(units: String = "metres", knowsCamera: Bool = true) throws -> ModelContract {
      let size = PixelSize(width: model[0], height: model[1])
      let focal = #"{"data": "", "focal_px": \#(camera.focalLength), "width_px": \#(camera.width)}"#
      return try ModelContract(
        ModelInterface(
          inputs: [.init(name: "image", kind: .colourImage(size))],
          outputs: [.init(name: "depth", kind: .halfImage(size))],
          metadata: [
            "fcrn_mobile.output_units": units, "fcrn_mobile.camera": knowsCamera ? focal : "{}",
            "fcrn_mobile.contract": #"{"framing": "\#(framing)"}"#,
          ]))
    }

    var stored: PixelSize { PixelSize(width: image[0], height: image[1]) }
  }

  private let cases: [Case]

  init() throws {
    // Keys of a camera are in snake case in metadata too.
    cases = try JSONDecoder().decode([Case].self, from: Fixture.data("focal.json"))
  }

  @Test func depthIsScaledByTheRatioOfFocalLengthsInWhatTheModelSees() throws {
    #expect(Set(cases.map(\.rotation)) == Set(Rotation.allCases.map(\.rawValue)))
    #expect(Set(cases.map(\.framing)) == Set(Framing.allCases.map(\.rawValue)))
    #expect(Set(cases.filter { $0.stretched > 1.25 }.map(\.framing)) == ["stretch"])
    for one in cases {
      let intrinsics = try #require(CameraIntrinsics(matrix: one.matrix))
      #expect(abs(intrinsics.fx - one.fx) < 1e-3)
      #expect(abs(intrinsics.fy - one.fy) < 1e-3)
      let scale = try one.contract().scale(
        of: one.stored, rotation: #require(Rotation(rawValue: one.rotation)), intrinsics: intrinsics)
      if one.stretched > 1.25 {
        #expect(scale == .uncalibrated, "\(one.image) \(one.rotation) \(one.framing) \(one.model)")
        continue
      }
      // The matrix holds single precision.
      #expect(abs(scale.factor / one.factor - 1) < 1e-6, "\(one.image) \(one.rotation) \(one.framing) \(one.model)")
      #expect(scale == .metres(times: scale.factor))
    }
  }

  @Test func withoutEitherCameraMetresAreUncalibrated() throws {
    let one = try #require(cases.first)
    let intrinsics = CameraIntrinsics(fx: one.fx, fy: one.fy)
    #expect(try one.contract().scale(of: one.stored, intrinsics: nil) == .uncalibrated)
    #expect(try one.contract(knowsCamera: false).scale(of: one.stored, intrinsics: intrinsics) == .uncalibrated)
    #expect(DepthScale.uncalibrated.factor == 1)
  }

  @Test func depthWithoutAUnitGetsNoneByACamera() throws {
    let one = try #require(cases.first)
    let intrinsics = CameraIntrinsics(fx: one.fx, fy: one.fy)
    #expect(try one.contract(units: "up to scale").scale(of: one.stored, intrinsics: intrinsics) == .relative)
  }

  @Test func whatOnlyRoundingTellsApartIsOneCamera() throws {
    let one = try #require(cases.first { $0.framing == "stretch" && $0.rotation == 0 })
    let own = one.camera.relativeFocalLength * Double(one.image[0])
    for (share, expected) in [(1.0005, 1), (1.002, 1.002)] {
      let scale = try one.contract().scale(of: one.stored, intrinsics: CameraIntrinsics(fx: own * share, fy: own))
      #expect(abs(scale.factor - expected) < 1e-9)
    }
  }

  @Test(arguments: [Data(), Data(repeating: 0, count: 48), Data(repeating: 0xff, count: 48)])
  func whatIsNoCamerasMatrixIsNone(matrix: Data) {
    #expect(CameraIntrinsics(matrix: matrix) == nil)
    #expect(CameraIntrinsics(fx: .infinity, fy: 1) == nil)
    #expect(TrainingCamera(focalLength: 0, width: 640) == nil)
  }
}
