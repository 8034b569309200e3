import DepthCore
import Foundation

/// Readings of the device.
enum Device {
  static var thermalState: ThermalState {
    switch ProcessInfo.processInfo.thermalState {
    case .nominal: .nominal
    case .fair: .fair
    case .serious: .serious
    case .critical: .critical
    @unknown default: .critical
    }
  }

  static var sensors: BenchmarkSensors {
    BenchmarkSensors(thermalState: { thermalState }, peakMemoryBytes: peakMemoryBytes)
  }

  static var machine: Machine {
    let app = Bundle.main.object(forInfoDictionaryKey: "CFBundleShortVersionString") as? String
    return Machine(
      processor: modelIdentifier(), cores: ProcessInfo.processInfo.processorCount,
      system: "\(systemName) \(ProcessInfo.processInfo.operatingSystemVersionString)",
      versions: ["DepthDemo": app ?? "unknown"])
  }

  #if targetEnvironment(simulator)
    private static let systemName = "iOS Simulator"
  #else
    private static let systemName = "iOS"
  #endif
}
