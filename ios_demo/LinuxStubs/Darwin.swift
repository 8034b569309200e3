public struct utsname {
  public init() {}
  public var machine: (Int8, Int8, Int8, Int8) = (0, 0, 0, 0)
}
/// The model is "Fix".
public func uname(_ name: UnsafeMutablePointer<utsname>) -> Int32 {
  name.pointee.machine = (70, 105, 120, 0)
  return 0
}

public struct rusage {
  public init() {}
  public var ru_maxrss: Int = 0
}
public let RUSAGE_SELF: Int32 = 0
public func getrusage(_ who: Int32, _ usage: UnsafeMutablePointer<rusage>) -> Int32 {
  usage.pointee.ru_maxrss = 1 << 26
  return 0
}
