import DepthCore
import Foundation
import UIKit

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
    BenchmarkSensors(thermalState: { thermalState }, memoryBytes: memoryFootprintBytes)
  }

  /// Where the power comes from, at a time since the beginning of a benchmark.
  @MainActor static func power(at seconds: Double) -> PowerSample {
    let device = UIDevice.current
    device.isBatteryMonitoringEnabled = true
    let battery: PowerSample.Battery =
      switch device.batteryState {
      case .unplugged: .unplugged
      case .charging: .charging
      case .full: .full
      case .unknown: .unknown
      @unknown default: .unknown
      }
    return PowerSample(
      seconds: seconds, isLowPowerMode: ProcessInfo.processInfo.isLowPowerModeEnabled, battery: battery,
      level: device.batteryLevel >= 0 ? Double(device.batteryLevel) : nil)
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
