// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "DepthCore",
  platforms: [.iOS(.v17), .macOS(.v14)],
  products: [.library(name: "DepthCore", targets: ["DepthCore"])],
  targets: [
    .target(name: "DepthCore"),
    // For machines without a device; the app takes neither.
    .executableTarget(name: "depth-bench", dependencies: ["DepthCore"]),
    .executableTarget(name: "depth-picture", dependencies: ["DepthCore"]),
    .testTarget(name: "DepthCoreTests", dependencies: ["DepthCore"], resources: [.copy("Fixtures")]),
  ],
  swiftLanguageModes: [.v6]
)
