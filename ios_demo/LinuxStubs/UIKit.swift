import Foundation

@MainActor public class UIApplication: NSObject {
  public static var didReceiveMemoryWarningNotification: NSNotification.Name { fatalError() }
  public static var shared: UIApplication { fatalError() }
  public var isIdleTimerDisabled = false
}
