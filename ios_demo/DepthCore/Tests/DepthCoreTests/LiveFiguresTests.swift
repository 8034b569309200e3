import Testing

@testable import DepthCore

struct LiveFiguresTests {
  private let range = DepthRange(near: 0.44, far: 6.06)

  @Test func everyFigureHasALineWithItsUnit() {
    let figures = LiveFigures(
      framesPerSecond: 29.97, inferenceMS: 8.24, endToEndMS: 21.06, range: range, scale: .metres(times: 1.2),
      thermalState: .fair, computeUnits: .cpuAndNeuralEngine, precision: "int8")
    #expect(
      figures.lines == [
        "30.0 FPS", "inference 8.2 ms", "end to end 21.1 ms", "0.4 to 6.1 m", "thermal fair",
        "CPU + Neural Engine, int8",
      ])
  }

  @Test func whatWasNotMeasuredIsADashAndNotZero() {
    let figures = LiveFigures(
      framesPerSecond: nil, inferenceMS: nil, endToEndMS: nil, range: range, scale: .uncalibrated, thermalState: nil,
      computeUnits: nil, precision: "fp16")
    #expect(figures.lines.filter { $0.contains("–") }.count == 5)
    #expect(!figures.lines.joined().contains("0.0"))
  }

  @Test func framesThatHeatLeavesOutAreSaid() {
    let figures = LiveFigures(
      framesPerSecond: 10, inferenceMS: 8, endToEndMS: 21, range: range, scale: .uncalibrated, thermalState: .serious,
      computeUnits: .all, precision: "fp16")
    #expect(figures.lines[4] == "thermal serious: 10 FPS at most")
  }

  @Test func aDistanceIsInCentimetresOrSaidToBeMissing() {
    #expect(["2.34 m", "2.35 m"].contains(DepthScale.metres(times: 1).text(2.345)))
    #expect(DepthScale.metres(times: 1).text(12) == "12.00 m")
    #expect(DepthScale.metres(times: 1).text(nil) == "no depth")
  }

  @Test func metresOfAnUnknownCameraSaySo() {
    #expect(DepthScale.uncalibrated.text(1.7) == "1.70 m, uncalibrated")
    #expect(DepthScale.uncalibrated.text(range) == "0.4 to 6.1 m, uncalibrated")
    #expect(DepthScale.uncalibrated.text(nil) == "no depth")
  }

  @Test func depthUpToScaleNeverLooksLikeMetres() {
    let figures = LiveFigures(
      framesPerSecond: 30, inferenceMS: 8, endToEndMS: 21, range: range, scale: .relative, thermalState: .nominal,
      computeUnits: .all, precision: "fp16")
    #expect(figures.lines[3] == "0.4 to 6.1 (relative)")
    #expect(DepthScale.relative.text(1.7) == "1.70 (relative)")
    #expect(DepthScale.relative.text(nil) == "no depth")
    #expect(!figures.lines.contains { $0.hasSuffix(" m") })
  }
}
