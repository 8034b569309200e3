import DepthCore
import Foundation
import SwiftUI
import UIKit

@main
struct DepthDemoApp: App {
  @Environment(\.scenePhase) private var phase
  @State private var live: LiveState
  @State private var benchmark: BenchmarkState
  @State private var fidelity: FidelityState
  /// Windows share one session, which the first of them begins.
  @State private var hasBegun = false
  private let purpose = Purpose.ofThisLaunch

  init() {
    let live = LiveState()
    _live = State(initialValue: live)
    _benchmark = State(initialValue: BenchmarkState(live: live))
    _fidelity = State(initialValue: FidelityState(live: live))
  }

  var body: some Scene {
    WindowGroup {
      TabView {
        LiveView(state: live).tabItem { Label("Live", systemImage: "camera") }
        BenchmarkView(state: benchmark).tabItem { Label("Benchmark", systemImage: "stopwatch") }
        FidelityView(state: fidelity).tabItem { Label("Fidelity", systemImage: "equal.circle") }
      }
      .task {
        guard !hasBegun else { return }
        hasBegun = true
        // A screen that goes dark would end a measurement.
        UIApplication.shared.isIdleTimerDisabled = true
        switch purpose {
        case .use: await live.start()
        case .benchmark(let launch): await LaunchBenchmark(launch: launch, live: live, benchmark: benchmark).run()
        case .refused(let reason): LaunchBenchmark.end(2, reason)
        case .tests: break
        }
      }
      .onOpenURL { url in
        Task { await live.take(url) }
      }
      .onChange(of: phase) { _, phase in
        // Meanwhile models may have been put into the app's folder, or the camera stopped or allowed.
        if phase == .active, purpose == .use, !benchmark.isRunning, !fidelity.isRunning { Task { await live.start() } }
        // In the background there is no GPU, and time passes while the app is asleep.
        if phase == .background {
          if case .benchmark = purpose { LaunchBenchmark.giveUp() }
          benchmark.cancel()
          fidelity.cancel()
          live.source.rest()
        }
      }
    }
  }
}

/// What the app was started for.
private enum Purpose: Equatable {
  case use
  case benchmark(BenchmarkLaunch)
  /// A benchmark by arguments that say nothing.
  case refused(String)
  /// As the host of unit tests, which need neither the camera nor the question whether it may be used.
  case tests

  static var ofThisLaunch: Purpose {
    let process = ProcessInfo.processInfo
    if process.environment["XCTestConfigurationFilePath"] != nil { return .tests }
    do {
      return try BenchmarkLaunch(arguments: process.arguments).map(Purpose.benchmark) ?? .use
    } catch {
      return .refused(error.localizedDescription)
    }
  }
}
