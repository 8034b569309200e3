/// The processors that Core ML may use, under the names that recipes and reports use.
public enum ComputeUnits: String, Codable, Sendable, CaseIterable {
  case cpuAndNeuralEngine
  case all
  case cpuAndGPU
  case cpuOnly

  /// For people.
  public var title: String {
    switch self {
    case .all: "All"
    case .cpuAndNeuralEngine: "CPU + Neural Engine"
    case .cpuAndGPU: "CPU + GPU"
    case .cpuOnly: "CPU"
    }
  }
}

/// How hot the device is, as `ProcessInfo.ThermalState` names it.
public enum ThermalState: String, Codable, Sendable, CaseIterable, Comparable {
  case nominal, fair, serious, critical

  /// Whether one is cooler.
  public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

  private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
