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

# sum FILES...: of their contents, of the modules before them, and of this script.
sum() {
  cat "$demo/scripts/test_app.sh" "$@" <(echo "${known:-}") | cksum
}

# once NAME SUM COMMAND...: where it was not done for the same.
once() {
  local done_for=$modules/$1.sum sum=$2
  shift 2
  [ "$(cat "$done_for" 2>/dev/null)" != "$sum" ] || return 0
  rm -f "$done_for"
  "$@"
  echo "$sum" >"$done_for"
}

# module NAME FLAGS... -- FILES...: what comes after it depends on it.
module() {
  local name=$1 flags=()
  shift
  while [ "$1" != -- ]; do flags+=("$1") && shift; done
  shift
  known=$(sum "$@")
  once "$name" "$known" compile "$name" "${flags[@]}" "$@"
}

mkdir -p "$modules"
for name in "${order[@]}"; do module "$name" -package-name Stubs -- "$demo/LinuxStubs/$name.swift"; done
module DepthCore -- "$demo"/DepthCore/Sources/DepthCore/*.swift
mapfile -d '' app < <(find "$demo/DepthDemo" -name '*.swift' -print0 | sort -z)
mapfile -d '' tests < <(find "$demo/DepthDemoTests" "$demo/LinuxTests" -name '*.swift' -print0 | sort -z)
# The app begins at a function of another name: the process begins with the tests.
once DepthDemo "$(sum "${app[@]}")" \
  compile DepthDemo -enable-testing -Xfrontend -entry-point-function-name -Xfrontend beginApp "${app[@]}"
# What another app takes by the URL of the repository (Package.swift there) has to stand alone, and README's example has to be one of it.
vision=("$demo"/DepthDemo/Depth/{DepthModel,DepthReading,VisionDepthModel}.swift "$demo/DepthDemo/Models/ModelInterface+CoreML.swift")
once DepthVision "$(sum "${vision[@]}")" \
  swiftc "${options[@]}" -module-name DepthVision -emit-module -emit-module-path "$modules/DepthVision.swiftmodule" "${vision[@]}"
own=$demo/LinuxStubs/Example/OwnApp.swift
once OwnApp "$(sum "${vision[@]}" "$own")" swiftc "${options[@]}" -module-name OwnApp -emit-sil -o /dev/null "$own"

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
# What the tests see of the app is its module: bodies are not in it.
once DepthDemoTests "$(sum "$modules/DepthDemo.swiftmodule" "${tests[@]}" "$modules/Tests.swift")" \
  swiftc "${options[@]}" -module-name DepthDemoTests -package-name Stubs -c -o "$modules/DepthDemoTests.o" "${tests[@]}" "$modules/Tests.swift"
# Debian's libswiftObservation refers to a function of the runtime that is not exported, and which nothing calls.
swiftc -Xlinker --allow-shlib-undefined -o "$modules/tests" "$modules"/*.o
cd "$modules"
home=$(mktemp -d)
HOME=$home CFFIXED_USER_HOME=$home ./tests
