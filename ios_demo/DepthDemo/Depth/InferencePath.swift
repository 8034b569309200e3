import Foundation

/// The ways to call a model.
enum InferencePath: String, CaseIterable, Identifiable, Sendable {
  /// `VNCoreMLRequest`: Vision crops and scales.
  case vision
  /// `MLModel` itself, with buffers of ours for input and output.
  case coreml

  var id: Self { self }

  var title: String {
    switch self {
    case .vision: "Vision"
    case .coreml: "Core ML"
    }
  }

  func makeModel(_ opened: OpenedModel) throws -> any DepthModel {
    switch self {
    case .vision: try VisionDepthModel(opened.model, framing: opened.contract.framing)
    case .coreml: try DirectDepthModel(opened)
    }
  }
}
