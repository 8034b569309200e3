import CoreVideo
import Foundation

public enum MLComputeUnits: Int, Sendable {
  case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine
}

public class MLModelConfiguration: NSObject {
  public override init() {}
  public var computeUnits: MLComputeUnits = .all
}

public enum MLFeatureType: Int, Sendable {
  case invalid, int64, double, string, image, multiArray, dictionary, sequence
}

public enum MLMultiArrayDataType: Int, Sendable {
  case double, float32, float16, int32
}

/// Numbers in rows that are longer than what they hold.
public class MLMultiArray: NSObject {
  public let shape: [NSNumber]
  public let strides: [NSNumber]
  public let dataType: MLMultiArrayDataType
  private var bytes: [UInt8]

  public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
    let sides = shape.map(\.intValue)
    guard let width = sides.last, sides.allSatisfy({ $0 > 0 }) else { throw FakeProblem("no array of shape \(sides)") }
    var steps = [1, width + 3]
    for side in sides.dropLast().dropFirst().reversed() { steps.append((steps.last ?? 1) * side) }
    (self.shape, self.dataType) = (shape, dataType)
    strides = steps.prefix(sides.count).reversed().map { NSNumber(value: $0) }
    let size = [MLMultiArrayDataType.double: 8, .float16: 2][dataType] ?? 4
    bytes = [UInt8](repeating: 0x7b, count: (sides.count > 1 ? steps[sides.count - 1] * sides[0] : width) * size)
  }

  /// By the place that a value has in the order of rows.
  public subscript(index: Int) -> NSNumber {
    get { bytes.withUnsafeBytes { read($0, at: place(index)) } }
    set { bytes.withUnsafeMutableBytes { write(newValue, to: $0, at: place(index)) } }
  }

  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try bytes.withUnsafeBytes(body)
  }

  private func place(_ index: Int) -> Int {
    var (left, place) = (index, 0)
    for (side, step) in zip(shape, strides).reversed() {
      place += left % side.intValue * step.intValue
      left /= side.intValue
    }
    return place
  }

  private func read(_ bytes: UnsafeRawBufferPointer, at place: Int) -> NSNumber {
    switch dataType {
    case .double: NSNumber(value: bytes.load(fromByteOffset: 8 * place, as: Double.self))
    case .float32: NSNumber(value: bytes.load(fromByteOffset: 4 * place, as: Float.self))
    case .float16: NSNumber(value: Float(bytes.load(fromByteOffset: 2 * place, as: Float16.self)))
    case .int32: NSNumber(value: bytes.load(fromByteOffset: 4 * place, as: Int32.self))
    }
  }

  private func write(_ value: NSNumber, to bytes: UnsafeMutableRawBufferPointer, at place: Int) {
    switch dataType {
    case .double: bytes.storeBytes(of: value.doubleValue, toByteOffset: 8 * place, as: Double.self)
    case .float32: bytes.storeBytes(of: value.floatValue, toByteOffset: 4 * place, as: Float.self)
    case .float16: bytes.storeBytes(of: Float16(value.floatValue), toByteOffset: 2 * place, as: Float16.self)
    case .int32: bytes.storeBytes(of: value.int32Value, toByteOffset: 4 * place, as: Int32.self)
    }
  }
}

public class MLImageConstraint: NSObject {
  public let pixelsHigh: Int
  public let pixelsWide: Int
  public let pixelFormatType: OSType

  init(width: Int, height: Int, format: OSType) { (pixelsWide, pixelsHigh, pixelFormatType) = (width, height, format) }
}

public class MLMultiArrayConstraint: NSObject {
  public let shape: [NSNumber]
  public let dataType: MLMultiArrayDataType

  init(shape: [Int], dataType: MLMultiArrayDataType) {
    self.shape = shape.map { NSNumber(value: $0) }
    self.dataType = dataType
  }
}

public class MLFeatureDescription: NSObject {
  public let name: String
  public let imageConstraint: MLImageConstraint?
  public let multiArrayConstraint: MLMultiArrayConstraint?
  public var type: MLFeatureType { imageConstraint == nil ? .multiArray : .image }

  init(name: String, image: MLImageConstraint? = nil, array: MLMultiArrayConstraint? = nil) {
    (self.name, imageConstraint, multiArrayConstraint) = (name, image, array)
  }
}

public struct MLModelMetadataKey: Hashable, Sendable {
  let name: String
  public static let creatorDefinedKey = MLModelMetadataKey(name: "MLModelCreatorDefinedKey")
}

public class MLModelDescription: NSObject {
  public let inputDescriptionsByName: [String: MLFeatureDescription]
  public let outputDescriptionsByName: [String: MLFeatureDescription]
  public let metadata: [MLModelMetadataKey: Any]

