public struct utsname {
  public init() {}
  public var machine: (Int8, Int8, Int8, Int8) = (0, 0, 0, 0)
}
public func uname(_ name: UnsafeMutablePointer<utsname>) -> Int32 { fatalError() }

public struct rusage {
  public init() {}
  public var ru_maxrss: Int = 0
}
public var RUSAGE_SELF: Int32 { fatalError() }
public func getrusage(_ who: Int32, _ usage: UnsafeMutablePointer<rusage>) -> Int32 { fatalError() }
