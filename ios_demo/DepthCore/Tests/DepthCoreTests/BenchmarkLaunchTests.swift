import Testing

@testable import DepthCore

struct BenchmarkLaunchTests {
  private func launch(_ arguments: String...) throws -> BenchmarkLaunch? {
    try BenchmarkLaunch(arguments: ["/app/DepthDemo"] + arguments)
  }

  @Test func withoutTheArgumentNothingIsMeasured() throws {
    #expect(try launch() == nil)
    #expect(try launch("--live", "--runs=5") == nil)
  }

  @Test func theArgumentAloneMeasuresStillImagesOnEveryComputeUnit() throws {
    let launch = try #require(try launch("--benchmark"))
    #expect(!launch.isLive)
    #expect(try launch.plan == BenchmarkPlan())
  }

  @Test func theCameraAndTheNumbersAreAskedForBesideIt() throws {
    let launch = try #require(try launch("--live", "--benchmark", "--warm-up=0", "--runs=250"))
    #expect(launch.isLive)
    #expect(try launch.plan == BenchmarkPlan(warmUp: 0, runs: 250))
    let rounds = try #require(try self.launch("--benchmark", "--rounds=4", "--cool-down=30"))
    #expect(try rounds.plan == BenchmarkPlan(rounds: 4, coolDown: 30))
    #expect(try self.launch("--benchmark", "--soak=600")?.plan.soak == 600)
  }

  @Test func whatXcodeAndTheSystemAddIsLeftAlone() throws {
    let launch = try launch("-NSDocumentRevisionsDebugMode", "YES", "--benchmark", "-AppleLanguages", "(de)")
    #expect(launch?.isLive == false)
  }

  @Test(arguments: ["--run=5", "--runs", "--runs=", "--runs=many", "--live=yes", "--benchmark=live", "--"])
  func whatIsNotUnderstoodIsNamed(argument: String) {
    #expect(throws: BenchmarkLaunchError.unknown(argument)) { try launch("--benchmark", argument) }
  }

  @Test func numbersThatCannotBeMeasuredAreNamed() {
    #expect(throws: BenchmarkPlanError.runs(0)) { try launch("--benchmark", "--runs=0") }
    #expect(throws: BenchmarkPlanError.warmUp(-3)) { try launch("--benchmark", "--warm-up=-3") }
  }
}
