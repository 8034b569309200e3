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

public class MLMultiArray: NSObject {
  public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {}
  public var shape: [NSNumber] { fatalError() }
  public var strides: [NSNumber] { fatalError() }
  public var dataType: MLMultiArrayDataType { fatalError() }
  public subscript(index: Int) -> NSNumber {
    get { fatalError() }
    set {}
  }
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { fatalError() }
}

public class MLImageConstraint: NSObject {
  public var pixelsHigh: Int { fatalError() }
  public var pixelsWide: Int { fatalError() }
  public var pixelFormatType: OSType { fatalError() }
}

public class MLMultiArrayConstraint: NSObject {
  public var shape: [NSNumber] { fatalError() }
  public var dataType: MLMultiArrayDataType { fatalError() }
}

public class MLFeatureDescription: NSObject {
  public var name: String { fatalError() }
  public var type: MLFeatureType { fatalError() }
  public var imageConstraint: MLImageConstraint? { fatalError() }
  public var multiArrayConstraint: MLMultiArrayConstraint? { fatalError() }
}

public struct MLModelMetadataKey: Hashable, Sendable {
  public static var creatorDefinedKey: MLModelMetadataKey { fatalError() }
}

public class MLModelDescription: NSObject {
  public var inputDescriptionsByName: [String: MLFeatureDescription] { fatalError() }
  public var outputDescriptionsByName: [String: MLFeatureDescription] { fatalError() }
  public var metadata: [MLModelMetadataKey: Any] { fatalError() }
}

public class MLFeatureValue: NSObject {
  public init(pixelBuffer value: CVPixelBuffer) {}
  public var imageBufferValue: CVPixelBuffer? { fatalError() }
  public var multiArrayValue: MLMultiArray? { fatalError() }
}

public protocol MLFeatureProvider {
  var featureNames: Set<String> { get }
  func featureValue(for featureName: String) -> MLFeatureValue?
}

public class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
  public init(dictionary: [String: Any]) throws {}
  public var featureNames: Set<String> { fatalError() }
  public func featureValue(for featureName: String) -> MLFeatureValue? { fatalError() }
}

public class MLPredictionOptions: NSObject {
  public override init() {}
  public var outputBackings: [String: Any] = [:]
}

public class MLModel: NSObject {
  public convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws { fatalError() }
  public static func compileModel(at modelURL: URL) async throws -> URL { fatalError() }
  public var modelDescription: MLModelDescription { fatalError() }
  public func prediction(from input: any MLFeatureProvider, options: MLPredictionOptions) throws
    -> any MLFeatureProvider
  { fatalError() }
}
