/// The processors that Core ML may use, under the names that recipes and reports use.
public enum ComputeUnits: String, Codable, Sendable, CaseIterable {
  case cpuAndNeuralEngine
  case all
  case cpuAndGPU
  case cpuOnly
}

/// How hot the device is, as `ProcessInfo.ThermalState` names it.
public enum ThermalState: String, Codable, Sendable, CaseIterable {
  case nominal, fair, serious, critical
}
