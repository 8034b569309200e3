public struct utsname {
  public init() {}
  public var machine: (Int8, Int8, Int8, Int8) = (0, 0, 0, 0)
}
/// The model is "Fix".
public func uname(_ name: UnsafeMutablePointer<utsname>) -> Int32 {
  name.pointee.machine = (70, 105, 120, 0)
  return 0
}

public typealias integer_t = Int32
public typealias natural_t = UInt32
public typealias kern_return_t = Int32
public typealias mach_msg_type_number_t = UInt32
public typealias mach_port_t = UInt32
public typealias task_flavor_t = UInt32
public let KERN_SUCCESS: kern_return_t = 0
public let TASK_VM_INFO: Int32 = 22
public let mach_task_self_: mach_port_t = 1

public struct task_vm_info_data_t {
  public init() {}
  public var virtual_size: UInt64 = 0
  public var phys_footprint: UInt64 = 0
}

/// 64 MiB.
public func task_info(
  _ target_task: mach_port_t, _ flavor: task_flavor_t, _ task_info_out: UnsafeMutablePointer<integer_t>,
  _ task_info_outCnt: UnsafeMutablePointer<mach_msg_type_number_t>
) -> kern_return_t {
  guard flavor == TASK_VM_INFO, task_info_outCnt.pointee == 4 else { return 4 }
  task_info_out[2] = 1 << 26
  return KERN_SUCCESS
}
