import CoreML
import CoreVideo
import DepthCore
import Foundation

/// A loaded model behind one of the ways to call it. Used by one thread at a time.
public protocol DepthModel: AnyObject {
  /// Runs the model on an upright image of any size, which is brought to the model's as its contract asks.
  func infer(_ pixels: CVPixelBuffer) throws -> DepthOutput
}

/// A model whose input can be made ready apart from the prediction.
protocol PreparedDepthModel: DepthModel {
  /// Crops and scales an upright image into the model's input.
  func prepare(_ pixels: CVPixelBuffer)
  /// Runs the model on what was prepared.
  func predict() throws -> DepthOutput
}

/// A depth map as the model hands it over.
public enum DepthOutput {
  /// One channel of Float16 or Float32.
  case picture(CVPixelBuffer)
  /// 1×1×h×w.
  case array(MLMultiArray)

  /// The depth map, copied; in the unit that the model's metadata name.
  public func plane() throws -> DepthPlane {
    switch self {
    case .picture(let pixels): try DepthPlane(pixels)
    case .array(let array): try DepthPlane(array)
    }
  }
}

/// A result that is not the depth map which the model promised.
public enum DepthProblem: LocalizedError {
  case noResult
  case pixelFormat(OSType)
  case arrayType(Int)
  case arrayShape([Int])
  case noMemory(CVReturn)

  /// In words, for people.
  public var errorDescription: String? {
    switch self {
    case .noResult: "The model gave no depth map."
    case .pixelFormat(let format): "The depth map has pixel format \(format), not one-channel Float16 or Float32."
    case .arrayType(let type): "The depth map has element type \(type), not Float16, Float32 or Double."
    case .arrayShape(let shape): "The depth map has the shape \(shape), not 1×1×height×width."
    case .noMemory(let code): "No memory for an image (Core Video \(code))."
    }
  }
}
