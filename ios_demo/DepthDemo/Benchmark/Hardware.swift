import Darwin

/// The device's model, such as `iPhone15,2`; on a simulator the Mac's processor.
func modelIdentifier() -> String {
  var info = utsname()
  guard uname(&info) == 0 else { return "unknown" }
  return withUnsafeBytes(of: info.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// The most memory that the process ever had resident, nil if the system doesn't say.
func peakMemoryBytes() -> Int? {
  var usage = rusage()
  // Bytes on Apple's systems.
  return getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0 ? usage.ru_maxrss : nil
}
