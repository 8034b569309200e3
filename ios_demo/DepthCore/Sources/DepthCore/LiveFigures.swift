import Foundation

/// The figures that stand over a live picture. What was not measured, or not yet, is nil and shown as a dash.
public struct LiveFigures: Sendable, Equatable {
  /// Frames that were shown; nil before the second one.
  public let framesPerSecond: Double?
  /// Time of the prediction alone.
  public let inferenceMS: Double?
  /// From the capture of the image to the finished depth map.
  public let endToEndMS: Double?
  /// That the colours span.
  public var range: DepthRange
  /// What the range counts.
  public var scale: DepthScale
  /// How hot the device is; nil where it doesn't tell.
  public let thermalState: ThermalState?
  /// Where the model runs; nil where that isn't known.
  public let computeUnits: ComputeUnits?
  /// Precision of the model's weights, as its recipe names it.
  public let precision: String
  /// With the sensor's depth of the same picture; nil without a sensor.
  public var agreement: SensorAgreement?

  /// From its parts.
  public init(
    framesPerSecond: Double?, inferenceMS: Double?, endToEndMS: Double?, range: DepthRange, scale: DepthScale,
    thermalState: ThermalState?, computeUnits: ComputeUnits?, precision: String
  ) {
    self.framesPerSecond = framesPerSecond
    self.inferenceMS = inferenceMS
    self.endToEndMS = endToEndMS
    self.range = range
    self.scale = scale
    self.thermalState = thermalState
    self.computeUnits = computeUnits
    self.precision = precision
  }

  /// One line for each figure, from top to bottom.
  public var lines: [String] {
    [
      "\(Self.decimal(framesPerSecond)) FPS",
      "inference \(Self.decimal(inferenceMS)) ms",
      "end to end \(Self.decimal(endToEndMS)) ms",
      scale.text(range),
      "thermal \(thermalState?.rawValue ?? Self.unknown)\(limit)",
      "\(computeUnits?.title ?? Self.unknown), \(precision)",
    ] + (agreement.map { [$0.text] } ?? [])
  }

  /// Rate, delay and heat in one line.
  public var pace: String { [lines[0], lines[2], lines[4]].joined(separator: ", ") }

  /// Says that frames are left out on purpose.
  private var limit: String {
    thermalState?.frameRateLimit.map { String(format: ": %.0f FPS at most", $0) } ?? ""
  }

  private static let unknown = "–"

  private static func decimal(_ value: Double?) -> String {
    value.map { String(format: "%.1f", $0) } ?? unknown
  }
}
