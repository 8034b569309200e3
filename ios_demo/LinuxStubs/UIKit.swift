import Foundation

@MainActor public class UIApplication: NSObject {
  public nonisolated static let didReceiveMemoryWarningNotification = NSNotification.Name(
    "UIApplicationDidReceiveMemoryWarningNotification")
  public static let shared = UIApplication()
  public var isIdleTimerDisabled = false
}
