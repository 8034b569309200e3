import Foundation
import SwiftUI
import UIKit

@main
struct DepthDemoApp: App {
  @Environment(\.scenePhase) private var phase
  @State private var live: LiveState
  @State private var benchmark: BenchmarkState
  private let isLaunchedToMeasure = ProcessInfo.processInfo.arguments.contains(LaunchBenchmark.argument)

  init() {
    let live = LiveState()
    _live = State(initialValue: live)
    _benchmark = State(initialValue: BenchmarkState(live: live))
  }

  var body: some Scene {
    WindowGroup {
      TabView {
        LiveView(state: live).tabItem { Label("Live", systemImage: "camera") }
        BenchmarkView(state: benchmark).tabItem { Label("Benchmark", systemImage: "stopwatch") }
      }
      .task {
        // A screen that goes dark would end a measurement.
        UIApplication.shared.isIdleTimerDisabled = true
        if isLaunchedToMeasure {
          await LaunchBenchmark(store: live.store, benchmark: benchmark).run()
        } else {
          await live.start()
        }
      }
      .onChange(of: phase) { _, phase in
        // Meanwhile models may have been put into the app's folder, or the camera stopped or allowed.
        if phase == .active, !isLaunchedToMeasure, !benchmark.isRunning { Task { await live.start() } }
      }
    }
  }
}
