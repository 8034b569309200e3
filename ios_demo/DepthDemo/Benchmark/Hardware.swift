// Until the SDK of macOS 15.4, the task's own port is a variable, which Swift 6 takes for shared state.
@preconcurrency import Darwin

/// The device's model, such as `iPhone15,2`; on a simulator the Mac's processor.
func modelIdentifier() -> String {
  var info = utsname()
  guard uname(&info) == 0 else { return "unknown" }
  return withUnsafeBytes(of: info.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// Memory that the system charges the process with, by which it decides to end it; nil if it doesn't say.
func memoryFootprintBytes() -> Int? {
  var info = task_vm_info_data_t()
  let words = MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<natural_t>.size
  var count = mach_msg_type_number_t(words)
  let status = withUnsafeMutablePointer(to: &info) { pointer in
    pointer.withMemoryRebound(to: integer_t.self, capacity: words) {
      task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), $0, &count)
    }
  }
  return status == KERN_SUCCESS && info.phys_footprint > 0 ? Int(info.phys_footprint) : nil
}
