import Testing

@testable import DepthCore

struct LiveFiguresTests {
  private let range = DepthRange(near: 0.44, far: 6.06)

  @Test func everyFigureHasALineWithItsUnit() {
    let figures = LiveFigures(
      framesPerSecond: 29.97, inferenceMS: 8.24, endToEndMS: 21.06, range: range, thermalState: .fair,
      computeUnits: .cpuAndNeuralEngine, precision: "int8")
    #expect(
      figures.lines == [
        "30.0 FPS", "inference 8.2 ms", "end to end 21.1 ms", "0.4 to 6.1 m", "thermal fair",
        "CPU + Neural Engine, int8",
      ])
  }

  @Test func whatWasNotMeasuredIsADashAndNotZero() {
    let figures = LiveFigures(
      framesPerSecond: nil, inferenceMS: nil, endToEndMS: nil, range: range, thermalState: nil, computeUnits: nil,
      precision: "fp16")
    #expect(figures.lines.filter { $0.contains("–") }.count == 5)
    #expect(!figures.lines.joined().contains("0.0"))
  }

  @Test func aDistanceIsInCentimetresOrSaidToBeMissing() {
    #expect(LiveFigures.distance(2.345) == "2.35 m" || LiveFigures.distance(2.345) == "2.34 m")
    #expect(LiveFigures.distance(12) == "12.00 m")
    #expect(LiveFigures.distance(nil) == "no depth")
  }
}
