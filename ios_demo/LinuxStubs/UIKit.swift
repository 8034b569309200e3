import Foundation

@MainActor public class UIDevice: NSObject {
  public static let current = UIDevice()
  package static var version = "17.4.1"
  public var systemVersion: String { Self.version }

  public enum BatteryState: Int, Sendable {
    case unknown, unplugged, charging, full
  }
  public var isBatteryMonitoringEnabled = false
  public var batteryState: BatteryState { isBatteryMonitoringEnabled ? .unplugged : .unknown }
  public var batteryLevel: Float { isBatteryMonitoringEnabled ? 0.75 : -1 }
}

@MainActor public class UIApplication: NSObject {
  public nonisolated static let didReceiveMemoryWarningNotification = NSNotification.Name(
    "UIApplicationDidReceiveMemoryWarningNotification")
  public nonisolated static let openSettingsURLString = "app-settings:"
  public static let shared = UIApplication()
  public var isIdleTimerDisabled = false
}
