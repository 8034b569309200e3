/// What the numbers of a model's depth maps are, under the names that metadata use; `DepthScale` says what is shown of them.
public enum DepthUnit: String, Sendable, CaseIterable {
  /// Metres, for the camera of the training data.
  case metres
  /// Of a network that learned from a video alone: depths have right proportions to each other, their unit is unknown.
  case relative = "up to scale"
}