  init(_ fake: FakeModel) {
    let (width, height) = (fake.inputSize[0], fake.inputSize[1])
    let input = MLImageConstraint(width: width, height: height, format: kCVPixelFormatType_32BGRA)
    inputDescriptionsByName = ["image": MLFeatureDescription(name: "image", image: input)]
    let (wide, high) = (fake.depthSize[0], fake.depthSize[1])
    let depth =
      fake.output == "image"
      ? MLFeatureDescription(
        name: "depth",
        image: MLImageConstraint(width: wide, height: high, format: kCVPixelFormatType_OneComponent16Half))
      : MLFeatureDescription(
        name: "depth", array: MLMultiArrayConstraint(shape: [1, 1, high, wide], dataType: .float16))
    outputDescriptionsByName = ["depth": depth]
    metadata = [.creatorDefinedKey: fake.metadata]
  }
}

public class MLFeatureValue: NSObject {
  public let imageBufferValue: CVPixelBuffer?
  public let multiArrayValue: MLMultiArray?

  public init(pixelBuffer value: CVPixelBuffer) { (imageBufferValue, multiArrayValue) = (value, nil) }
  init(multiArray value: MLMultiArray) { (imageBufferValue, multiArrayValue) = (nil, value) }
}

public protocol MLFeatureProvider {
  var featureNames: Set<String> { get }
  func featureValue(for featureName: String) -> MLFeatureValue?
}

public class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
  private let values: [String: MLFeatureValue]

  public init(dictionary: [String: Any]) throws {
    values = try dictionary.mapValues { value in
      guard let value = value as? MLFeatureValue else { throw FakeProblem("\(value) is no feature value") }
      return value
    }
  }
  public var featureNames: Set<String> { Set(values.keys) }
  public func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }
}

public class MLPredictionOptions: NSObject {
  public override init() {}
  public var outputBackings: [String: Any] = [:]
}

/// A model whose depth is `FakeModel.depth(of:)` of the colour of its input at the same place.
public class MLModel: NSObject {
  public let modelDescription: MLModelDescription
  private let fake: FakeModel
  private let units: MLComputeUnits

  public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
    guard url.pathExtension == "mlmodelc" else { throw FakeProblem("\(url.lastPathComponent) is not compiled") }
    fake = try JSONDecoder().decode(FakeModel.self, from: Data(contentsOf: url.appendingPathComponent("fake.json")))
    units = configuration.computeUnits
    modelDescription = MLModelDescription(fake)
    FakeCoreML.shared.loaded(units)
  }

  public static func compileModel(at modelURL: URL) async throws -> URL {
    let compiled = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlmodelc")
    try FileManager.default.copyItem(at: modelURL, to: compiled)
    FakeCoreML.shared.compiled()
    return compiled
  }

  /// Takes only what the description names, and writes only into a backing of the output's own kind.
  public func prediction(from input: any MLFeatureProvider, options: MLPredictionOptions) throws
    -> any MLFeatureProvider
  {
    guard let image = input.featureValue(for: "image")?.imageBufferValue else { throw FakeProblem("no input 'image'") }
    guard CVPixelBufferGetPixelFormatType(image) == kCVPixelFormatType_32BGRA,
      [CVPixelBufferGetWidth(image), CVPixelBufferGetHeight(image)] == fake.inputSize
    else { throw FakeProblem("input 'image' has another size or pixel format") }
    try FakeCoreML.shared.predicting(units)
    let value: MLFeatureValue
    if fake.output == "image" {
      let picture = try picture(options.outputBackings["depth"])
      forEachDepth(of: image) { x, y, depth in picture[depth: x, y] = depth }
      value = MLFeatureValue(pixelBuffer: picture)
    } else {
      let array = try array(options.outputBackings["depth"])
      forEachDepth(of: image) { x, y, depth in array[y * fake.depthSize[0] + x] = NSNumber(value: depth) }
      value = MLFeatureValue(multiArray: array)
    }
    return try MLDictionaryFeatureProvider(dictionary: ["depth": value])
  }

  private func picture(_ backing: Any?) throws -> CVPixelBuffer {
    let format = kCVPixelFormatType_OneComponent16Half
    guard let backing else {
      guard let own = CVBuffer(width: fake.depthSize[0], height: fake.depthSize[1], format: format) else {
        throw FakeProblem("no memory")
      }
      return own
    }
    guard let buffer = backing as? CVPixelBuffer, CVPixelBufferGetPixelFormatType(buffer) == format,
      [CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer)] == fake.depthSize
    else { throw FakeProblem("the backing of output 'depth' is of another kind") }
    return buffer
  }

  private func array(_ backing: Any?) throws -> MLMultiArray {
    let constraint = modelDescription.outputDescriptionsByName["depth"]?.multiArrayConstraint
    guard let constraint else { throw FakeProblem("output 'depth' is no array") }
    guard let backing else { return try MLMultiArray(shape: constraint.shape, dataType: constraint.dataType) }
    guard let array = backing as? MLMultiArray, array.shape == constraint.shape, array.dataType == constraint.dataType
    else { throw FakeProblem("the backing of output 'depth' is of another kind") }
    return array
  }

  private func forEachDepth(of image: CVPixelBuffer, _ body: (Int, Int, Float) -> Void) {
    for y in 0..<fake.depthSize[1] {
      for x in 0..<fake.depthSize[0] {
        let (column, row) = (x * fake.inputSize[0] / fake.depthSize[0], y * fake.inputSize[1] / fake.depthSize[1])
        body(x, y, FakeModel.depth(of: image[colour: column, row]))
      }
    }
  }
}

