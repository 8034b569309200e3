import Foundation

@MainActor public class UIApplication: NSObject {
  public static var shared: UIApplication { fatalError() }
  public var isIdleTimerDisabled = false
}
