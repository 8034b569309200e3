// swift-tools-version: 6.0
import PackageDescription

// DepthCore and, where Core ML and Vision are, DepthVision, for other apps by the URL of this repository. The demo itself takes
// ios_demo/DepthCore, whose package has the tests and tools for machines without a device.

var products: [Product] = [.library(name: "DepthCore", targets: ["DepthCore"])]
var targets: [Target] = [.target(name: "DepthCore", path: "ios_demo/DepthCore/Sources/DepthCore")]

#if canImport(CoreML)
  products.append(.library(name: "DepthVision", targets: ["DepthVision"]))
  targets.append(
    .target(
      name: "DepthVision", dependencies: ["DepthCore"], path: "ios_demo/DepthDemo",
      exclude: ["Assets.xcassets", "PrivacyInfo.xcprivacy"],
      sources: [
        "Depth/DepthModel.swift", "Depth/DepthReading.swift", "Depth/VisionDepthModel.swift",
        "Models/ModelInterface+CoreML.swift",
      ]))
#endif

let package = Package(
  name: "fcrn-mobile", platforms: [.iOS(.v17), .macOS(.v14)], products: products, targets: targets,
  swiftLanguageModes: [.v6])