public enum MLComputeDevice {
  case cpu(MLCPUComputeDevice)
  case gpu(MLGPUComputeDevice)
  case neuralEngine(MLNeuralEngineComputeDevice)
}
public class MLCPUComputeDevice: NSObject {}
public class MLGPUComputeDevice: NSObject {}
public class MLNeuralEngineComputeDevice: NSObject {}

public enum MLModelStructure {
  public struct Program {
    public struct Function { public let block: Block }
    public struct Block { public let operations: [Operation] }
    public struct NamedValueType { public let name: String }
    public struct Operation {
      public let operatorName: String
      public let outputs: [NamedValueType]
    }
    public let functions: [String: Function]
  }
  case program(Program)
  case unsupported
}

/// A constant, and two operators of which the first runs on the Neural Engine where that is allowed.
public class MLComputePlan {
  public struct DeviceUsage { public let preferred: MLComputeDevice }
  public struct Cost { public let weight: Double }

  private let units: MLComputeUnits
  public let modelStructure: MLModelStructure

  init(units: MLComputeUnits) {
    self.units = units
    let names = [("const", "w"), ("ios16.conv", "x"), ("ios16.relu", "y")]
    let operations = names.map {
      MLModelStructure.Program.Operation(operatorName: $0.0, outputs: [.init(name: $0.1)])
    }
    modelStructure = .program(.init(functions: ["main": .init(block: .init(operations: operations))]))
  }

  public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
    MLComputePlan(units: configuration.computeUnits)
  }
  public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? {
    guard operation.operatorName != "const" else { return nil }
    let isAllowed = units == .all || units == .cpuAndNeuralEngine
    return DeviceUsage(
      preferred: operation.operatorName == "ios16.conv" && isAllowed
        ? .neuralEngine(MLNeuralEngineComputeDevice()) : .cpu(MLCPUComputeDevice()))
  }
  public func estimatedCost(of operation: MLModelStructure.Program.Operation) -> Cost? {
    operation.operatorName == "const" ? nil : Cost(weight: 0.5)
  }
}

/// What `fake.json` of a model says.
package struct FakeModel: Codable {
  /// Width and height.
  package var inputSize: [Int]
  package var depthSize: [Int]
  /// image or array.
  package var output: String
  package var metadata: [String: String]

  package init(inputSize: [Int], depthSize: [Int], output: String, metadata: [String: String]) {
    (self.inputSize, self.depthSize, self.output, self.metadata) = (inputSize, depthSize, output, metadata)
  }

  /// Red and green count, blue doesn't: 1 + red / 32 + green / 64, exact in half precision.
  package static func depth(of colour: SIMD4<Double>) -> Float { Float(1 + colour.x / 32 + colour.y / 64) }
}

package struct FakeProblem: LocalizedError {
  package let errorDescription: String?
  package init(_ text: String) { errorDescription = text }
}

/// What was asked of Core ML, and how it behaves.
package final class FakeCoreML: @unchecked Sendable {
  package static let shared = FakeCoreML()

  private let lock = NSLock()
  private var loading: [MLComputeUnits] = []
  private var predicted: [(units: MLComputeUnits, loads: Int)] = []
  private var compilations = 0
  private var onPrediction: (@Sendable () throws -> Void)?

  package var loads: [MLComputeUnits] { lock.withLock { loading } }
  package var predictions: [MLComputeUnits] { lock.withLock { predicted.map(\.units) } }
  /// Those made before a model was loaded for the time after so many: a measurement ends before the live view loads its own again.
  package func predictions(untilLoad count: Int) -> [MLComputeUnits] {
    lock.withLock { predicted.filter { $0.loads <= count }.map(\.units) }
  }
  package var compileCount: Int { lock.withLock { compilations } }

  /// Forgets all; `body` runs in every prediction from now on.
  package func reset(_ body: (@Sendable () throws -> Void)? = nil) {
    lock.withLock { (loading, predicted, compilations, onPrediction) = ([], [], 0, body) }
  }

  func loaded(_ units: MLComputeUnits) { lock.withLock { loading.append(units) } }
  func compiled() { lock.withLock { compilations += 1 } }
  func predicting(_ units: MLComputeUnits) throws {
    try lock.withLock {
      predicted.append((units, loading.count))
      return onPrediction
    }?()
  }
}
