#!/usr/bin/env bash
# Builds DepthDemo against the stub modules in LinuxStubs, with the Swift on PATH, and runs its tests and those in LinuxTests; type-checks the
# files that another app can take. Called by check_linux.sh.
# test_app.sh IOS_DEMO BUILD
set -euo pipefail
demo=$1
modules=$2/stubs
# Each after those it imports.
order=(ObjectiveC Darwin CryptoKit CoreGraphics ImageIO CoreVideo CoreMedia CoreImage CoreML Vision AVFoundation UIKit UniformTypeIdentifiers
  CoreTransferable SwiftUI PhotosUI XCTest)
options=(-swift-version 6 -wmo -warnings-as-errors -parse-as-library -I "$modules")

# compile MODULE FLAGS... FILES...: a module and its object file.
compile() {
  swiftc "${options[@]}" -c -emit-module -emit-module-path "$modules/$1.swiftmodule" -o "$modules/$1.o" -module-name "$@"
}

# once MODULE FILES...: compiles it where it, a module before it, or this script changed; contents count, not times.
once() {
  local module=$1 flags=()
  shift
  known=$(cat "$demo/scripts/test_app.sh" "$@" | cat - <(echo "${known:-}") | cksum)
  [ "$(cat "$modules/$module.sum" 2>/dev/null)" != "$known" ] || return 0
  [ "$module" = DepthCore ] || flags=(-package-name Stubs)
  compile "$module" "${flags[@]}" "$@"
  echo "$known" >"$modules/$module.sum"
}

mkdir -p "$modules"
for module in "${order[@]}"; do once "$module" "$demo/LinuxStubs/$module.swift"; done
once DepthCore "$demo"/DepthCore/Sources/DepthCore/*.swift
mapfile -d '' app < <(find "$demo/DepthDemo" -name '*.swift' -print0 | sort -z)
mapfile -d '' tests < <(find "$demo/DepthDemoTests" "$demo/LinuxTests" -name '*.swift' -print0 | sort -z)
# The app begins at a function of another name: the process begins with the tests.
compile DepthDemo -enable-testing -Xfrontend -entry-point-function-name -Xfrontend beginApp "${app[@]}"
# What another app takes by the URL of the repository (Package.swift there) has to stand alone, and README's example has to be one of it.
swiftc "${options[@]}" -module-name DepthVision -emit-module -emit-module-path "$modules/DepthVision.swiftmodule" \
  "$demo"/DepthDemo/Depth/{DepthModel,DepthReading,VisionDepthModel}.swift "$demo/DepthDemo/Models/ModelInterface+CoreML.swift"
swiftc "${options[@]}" -module-name OwnApp -emit-sil -o /dev/null "$demo/LinuxStubs/Example/OwnApp.swift"

# Every test of every class, in the order of files: XCTest finds them by Objective-C, which Linux hasn't.
awk '
  BEGIN { print "import XCTest\n@main struct Tests {\n  static func main() async {\n    _ = try? Package().write()" }
  /^(final )?class [A-Za-z]+: XCTestCase/ { sub(/^final /, ""); sub(/:.*/, ""); name = $2 }
  /^  (@MainActor )?func test[A-Za-z0-9]*\(\)/ {
    call = (/throws/ ? "try " : "") (/async|@MainActor/ ? "await " : "")
    sub(/^  (@MainActor )?func /, ""); sub(/\(.*/, "")
    printf "    await TestRun.shared.run(\"%s.%s\") {\n      let tests = %s()\n      try await tests.setUp()\n", name, $0, name
    printf "      %stests.%s()\n    }\n", call, $0
  }
  END { print "    TestRun.shared.end()\n  }\n}" }' "${tests[@]}" >"$modules/Tests.swift"
swiftc "${options[@]}" -module-name DepthDemoTests -package-name Stubs -c -o "$modules/DepthDemoTests.o" "${tests[@]}" "$modules/Tests.swift"
# Debian's libswiftObservation refers to a function of the runtime that is not exported, and which nothing calls.
swiftc -Xlinker --allow-shlib-undefined -o "$modules/tests" "$modules"/*.o
cd "$modules"
home=$(mktemp -d)
HOME=$home CFFIXED_USER_HOME=$home ./tests
