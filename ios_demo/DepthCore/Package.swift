// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "DepthCore",
  platforms: [.iOS(.v17), .macOS(.v14)],
  products: [.library(name: "DepthCore", targets: ["DepthCore"])],
  targets: [
    .target(name: "DepthCore"),
    .testTarget(name: "DepthCoreTests", dependencies: ["DepthCore"], resources: [.copy("Fixtures")]),
  ],
  swiftLanguageModes: [.v6]
)
