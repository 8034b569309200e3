import DepthCore
import Foundation

/// What the fidelity screen measures.
@MainActor
final class FidelityState: MeasuringState {
  let run: MeasuringRun<FidelityReport>

  init(live: LiveState) {
    run = MeasuringRun(live: live)
  }

  func start() {
    run.start { [run] in
      let live = run.live
      await run.measure(live.selection) { found in
        let report = try await DeviceFidelity(found: found, path: live.path, store: live.store).run { units in
          Task { @MainActor in run.show(units.title) }
        }
        let file = try resultFile(in: "fidelity", named: "\(found.name)-\(live.path.rawValue)", at: report.created)
        try report.json().write(to: file, options: .atomic)
        return (report, file)
      }
    }
  }
}
